package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// maxPlan is the largest sealed plan that is kept, in bytes.
const maxPlan = 16 << 20

const (
	// The lock makes it fall before or after the request's end, which drops its plans.
	keepPlanSQL = `
		INSERT INTO plans (run_id, request_id, sealed)
		SELECT @run_id, r.id, @sealed
		  FROM requests r
		 WHERE r.id = @request_id AND r.finished_at IS NULL
		   FOR SHARE
		ON CONFLICT (run_id) DO UPDATE SET sealed = EXCLUDED.sealed, kept_at = now()`

	dropEarlierPlansSQL = `DELETE FROM plans p WHERE p.request_id = @request_id AND p.run_id <> @run_id`

	dropPlansSQL = `DELETE FROM plans p WHERE p.request_id = @request_id`
)

// KeepPlan implements provision.Store.
func (s *Store) KeepPlan(ctx context.Context, requestID, runID uuid.UUID, sealed []byte) error {
	if len(sealed) > maxPlan {
		return provision.Errorf(provision.Invalid, "the sealed plan is larger than %d MiB, so it cannot wait for approval", maxPlan>>20)
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	args := pgx.NamedArgs{"run_id": runID, "request_id": requestID, "sealed": sealed}
	batch := &pgx.Batch{}
	batch.Queue(dropEarlierPlansSQL, args)
	batch.Queue(keepPlanSQL, args)
	return fault(s.pool.SendBatch(ctx, batch).Close(), "keep the plan of run "+runID.String())
}

// KeptPlan implements provision.Store.
func (s *Store) KeptPlan(ctx context.Context, runID uuid.UUID) ([]byte, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct{ Sealed []byte }
	kept, err := one[row](ctx, s.pool, "plan of run", runID, `SELECT p.sealed FROM plans p WHERE p.run_id = @run_id`, pgx.NamedArgs{"run_id": runID})
	return kept.Sealed, err
}

// Approvals implements provision.Store. Few requests wait at once, and they
// have an index of their own.
func (s *Store) Approvals(ctx context.Context, person string, limit int) ([]provision.Request, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[requestRow](ctx, s.pool, "requests that wait for approval", `
		SELECT `+requestColumns+`
		  FROM requests r
		 WHERE r.state = 'awaiting_approval' AND r.approval_expires_at > now()
		   AND EXISTS (SELECT FROM jsonb_array_elements(r.approval->'needed') n WHERE n->'people' ? @person)
		   AND NOT EXISTS (SELECT FROM jsonb_array_elements(r.approval->'given') g WHERE g->>'by' = @person)
		 ORDER BY r.created_at, r.id
		 LIMIT @limit`,
		pgx.NamedArgs{"person": person, "limit": limit})
	if err != nil {
		return nil, err
	}
	waiting := make([]provision.Request, len(rows))
	for i, row := range rows {
		if waiting[i], err = row.request(); err != nil {
			return nil, err
		}
	}
	return waiting, nil
}
