package postgres

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// A push moves the head when it was made under the newest token, and its serial
// does not go back under that token. Both statements run under the instance's
// lock.
const (
	demoteStateSQL = `
		UPDATE states s
		   SET head = false
		  FROM instances i
		 WHERE i.id = @instance_id AND i.fence = @fence AND s.instance_id = i.id AND s.head
		   AND NOT (s.fence = @fence AND s.serial > @serial)`

	insertStateSQL = `
		INSERT INTO states (instance_id, run_id, fence, serial, lineage, digest, sealed, place, head)
		SELECT i.id, @run_id, @fence, @serial, @lineage, @digest, @sealed, @place,
		       i.fence = @fence AND NOT EXISTS (SELECT FROM states s WHERE s.instance_id = i.id AND s.head)
		  FROM instances i
		 WHERE i.id = @instance_id
		RETURNING head`
)

// PushState implements provision.Store. The same push again changes nothing and
// answers as the state stands now. With a Bucket the bytes are kept there first:
// what the row names is always there, and a push that fails in between leaves an
// object that the same push writes again.
func (s *Store) PushState(ctx context.Context, v provision.StateVersion) (head bool, err error) {
	digest := sha256.Sum256(v.Sealed)
	args := pgx.NamedArgs{
		"instance_id": v.InstanceID, "run_id": v.RunID, "fence": v.Fence, "serial": v.Serial, "lineage": v.Lineage,
		"digest": digest[:], "sealed": v.Sealed, "place": nil,
	}
	if s.bucket != nil {
		place, err := s.keepElsewhere(ctx, v.InstanceID, v.Fence, v.Serial, v.Sealed)
		if err != nil {
			return false, err
		}
		args["sealed"], args["place"] = nil, place
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var locked bool
		err := tx.QueryRow(ctx, `SELECT true FROM instances WHERE id = @instance_id FOR NO KEY UPDATE`, args).Scan(&locked)
		if isNoRows(err) {
			return provision.Errorf(provision.NotFound, "there is no instance %s", v.InstanceID)
		}
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			SELECT s.head FROM states s
			 WHERE s.instance_id = @instance_id AND s.fence = @fence AND s.serial = @serial AND s.digest = @digest`, args).Scan(&head)
		if !isNoRows(err) {
			return err // pushed before, or the database is in trouble
		}
		if _, err := tx.Exec(ctx, demoteStateSQL, args); err != nil {
			return err
		}
		return tx.QueryRow(ctx, insertStateSQL, args).Scan(&head)
	})
	if err != nil {
		return false, shown(err, "keep state of run "+v.RunID.String())
	}
	return head, nil
}

// LatestState implements provision.Store.
func (s *Store) LatestState(ctx context.Context, instanceID uuid.UUID) (provision.StateVersion, error) {
	type row struct {
		RunID    uuid.UUID
		Fence    int64
		Serial   int64
		Lineage  string
		Sealed   []byte
		Place    *string
		PushedAt time.Time
	}
	bounded, cancel := s.bounded(ctx)
	defer cancel()
	head, err := one[row](bounded, s.pool, "state of instance", instanceID, `
		SELECT s.run_id, s.fence, s.serial, s.lineage, s.sealed, s.place, s.pushed_at
		  FROM states s
		 WHERE s.instance_id = @instance_id AND s.head`,
		pgx.NamedArgs{"instance_id": instanceID})
	if err != nil {
		return provision.StateVersion{}, err
	}
	if head.Place != nil {
		if head.Sealed, err = s.fetch(ctx, *head.Place); err != nil {
			return provision.StateVersion{}, err
		}
	}
	return provision.StateVersion{
		InstanceID: instanceID, RunID: head.RunID, Fence: head.Fence, Serial: head.Serial, Lineage: head.Lineage,
		Sealed: head.Sealed, Head: true, At: head.PushedAt,
	}, nil
}
