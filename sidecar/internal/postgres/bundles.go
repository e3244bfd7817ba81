package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// bundle is a published offering; it never changes, so a process reads it once.
type bundle struct {
	offering provision.Offering
	files    []byte
}

// PutBundle implements provision.Store; a digest that is kept already is left
// as it is.
func (s *Store) PutBundle(ctx context.Context, o provision.Offering, files []byte) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	contract, err := encode(o)
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, `
		INSERT INTO offerings (digest, id, version, contract, apply_timeout_seconds, bundle)
		VALUES (@digest, @id, @version, @contract::jsonb, @apply_timeout_seconds, @bundle)
		ON CONFLICT (digest) DO NOTHING`,
		pgx.NamedArgs{
			"digest": o.Digest, "id": o.ID, "version": o.Version, "contract": contract,
			"apply_timeout_seconds": int64(o.ApplyTimeout / time.Second), "bundle": files,
		})
	if err != nil {
		return fault(err, "keep bundle "+o.Digest)
	}
	_, _, err = s.Bundle(ctx, o.Digest) // what is kept counts, and is now at hand
	return err
}

// Bundle implements provision.Store. It is called while a record is locked and
// all connections of the pool may be held by such calls, so the first read of a
// digest takes a connection of its own; later ones take none.
func (s *Store) Bundle(ctx context.Context, digest string) (provision.Offering, []byte, error) {
	if cached, ok := s.bundles.Load(digest); ok {
		return cached.(bundle).offering, cached.(bundle).files, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return provision.Offering{}, nil, fault(err, "read bundle "+digest)
	}
	defer conn.Close(ctx)
	type row struct {
		Contract            []byte
		ApplyTimeoutSeconds int64
		Bundle              []byte
	}
	read, err := one[row](ctx, conn, "offering with digest", digest, `
		SELECT o.contract, o.apply_timeout_seconds, o.bundle FROM offerings o WHERE o.digest = @digest`,
		pgx.NamedArgs{"digest": digest})
	if err != nil {
		return provision.Offering{}, nil, err
	}
	kept := bundle{files: read.Bundle}
	if err := decode(read.Contract, &kept.offering); err != nil {
		return provision.Offering{}, nil, fault(err, "read bundle "+digest)
	}
	kept.offering.ApplyTimeout = time.Duration(read.ApplyTimeoutSeconds) * time.Second
	s.bundles.Store(digest, kept)
	return kept.offering, kept.files, nil
}
