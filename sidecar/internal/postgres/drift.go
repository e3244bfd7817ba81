package postgres

import (
	"context"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The instance is locked first, as everyone does who locks one.
const (
	lockInstanceByIDSQL = `SELECT ` + instanceColumns + ` FROM instances i WHERE i.id = @id FOR NO KEY UPDATE`

	lockCheckSQL = `SELECT ` + checkColumns + ` FROM drift_checks c WHERE c.instance_id = @id FOR UPDATE`

	aroundCheckSQL = `
		SELECT EXISTS (SELECT FROM requests r WHERE r.instance_id = @id AND ` + liveRequest + `) AS busy,
		       COALESCE((SELECT u.request_id FROM states s JOIN runs u ON u.id = s.run_id WHERE s.instance_id = @id AND s.head),
		                '00000000-0000-0000-0000-000000000000') AS applied_by,
		       clock_timestamp() AS now`

	liveRequest = `r.state NOT IN ('succeeded', 'failed', 'denied', 'cancelled')`
)

const updateDriftSQL = `
	UPDATE instances
	   SET drift = @drift::jsonb, sequence = @sequence, updated_at = @updated_at, changed_txid = pg_current_xact_id()
	 WHERE id = @id`

const upsertCheckSQL = `
	INSERT INTO drift_checks (
		instance_id, due_at, asked_by, checked_at, failure, worker, token_digest, generation, fence, expires_at)
	VALUES (
		@instance_id, @due_at, @asked_by, @checked_at, @failure, @worker, @token_digest, @generation, @fence, @expires_at)
	ON CONFLICT (instance_id) DO UPDATE
	   SET due_at = excluded.due_at, asked_by = excluded.asked_by, checked_at = excluded.checked_at, failure = excluded.failure,
	       worker = excluded.worker, token_digest = excluded.token_digest, generation = excluded.generation,
	       fence = excluded.fence, expires_at = excluded.expires_at`

const checkColumns = `c.due_at, c.asked_by, c.checked_at, c.failure, c.worker, c.token_digest, c.generation, c.fence, c.expires_at`

// checkRow is a row of drift_checks as it is read.
type checkRow struct {
	DueAt       *time.Time
	AskedBy     string
	CheckedAt   *time.Time
	Failure     string
	Worker      string
	TokenDigest string
	Generation  int64
	Fence       int64
	ExpiresAt   *time.Time
}

func (r checkRow) check() provision.DriftCheck {
	return provision.DriftCheck{
		DueAt: timeOf(r.DueAt), AskedBy: r.AskedBy, CheckedAt: timeOf(r.CheckedAt), Failure: r.Failure, Worker: r.Worker,
		TokenDigest: r.TokenDigest, Generation: r.Generation, Fence: r.Fence, ExpiresAt: timeOf(r.ExpiresAt),
	}
}

func checkArgs(id uuid.UUID, c provision.DriftCheck) pgx.NamedArgs {
	return pgx.NamedArgs{
		"instance_id": key(id), "due_at": setTime(c.DueAt), "asked_by": c.AskedBy, "checked_at": setTime(c.CheckedAt),
		"failure": clean(c.Failure), "worker": c.Worker, "token_digest": c.TokenDigest, "generation": c.Generation,
		"fence": c.Fence, "expires_at": setTime(c.ExpiresAt),
	}
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func setTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// aroundRow is what there is around a check.
type aroundRow struct {
	Busy      bool
	AppliedBy uuid.UUID
	Now       time.Time
}

// ChangeDrift implements provision.Store. decide runs while the rows are
// locked: it must be quick.
func (s *Store) ChangeDrift(ctx context.Context, instanceID uuid.UUID, decide func(*provision.DriftRecord) error) (*provision.DriftRecord, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	doing := "change drift of instance " + instanceID.String()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fault(err, doing)
	}
	defer conn.Release()
	record, err := lockDrift(ctx, conn, instanceID)
	if err != nil {
		rollback(ctx, conn)
		return nil, shown(err, doing)
	}
	instance, check, activity := record.Instance, record.Check, record.Activity
	if err := decide(record); err != nil {
		rollback(ctx, conn)
		return nil, err
	}
	batch, err := driftChanges(record, instance, check, activity)
	if err != nil || batch.Len() == 0 {
		rollback(ctx, conn)
		return record, err
	}
	s.queueNotices(batch, record.Events())
	batch.Queue("COMMIT")
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		rollback(ctx, conn)
		return nil, fault(err, doing)
	}
	s.hub.committed(record.Events())
	return record, nil
}

func lockDrift(ctx context.Context, conn *pgxpool.Conn, id uuid.UUID) (*provision.DriftRecord, error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	for _, sql := range []string{lockInstanceByIDSQL, lockCheckSQL, lockActivitySQL, aroundCheckSQL} {
		batch.Queue(sql, pgx.NamedArgs{"id": id})
	}
	sent := conn.SendBatch(ctx, batch)
	defer sent.Close()
	if _, err := sent.Exec(); err != nil {
		return nil, err
	}
	row, err := next[instanceRow](sent)
	if isNoRows(err) {
		return nil, provision.Errorf(provision.NotFound, "there is no instance %s", id)
	}
	if err != nil {
		return nil, err
	}
	check, err := next[checkRow](sent)
	if err != nil && !isNoRows(err) {
		return nil, err
	}
	activity, err := next[activityRow](sent)
	if err != nil && !isNoRows(err) {
		return nil, err
	}
	around, err := next[aroundRow](sent)
	if err != nil {
		return nil, err
	}
	instance, err := row.instance()
	if err != nil {
		return nil, err
	}
	record := provision.NewDriftRecord(instance, check.check(), around.Busy, around.AppliedBy, around.Now)
	record.Activity, err = activity.activity()
	return record, err
}

