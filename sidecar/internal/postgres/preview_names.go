package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// PreviewName implements provision.Store. A name that was taken within the hour
// is another's even when it has no instance yet.
func (s *Store) PreviewName(ctx context.Context, environment string, preview uuid.UUID, names []string) (string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var name string
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		args := pgx.NamedArgs{"environment": environment, "preview_id": key(preview)}
		err := tx.QueryRow(ctx, `
			UPDATE preview_names SET claimed_at = now()
			 WHERE environment = @environment AND preview_id = @preview_id
			RETURNING name`, args).Scan(&name)
		for _, args["name"] = range names {
			if !errors.Is(err, pgx.ErrNoRows) {
				break
			}
			err = tx.QueryRow(ctx, `
				INSERT INTO preview_names AS p (environment, name, preview_id)
				VALUES (@environment, @name, @preview_id)
				ON CONFLICT (environment, name) DO UPDATE SET preview_id = @preview_id, claimed_at = now()
				 WHERE p.preview_id = @preview_id
				    OR p.claimed_at < now() - interval '1 hour' AND NOT EXISTS (
				       SELECT 1 FROM instances i WHERE i.preview ->> 'id' = p.preview_id::text AND i.gone_at IS NULL)
				RETURNING name`, args).Scan(&name)
		}
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", provision.Errorf(provision.Conflict, "every name for this preview is another's in %s", environment)
	}
	return name, fault(err, "name preview "+preview.String())
}
