package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	changesPage = 1000
	changesPoll = 500 * time.Millisecond // for commits of other replicas
)

// identitySQL names this database: transaction ids of another, or of the same
// data restored elsewhere, mean nothing here.
const identitySQL = `
	SELECT system_identifier::text || '-' || (SELECT oid::text FROM pg_database WHERE datname = current_database()),
	       pg_snapshot_xmin(pg_current_snapshot())::text::bigint
	  FROM pg_control_system()`

const changesSQL = `
	SELECT ` + instanceColumns + `, i.changed_txid::text::bigint AS changed, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon
	  FROM instances i
	 WHERE i.changed_txid >= @after::text::xid8 AND i.changed_txid < pg_snapshot_xmin(pg_current_snapshot())
	 ORDER BY i.changed_txid
	 LIMIT @limit`

type changedRow struct {
	instanceRow
	Changed int64
	Horizon int64
}

// Changes implements provision.Store. While another transaction of the cluster
// is open, changes that are newer than it wait for its end; none is skipped.
func (s *Store) Changes(ctx context.Context, cursor string, wait time.Duration) (provision.InstanceChanges, error) {
	woken, stop := s.Watch(uuid.Nil) // before the first look, so that nothing falls between
	defer stop()
	identity, after, err := readChangeCursor(cursor)
	if err != nil {
		return provision.InstanceChanges{}, err
	}
	here, horizon, err := s.identity(ctx)
	if err != nil {
		return provision.InstanceChanges{}, err
	}
	if identity != here || after > horizon {
		return provision.InstanceChanges{}, provision.Errorf(provision.Gone, "this cursor is of another database; read everything again")
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	poll := time.NewTicker(changesPoll)
	defer poll.Stop()
	for {
		found, next, err := s.changesAfter(ctx, after)
		if err != nil {
			return provision.InstanceChanges{}, err
		}
		if len(found) > 0 || wait <= 0 {
			return provision.InstanceChanges{Instances: found, Cursor: changeCursor(here, next)}, nil
		}
		after = next
		select {
		case <-ctx.Done():
			return provision.InstanceChanges{}, fault(ctx.Err(), "wait for changes")
		case <-deadline.C:
			wait = 0
		case <-woken:
		case <-poll.C:
		}
	}
}

// Snapshot implements provision.Store. It reads every living instance at once:
// a part of them would look like the removal of the rest.
func (s *Store) Snapshot(ctx context.Context) (provision.InstanceChanges, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	here, horizon, err := s.identity(ctx) // first: what commits in between is read twice, not never
	if err != nil {
		return provision.InstanceChanges{}, err
	}
	rows, err := many[instanceRow](ctx, s.pool, "living instances", `
		SELECT `+instanceColumns+`
		  FROM instances i
		 WHERE i.state NOT IN ('destroyed', 'released')
		 ORDER BY i.created_at DESC, i.id DESC`, pgx.NamedArgs{})
	if err != nil {
		return provision.InstanceChanges{}, err
	}
	all := provision.InstanceChanges{Instances: make([]provision.Instance, len(rows)), Cursor: changeCursor(here, horizon)}
	for i, row := range rows {
		if all.Instances[i], err = row.instance(); err != nil {
			return provision.InstanceChanges{}, err
		}
	}
	return all, nil
}

// changesAfter are the instances that transactions from after on have changed,
// and where to go on from.
func (s *Store) changesAfter(ctx context.Context, after int64) ([]provision.Instance, int64, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[changedRow](ctx, s.pool, "changed instances", changesSQL,
		pgx.NamedArgs{"after": strconv.FormatInt(after, 10), "limit": changesPage})
	if err != nil || len(rows) == 0 {
		return nil, after, err
	}
	next := rows[0].Horizon
	if len(rows) == changesPage {
		next = rows[len(rows)-1].Changed + 1 // a transaction changes one instance
	}
	found := make([]provision.Instance, len(rows))
	for i, row := range rows {
		if found[i], err = row.instance(); err != nil {
			return nil, 0, err
		}
	}
	return found, next, nil
}

func (s *Store) identity(ctx context.Context) (name string, horizon int64, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, identitySQL).Scan(&name, &horizon)
	return name, horizon, fault(err, "read the database's identity")
}

func changeCursor(identity string, txid int64) string { return fmt.Sprintf("%s.%d", identity, txid) }

func readChangeCursor(cursor string) (identity string, txid int64, err error) {
	identity, text, _ := strings.Cut(cursor, ".")
	txid, err = strconv.ParseInt(text, 10, 64)
	if err != nil || identity == "" || txid < 0 {
		return "", 0, provision.Errorf(provision.Gone, "this cursor cannot be read; read everything again")
	}
	return identity, txid, nil
}