// driftChanges are the statements that write what has changed; none when nothing has.
func driftChanges(r *provision.DriftRecord, instance provision.Instance, check provision.DriftCheck, activity provision.Activity) (*pgx.Batch, error) {
	batch, now := &pgx.Batch{}, r.Now()
	if r.Instance.Sequence != instance.Sequence || !reflect.DeepEqual(r.Instance.Drift, instance.Drift) {
		drift, err := encodeSet(r.Instance.Drift, r.Instance.Drift != nil)
		if err != nil {
			return nil, err
		}
		batch.Queue(updateDriftSQL, pgx.NamedArgs{"id": key(instance.ID), "drift": drift, "sequence": r.Instance.Sequence, "updated_at": r.Instance.UpdatedAt})
	}
	if r.Check != check {
		batch.Queue(upsertCheckSQL, checkArgs(instance.ID, r.Check))
	}
	if !reflect.DeepEqual(r.Activity, activity) {
		args, err := activityArgs(instance.ID, r.Activity)
		if err != nil {
			return nil, err
		}
		batch.Queue(upsertActivitySQL, args)
	}
	if len(r.Events()) > 0 {
		events, err := tellArgs(r.Events(), &now)
		if err != nil {
			return nil, err
		}
		batch.Queue(tellSQL, events)
	}
	return batch, nil
}

// DriftCheck implements provision.Store.
func (s *Store) DriftCheck(ctx context.Context, instanceID uuid.UUID) (provision.DriftCheck, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[checkRow](ctx, s.pool, "drift check", `SELECT `+checkColumns+` FROM drift_checks c WHERE c.instance_id = @id`, pgx.NamedArgs{"id": instanceID})
	if err != nil || len(rows) == 0 {
		return provision.DriftCheck{}, err
	}
	return rows[0].check(), nil
}

// DueChecks implements provision.Store. An instance whose drift was found before
// its newest request is due as well: that request may have put it right.
func (s *Store) DueChecks(ctx context.Context, f provision.DueChecks) ([]uuid.UUID, error) {
	return s.ids(ctx, "due drift checks", `
		WITH due AS (
			SELECT c.instance_id AS id, c.due_at AS at FROM drift_checks c
			 WHERE c.due_at <= now() - @late::interval AND (NOT @asked::boolean OR c.asked_by <> @system)
			UNION ALL
			SELECT c.instance_id, c.expires_at FROM drift_checks c
			 WHERE c.expires_at <= now() - @late::interval AND (NOT @asked::boolean OR c.asked_by <> @system)
			UNION ALL
			SELECT i.id, i.updated_at FROM instances i
			 WHERE i.drift IS NOT NULL AND (i.drift->>'generation')::bigint < i.generation AND i.updated_at <= now() - @late::interval)
		SELECT i.id
		  FROM due JOIN instances i ON i.id = due.id LEFT JOIN drift_checks c ON c.instance_id = i.id
		 WHERE i.state = 'ready' AND i.environment = ANY(@environments) AND (c.expires_at IS NULL OR c.expires_at <= now())
		   AND NOT EXISTS (SELECT FROM requests r WHERE r.instance_id = i.id AND `+liveRequest+`)
		 GROUP BY i.id
		 ORDER BY min(due.at), i.id
		 LIMIT @limit`,
		pgx.NamedArgs{
			"environments": f.Environments, "asked": f.Asked, "late": f.Late, "limit": f.Limit, "system": provision.DriftSubject,
		})
}

// ScheduleDrift makes a first check due, within every, of ready instances that
// have none, at most limit. When is a hash of the instance's id, so that what was
// made together is checked apart. It says how many it scheduled.
func (s *Store) ScheduleDrift(ctx context.Context, every time.Duration, limit int) (int, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	done, err := s.pool.Exec(ctx, `
		INSERT INTO drift_checks (instance_id, due_at, asked_by, failure, worker, token_digest, generation, fence)
		SELECT i.id, now() + @every::interval * ((hashtext(i.id::text)::bigint & 65535) + 1) / 65536.0, @system, '', '', '', 0, 0
		  FROM instances i LEFT JOIN drift_checks c ON c.instance_id = i.id
		 WHERE i.state = 'ready' AND c.due_at IS NULL AND c.expires_at IS NULL
		 ORDER BY i.id
		 LIMIT @limit
		ON CONFLICT (instance_id) DO UPDATE SET due_at = excluded.due_at, asked_by = excluded.asked_by
		 WHERE drift_checks.due_at IS NULL AND drift_checks.expires_at IS NULL`,
		pgx.NamedArgs{"every": every, "limit": limit, "system": provision.DriftSubject})
	if err != nil {
		return 0, fault(err, "schedule drift checks")
	}
	return int(done.RowsAffected()), nil
}

// Drifted implements provision.Store.
func (s *Store) Drifted(ctx context.Context, owners []string, limit int) ([]provision.Instance, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[instanceRow](ctx, s.pool, "drifted instances", `
		SELECT `+instanceColumns+`
		  FROM instances i
		 WHERE i.drift IS NOT NULL AND i.state NOT IN ('destroyed', 'released') AND (@owners::text[] IS NULL OR i.owner = ANY(@owners))
		 ORDER BY i.drift->>'first_seen' DESC, i.id DESC
		 LIMIT @limit`,
		pgx.NamedArgs{"owners": owners, "limit": limit})
	if err != nil {
		return nil, err
	}
	drifted := make([]provision.Instance, len(rows))
	for i, row := range rows {
		if drifted[i], err = row.instance(); err != nil {
			return nil, err
		}
	}
	return drifted, nil
}
