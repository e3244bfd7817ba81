package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// pastSQL is how long the newest of a kind took. What people approved is a kind
// of its own: its plan was made before.
const pastSQL = `
	SELECT extract(epoch FROM r.finished_at - GREATEST(r.created_at, r.approved_at, r.released_at))::float8 AS in_line,
	       extract(epoch FROM r.finished_at - u.dispatched_at)::float8 AS run, r.steps,
	       COALESCE(extract(epoch FROM r.approved_at - (
			SELECT max(e.at) FROM events e
			 WHERE e.subject_id = r.id AND e.entity = 'approval' AND e.verb = 'requested' AND e.at <= r.approved_at)), 0)::float8 AS waited
	  FROM requests r
	 CROSS JOIN LATERAL (
		SELECT u.dispatched_at FROM runs u WHERE u.request_id = r.id ORDER BY u.dispatched_at DESC, u.id DESC LIMIT 1) u
	 WHERE r.state = 'succeeded' AND r.offering = @offering AND r.offering_version = @version AND r.action = @action
	   AND (r.approval IS NOT NULL) = @approved
	 ORDER BY r.finished_at DESC, r.id
	 LIMIT @limit`

// Timing implements provision.History.
func (s *Store) Timing(ctx context.Context, r provision.Request, limit int) (provision.Timing, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type when struct {
		Now     time.Time
		InLine  time.Time
		Started *time.Time
	}
	now, err := one[when](ctx, s.pool, "request", r.ID, `
		SELECT now() AS now, GREATEST(r.created_at, r.approved_at, r.released_at) AS in_line,
		       (SELECT u.dispatched_at FROM runs u WHERE u.request_id = r.id AND u.state <> 'ended') AS started
		  FROM requests r
		 WHERE r.id = @id`, pgx.NamedArgs{"id": r.ID})
	if err != nil {
		return provision.Timing{}, err
	}
	type row struct {
		InLine, Run, Waited float64 // seconds
		Steps               []byte
	}
	rows, err := many[row](ctx, s.pool, "past requests", pastSQL, pgx.NamedArgs{
		"offering": r.Offering, "version": r.OfferingVersion, "action": string(r.Action), "approved": r.Approval != nil, "limit": limit,
	})
	if err != nil {
		return provision.Timing{}, err
	}
	t := provision.Timing{Now: now.Now, InLine: now.InLine, Started: now.Started, Past: make([]provision.Took, len(rows))}
	for i, row := range rows {
		var steps []provision.Step
		if err := decode(row.Steps, &steps); err != nil {
			return provision.Timing{}, fmt.Errorf("read steps of a past %s of %s: %w", r.Action, r.Offering, err)
		}
		past := provision.Took{InLine: seconds(row.InLine), Run: seconds(row.Run), Waited: seconds(row.Waited), Steps: make([]time.Duration, len(steps))}
		for j, step := range steps {
			if step.StartedAt != nil && step.FinishedAt != nil {
				past.Steps[j] = step.FinishedAt.Sub(*step.StartedAt)
			}
		}
		t.Past[i] = past
	}
	return t, nil
}

// LastLog implements provision.History.
func (s *Store) LastLog(ctx context.Context, r provision.Request) (string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	lines, err := many[struct{ Text string }](ctx, s.pool, "log lines", `
		SELECT l.text FROM log_lines l WHERE l.request_id = @id AND l.text <> '' ORDER BY l.position DESC LIMIT 1`, pgx.NamedArgs{"id": r.ID})
	if err != nil || len(lines) == 0 {
		return "", err
	}
	return lines[0].Text, nil
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
