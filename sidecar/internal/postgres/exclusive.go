package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Exclusively runs do while nobody else, in any replica, runs one for the same
// thing. It waits two seconds at most, then it is Unavailable. Whoever dies lets
// go at once; do takes 30 s at most.
func (s *Store) Exclusively(ctx context.Context, thing string, do func(context.Context) error) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return fault(err, "have "+thing+" alone")
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it changes nothing; its end lets go
	_, err = tx.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = '30s'`)
	if err == nil {
		_, err = tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(@thing, 0))`, pgx.NamedArgs{"thing": thing})
	}
	if err != nil {
		return fault(err, "have "+thing+" alone")
	}
	return do(ctx)
}
