package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Relay hands unpublished events, oldest first, at most limit and none younger
// than age, to publish, and forgets those whose ids publish returns. No other
// Relay sees them meanwhile. It answers how many there were, and publish's
// error after forgetting what was published in spite of it. publish must return
// within seconds: the rows are locked.
func (s *Store) Relay(ctx context.Context, limit int, age time.Duration, publish func(context.Context, []provision.Event) ([]uuid.UUID, error)) (n int, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var refused error
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		rows, err := many[eventRow](ctx, tx, "unpublished events", `
			SELECT `+eventColumns+`
			  FROM outbox o
			  JOIN events e ON e.subject_id = o.subject_id AND e.sequence = o.sequence
			 WHERE o.created_at <= now() - @age::interval
			 ORDER BY o.created_at, o.event_id
			 LIMIT @limit
			   FOR UPDATE OF o SKIP LOCKED`,
			pgx.NamedArgs{"limit": limit, "age": age})
		if err != nil || len(rows) == 0 {
			return err
		}
		events, err := eventsOf(rows)
		if err != nil {
			return err
		}
		n = len(events)
		published, publishErr := publish(ctx, events)
		refused = publishErr
		_, err = tx.Exec(ctx, forgetSQL, pgx.NamedArgs{"ids": published})
		return err
	})
	if err != nil {
		return n, shown(err, "relay the outbox")
	}
	return n, refused
}

const forgetSQL = `DELETE FROM outbox WHERE event_id = ANY(@ids)`

// Forget says that these events are published; it may be repeated.
func (s *Store) Forget(ctx context.Context, ids []uuid.UUID) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, forgetSQL, pgx.NamedArgs{"ids": ids})
	return fault(err, "forget published events")
}

// Unpublished is how many events wait to be published and since when the oldest
// does; zero when none waits.
func (s *Store) Unpublished(ctx context.Context) (n int, oldest time.Duration, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, `SELECT count(*), COALESCE(now() - min(created_at), '0') FROM outbox`).Scan(&n, &oldest)
	return n, oldest, fault(err, "look at the outbox")
}
