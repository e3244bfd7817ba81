package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const pauseColumns = `p.id, p.kind, p.name, p.reason, p.begun_by, p.begun_at`

type pauseRow struct {
	ID      uuid.UUID
	Kind    provision.PauseKind
	Name    string
	Reason  string
	BegunBy string
	BegunAt time.Time
}

func (r pauseRow) pause() provision.Pause {
	return provision.Pause{ID: r.ID, Kind: r.Kind, Name: r.Name, Reason: r.Reason, By: r.BegunBy, At: r.BegunAt}
}

// Pauses implements provision.Store.
func (s *Store) Pauses(ctx context.Context) ([]provision.Pause, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[pauseRow](ctx, s.pool, "pauses", `
		SELECT `+pauseColumns+` FROM pauses p WHERE p.ended_at IS NULL ORDER BY p.begun_at, p.id LIMIT 1000`, pgx.NamedArgs{})
	if err != nil {
		return nil, err
	}
	pauses := make([]provision.Pause, len(rows))
	for i, row := range rows {
		pauses[i] = row.pause()
	}
	return pauses, nil
}

// BeginPause implements provision.Store.
func (s *Store) BeginPause(ctx context.Context, p provision.Pause) (provision.Pause, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	events := []provision.Event{p.Begun()}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := many[pauseRow](ctx, tx, "pause", `
			INSERT INTO pauses AS p (id, kind, name, reason, begun_by)
			VALUES (@id, @kind, @name, @reason, @begun_by)
			ON CONFLICT (kind, name) WHERE ended_at IS NULL DO NOTHING
			RETURNING `+pauseColumns,
			pgx.NamedArgs{"id": p.ID, "kind": string(p.Kind), "name": p.Name, "reason": clean(p.Reason), "begun_by": p.By})
		if err != nil {
			return err
		}
		if len(rows) == 1 {
			p = rows[0].pause()
			return s.tell(ctx, tx, events)
		}
		events = nil
		row, err := one[pauseRow](ctx, tx, "pause of", p.Name, `
			SELECT `+pauseColumns+` FROM pauses p WHERE p.kind = @kind AND p.name = @name AND p.ended_at IS NULL`,
			pgx.NamedArgs{"kind": string(p.Kind), "name": p.Name})
		if err != nil {
			return err
		}
		if row.BegunBy != p.By || row.Reason != clean(p.Reason) {
			return provision.Errorf(provision.Conflict, "%s is paused already by %s: %s; resume it first", p.Thing(), row.BegunBy, row.Reason)
		}
		p = row.pause()
		return nil
	})
	if err != nil {
		return provision.Pause{}, shown(err, "begin pause")
	}
	s.hub.committed(events)
	return p, nil
}

// EndPause implements provision.Store.
func (s *Store) EndPause(ctx context.Context, id uuid.UUID, by string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var events []provision.Event
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		events = nil
		type row struct {
			pauseRow
			Ended bool
		}
		found, err := one[row](ctx, tx, "pause", id, `
			SELECT `+pauseColumns+`, p.ended_at IS NOT NULL AS ended FROM pauses p WHERE p.id = @id FOR UPDATE`, pgx.NamedArgs{"id": id})
		if err != nil || found.Ended {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE pauses SET ended_at = now(), ended_by = @by WHERE id = @id`, pgx.NamedArgs{"id": id, "by": by}); err != nil {
			return err
		}
		events = []provision.Event{found.pause().Ended(by)}
		return s.tell(ctx, tx, events)
	})
	if err != nil {
		return shown(err, "end pause "+id.String())
	}
	s.hub.committed(events)
	return nil
}

func (s *Store) tell(ctx context.Context, tx pgx.Tx, events []provision.Event) error {
	args, err := tellArgs(events, nil)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, tellSQL, args)
	return err
}
