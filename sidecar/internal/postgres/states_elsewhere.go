package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Bucket keeps the bytes of states outside the database. What it cannot do for
// now is Unavailable.
type Bucket interface {
	// Put keeps bytes under a key and answers where, for Get. It may be repeated.
	Put(ctx context.Context, key string, body []byte) (place string, err error)
	// Get answers what Put has kept at a place; NotFound when it is gone.
	Get(ctx context.Context, place string) ([]byte, error)
}

// keepElsewhere puts a sealed state into the bucket, under a name that says whose
// it is and what its bytes are: dev/postgres-database/orders-3f2a9c1b/2-7-<digest>.
func (s *Store) keepElsewhere(ctx context.Context, instanceID uuid.UUID, fence, serial int64, sealed []byte) (place string, err error) {
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	type owner struct{ Environment, Offering, Name, ShortID string }
	of, err := one[owner](bounded, s.pool, "instance", instanceID,
		`SELECT environment, offering, name, short_id FROM instances WHERE id = @id`, pgx.NamedArgs{"id": instanceID})
	if err != nil {
		return "", err
	}
	key := fmt.Sprintf("%s/%s/%s-%s/%d-%d-%s", of.Environment, of.Offering, of.Name, of.ShortID, fence, serial, nameOf(sealed))
	return s.bucket.Put(ctx, key, sealed)
}

// nameOf ends the name of an object by what is in it.
func nameOf(sealed []byte) string {
	digest := sha256.Sum256(sealed)
	return hex.EncodeToString(digest[:]) + ".tfstate.age"
}

// fetch is what is kept at a place, if it is what was put there: its name says.
// The row's digest does not, which stays that of the push when a state is sealed
// for other keys.
func (s *Store) fetch(ctx context.Context, place string) ([]byte, error) {
	if s.bucket == nil {
		return nil, provision.Errorf(provision.Unavailable, "the state is kept at %s: start the sidecar with --state, or bring it back with roadbed state move", place)
	}
	sealed, err := s.bucket.Get(ctx, place)
	if provision.KindOf(err) == provision.NotFound {
		return nil, provision.Errorf(provision.Unavailable, "there is no state at %s any more: restore that object, its bucket keeps versions if it was told to", place)
	}
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(place, "-"+nameOf(sealed)) {
		return nil, provision.Errorf(provision.Unavailable, "what is at %s is not the state that was put there: restore that object", place)
	}
	return sealed, nil
}

// MoveStates moves the bytes of the next states, in batches of one, until none is
// left where they shall not be: into the store's bucket, or with home from
// wherever it reads them back into the database. It may run beside a sidecar, be
// stopped and be run again; each state is told once it is moved. What was
// brought home stays in the bucket as well.
func (s *Store) MoveStates(ctx context.Context, home bool, told func(bytes int)) error {
	if s.bucket == nil {
		return errors.New("move states: there is no bucket")
	}
	for after := int64(0); ; {
		n, next, err := s.moveState(ctx, home, after)
		if err != nil || next == after {
			return err
		}
		after = next
		told(n)
	}
}

// moveState moves the first state after an id and answers its own, or after when
// none is left.
func (s *Store) moveState(ctx context.Context, home bool, after int64) (n int, id int64, err error) {
	type row struct {
		ID         int64
		InstanceID uuid.UUID
		Fence      int64
		Serial     int64
		Sealed     []byte
		Place      *string
	}
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	found, err := many[row](bounded, s.pool, "states", `
		SELECT id, instance_id, fence, serial, sealed, place FROM states
		 WHERE id > @after AND (place IS NOT NULL) = @home
		 ORDER BY id
		 LIMIT 1`, pgx.NamedArgs{"after": after, "home": home})
	if err != nil || len(found) == 0 {
		return 0, after, err
	}
	next := found[0]
	args := pgx.NamedArgs{"id": next.ID, "sealed": nil, "place": nil}
	if home {
		if next.Sealed, err = s.fetch(ctx, *next.Place); err != nil {
			return 0, after, err
		}
		args["sealed"] = next.Sealed
	} else if args["place"], err = s.keepElsewhere(ctx, next.InstanceID, next.Fence, next.Serial, next.Sealed); err != nil {
		return 0, after, err
	}
	bounded, cancel = s.bounded(ctx)
	defer cancel()
	_, err = s.pool.Exec(bounded, `UPDATE states SET sealed = @sealed, place = @place WHERE id = @id`, args)
	return len(next.Sealed), next.ID, fault(err, "move state")
}

// resealElsewhere is Reseal for the states in a bucket. The objects that were
// sealed for the older keys stay: deleting them is the bucket's to do.
func (s *Store) resealElsewhere(ctx context.Context, anew func(string, []byte) ([]byte, error)) (n int, err error) {
	type row struct {
		ID          int64
		InstanceID  uuid.UUID
		Fence       int64
		Serial      int64
		Place       string
		Environment string
	}
	for after := int64(0); ; {
		rows, err := many[row](ctx, s.pool, "states", `
			SELECT s.id, s.instance_id, s.fence, s.serial, s.place, i.environment
			  FROM states s JOIN instances i ON i.id = s.instance_id
			 WHERE s.id > @after AND s.place IS NOT NULL
			 ORDER BY s.id LIMIT 20`, pgx.NamedArgs{"after": after})
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, r := range rows {
			before, err := s.fetch(ctx, r.Place)
			if err != nil {
				return n, err
			}
			sealed, err := anew(r.Environment, before)
			if err != nil {
				return n, fmt.Errorf("seal the state at %s anew: %w", r.Place, err)
			}
			after = r.ID
			if bytes.Equal(sealed, before) {
				continue
			}
			place, err := s.keepElsewhere(ctx, r.InstanceID, r.Fence, r.Serial, sealed)
			if err != nil {
				return n, err
			}
			if _, err := s.pool.Exec(ctx, `UPDATE states SET place = @place WHERE id = @id AND place = @before`, pgx.NamedArgs{"id": r.ID, "place": place, "before": r.Place}); err != nil {
				return n, fault(err, "keep where a state is that is sealed anew")
			}
			n++
		}
	}
}
