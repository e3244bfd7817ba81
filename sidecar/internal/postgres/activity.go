package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	lockActivitySQL = `SELECT a.activity, a.told_at FROM instance_activity a WHERE a.instance_id = @id FOR UPDATE`

	upsertActivitySQL = `
		INSERT INTO instance_activity (instance_id, activity, unused_since, told_at)
		VALUES (@instance_id, @activity::jsonb, @unused_since, @told_at)
		ON CONFLICT (instance_id) DO UPDATE
		   SET activity = excluded.activity, unused_since = excluded.unused_since, told_at = excluded.told_at`

	fromUnused = `
		  FROM instances i JOIN instance_activity a ON a.instance_id = i.id
		 WHERE a.unused_since IS NOT NULL AND i.state NOT IN ('destroying', 'destroyed', 'released')`

	// unanswered is what no answer keeps its owner from being told of.
	unanswered = `COALESCE((a.activity->'answer'->>'until')::timestamptz <= now(), true)`
)

// activityRow is a row of instance_activity as it is read. When its owner was
// told is a column alone, so that telling writes nothing else.
type activityRow struct {
	Activity []byte
	ToldAt   *time.Time
}

func (r activityRow) activity() (provision.Activity, error) {
	var a provision.Activity
	if len(r.Activity) == 0 {
		return a, nil
	}
	err := decode(r.Activity, &a)
	a.ToldAt = timeOf(r.ToldAt)
	return a, fault(err, "read activity")
}

func activityArgs(id uuid.UUID, a provision.Activity) (pgx.NamedArgs, error) {
	told := a.ToldAt
	a.ToldAt = time.Time{}
	text, err := encode(a)
	return pgx.NamedArgs{
		"instance_id": key(id), "activity": text, "unused_since": setTime(a.UnusedSince), "told_at": setTime(told),
	}, err
}

// Activity implements provision.Store.
func (s *Store) Activity(ctx context.Context, instanceID uuid.UUID) (provision.Activity, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[activityRow](ctx, s.pool, "activity", `
		SELECT a.activity, a.told_at FROM instance_activity a WHERE a.instance_id = @id`, pgx.NamedArgs{"id": instanceID})
	if err != nil || len(rows) == 0 {
		return provision.Activity{}, err
	}
	return rows[0].activity()
}

// unusedRow is an unused instance as it is read.
type unusedRow struct {
	instanceRow
	activityRow
}

func unusedOf(rows []unusedRow) ([]provision.UnusedInstance, error) {
	found := make([]provision.UnusedInstance, len(rows))
	for n, row := range rows {
		var err error
		if found[n].Instance, err = row.instance(); err != nil {
			return nil, err
		}
		if found[n].Activity, err = row.activity(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Unused implements provision.Store.
func (s *Store) Unused(ctx context.Context, owners []string, limit int) ([]provision.UnusedInstance, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[unusedRow](ctx, s.pool, "unused instances", `
		SELECT `+instanceColumns+`, a.activity, a.told_at`+fromUnused+` AND (@owners::text[] IS NULL OR i.owner = ANY(@owners))
		 ORDER BY a.unused_since, i.id
		 LIMIT @limit`,
		pgx.NamedArgs{"owners": owners, "limit": limit})
	if err != nil {
		return nil, err
	}
	return unusedOf(rows)
}

// UntoldUnused are the owners who have an unused instance that they were not told
// of, and who were told of none for age; at most limit.
func (s *Store) UntoldUnused(ctx context.Context, age time.Duration, limit int) ([]string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct{ Owner string }
	rows, err := many[row](ctx, s.pool, "owners of what is unused", `
		SELECT i.owner`+fromUnused+` AND `+unanswered+`
		 GROUP BY i.owner
		HAVING bool_or(a.told_at IS NULL) AND COALESCE(max(a.told_at) <= now() - @age::interval, true)
		 ORDER BY i.owner
		 LIMIT @limit`,
		pgx.NamedArgs{"age": age, "limit": limit})
	owners := make([]string, len(rows))
	for n, r := range rows {
		owners[n] = r.Owner
	}
	return owners, err
}

// TellUnused tells an owner of all that they have unused, in one event. It tells
// nothing, and says so, when another process has done so meanwhile.
func (s *Store) TellUnused(ctx context.Context, owner string, limit int) (told bool, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	doing := "tell " + owner + " of what is unused"
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return false, fault(err, doing)
	}
	defer tx.Rollback(ctx) //nolint:errcheck // of no effect once it is committed
	rows, err := many[unusedRow](ctx, tx, "unused instances", `
		SELECT `+instanceColumns+`, a.activity, a.told_at`+fromUnused+` AND i.owner = @owner AND `+unanswered+`
		 ORDER BY i.id
		 LIMIT @limit
		   FOR NO KEY UPDATE OF i, a`,
		pgx.NamedArgs{"owner": owner, "limit": limit})
	if err != nil {
		return false, err
	}
	found, err := unusedOf(rows)
	if err != nil {
		return false, err
	}
	ids, news := make([]uuid.UUID, len(found)), false
	for n, f := range found {
		ids[n], news = f.Instance.ID, news || f.Activity.ToldAt.IsZero()
	}
	if !news {
		return false, nil
	}
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return false, fault(err, doing)
	}
	events := []provision.Event{provision.TellUnused(found, now.UTC())}
	args, err := tellArgs(events, &now)
	if err != nil {
		return false, err
	}
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE instance_activity SET told_at = @now WHERE instance_id = ANY(@ids)`, pgx.NamedArgs{"now": now, "ids": ids})
	batch.Queue(`UPDATE instances SET sequence = @sequence, updated_at = @now, changed_txid = pg_current_xact_id() WHERE id = @id`,
		pgx.NamedArgs{"id": events[0].SubjectID, "sequence": events[0].Sequence, "now": now})
	s.queueNotices(batch, events)
	batch.Queue(tellSQL, args)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return false, fault(err, doing)
	}
	if err := tx.Commit(ctx); err != nil {
		return false, fault(err, doing)
	}
	s.hub.committed(events)
	return true, nil
}
