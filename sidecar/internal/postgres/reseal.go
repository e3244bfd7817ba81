package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Resealed is how much was sealed anew.
type Resealed struct {
	States     int // every version that was ever pushed
	Parameters int // sensitive parameters of requests and instances
	Resources  int // ids of resources in the journal
}

// Reseal gives whatever is kept sealed to anew, with the environment that it is
// of, and keeps what comes back, unless it is the same. It goes through all of it in small steps, beside
// a sidecar at work, and may be repeated; an error leaves the rest as it was.
// Plans that wait for approval are left alone: the request holds their digest,
// and they end with its approval.
func (s *Store) Reseal(ctx context.Context, anew func(environment string, sealed []byte) ([]byte, error)) (Resealed, error) {
	var done Resealed
	var err error
	if done.States, err = s.resealRows(ctx, "states", "sealed", anew); err != nil {
		return done, err
	}
	elsewhere, err := s.resealElsewhere(ctx, anew)
	if done.States += elsewhere; err != nil {
		return done, err
	}
	if done.Resources, err = s.resealRows(ctx, "journal", "sealed_id", anew); err != nil {
		return done, err
	}
	for _, table := range []string{"instances", "requests"} {
		n, err := s.resealParameters(ctx, table, anew)
		done.Parameters += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// resealRows is Reseal for a column of a table of instances' rows. A row's bytes
// are never changed but here. A state keeps the digest that it was pushed with,
// so that the same push again is still known.
func (s *Store) resealRows(ctx context.Context, table, column string, anew func(string, []byte) ([]byte, error)) (n int, err error) {
	type row struct {
		ID          int64
		Sealed      []byte
		Environment string
	}
	list := fmt.Sprintf(`
		SELECT t.id, t.%[2]s AS sealed, i.environment
		  FROM %[1]s t JOIN instances i ON i.id = t.instance_id
		 WHERE t.id > @after AND t.%[2]s IS NOT NULL
		 ORDER BY t.id LIMIT 20`, table, column)
	update := fmt.Sprintf(`UPDATE %s SET %s = @sealed WHERE id = @id`, table, column)
	for after := int64(0); ; {
		rows, err := many[row](ctx, s.pool, table, list, pgx.NamedArgs{"after": after})
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, r := range rows {
			sealed, err := anew(r.Environment, r.Sealed)
			if err != nil {
				return n, fmt.Errorf("seal row %d of %s anew: %w", r.ID, table, err)
			}
			after = r.ID
			if bytes.Equal(sealed, r.Sealed) {
				continue
			}
			if _, err := s.pool.Exec(ctx, update, pgx.NamedArgs{"id": r.ID, "sealed": sealed}); err != nil {
				return n, fault(err, "keep what is sealed anew in "+table)
			}
			n++
		}
	}
}

// resealParameters is Reseal for the parameters of instances or of requests.
func (s *Store) resealParameters(ctx context.Context, table string, anew func(string, []byte) ([]byte, error)) (n int, err error) {
	type row struct {
		ID          uuid.UUID
		Environment string
		Parameters  provision.Parameters
	}
	list := fmt.Sprintf(`
		SELECT t.id, t.environment, t.parameters FROM %s t
		 WHERE t.id > @after AND jsonb_path_exists(t.parameters, '$.*.sealed')
		 ORDER BY t.id LIMIT 100`, table)
	update := fmt.Sprintf(`UPDATE %s SET parameters = @parameters WHERE id = @id AND parameters = @before`, table)
	for after := uuid.Nil; ; {
		rows, err := many[row](ctx, s.pool, table, list, pgx.NamedArgs{"after": after})
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, r := range rows {
			changed, parameters := 0, provision.Parameters{}
			for name, value := range r.Parameters {
				parameters[name] = value
				before, ok := provision.Sealed(value)
				if !ok {
					continue
				}
				sealed, err := anew(r.Environment, before)
				if err != nil {
					return n, fmt.Errorf("seal the parameter %s of %s %s anew: %w", name, table, r.ID, err)
				}
				if !bytes.Equal(sealed, before) {
					parameters[name] = provision.SealedValue(sealed)
					changed++
				}
			}
			after = r.ID
			if changed == 0 {
				continue
			}
			tag, err := s.pool.Exec(ctx, update, pgx.NamedArgs{"id": r.ID, "parameters": parameters, "before": r.Parameters})
			if err != nil {
				return n, fault(err, "keep parameters that are sealed anew")
			}
			if tag.RowsAffected() == 0 {
				return n, provision.Errorf(provision.Conflict, "the parameters of %s %s were changed meanwhile; run it again", table, r.ID)
			}
			n += changed
		}
	}
}
