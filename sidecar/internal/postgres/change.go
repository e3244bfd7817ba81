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

// Locks are taken in the order request, instance, run, by everyone. NO KEY
// leaves room for the foreign-key checks of rows that name these.
const (
	lockRequestSQL = `SELECT ` + requestColumns + ` FROM requests r WHERE r.id = @id FOR NO KEY UPDATE`

	lockInstanceSQL = `
		SELECT ` + instanceColumns + ` FROM instances i
		 WHERE i.id = (SELECT instance_id FROM requests WHERE id = @id)
		   FOR NO KEY UPDATE`

	lockNewestRunSQL = `
		SELECT ` + runColumns + ` FROM runs u
		 WHERE u.request_id = @id
		 ORDER BY u.dispatched_at DESC, u.id DESC
		 LIMIT 1
		   FOR NO KEY UPDATE`

	lockRequestOfRunSQL = `
		SELECT ` + requestColumns + ` FROM requests r
		 WHERE r.id = (SELECT request_id FROM runs WHERE id = @id)
		   FOR NO KEY UPDATE`

	lockInstanceOfRunSQL = `
		SELECT ` + instanceColumns + ` FROM instances i
		 WHERE i.id = (SELECT instance_id FROM runs WHERE id = @id)
		   FOR NO KEY UPDATE`

	lockRunSQL = `SELECT ` + runColumns + ` FROM runs u WHERE u.id = @id FOR NO KEY UPDATE`
)

const updateRequestSQL = `
	UPDATE requests
	   SET state = @state, waiting = @waiting, holds = @holds::jsonb, released_at = @released_at, verdict = @verdict::jsonb, cancel_reason = @cancel_reason, error = @error::jsonb,
	       monthly_cost_mills = @monthly_cost_mills, plan = @plan::jsonb, approval = @approval::jsonb, approval_expires_at = @approval_expires_at, approved_at = @approved_at,
	       outputs = @outputs::jsonb, steps = @steps::jsonb, sequence = @sequence, updated_at = @updated_at,
	       finished_at = CASE WHEN @finished::boolean THEN COALESCE(finished_at, @updated_at) END
	 WHERE id = @id`

const updateInstanceSQL = `
	UPDATE instances
	   SET state = @state, generation = @generation, fence = @fence, parameters = @parameters::jsonb, links = @links::jsonb,
	       offering_version = @offering_version, offering_digest = @offering_digest, owner = @owner, cost_center = @cost_center,
	       monthly_cost_mills = @monthly_cost_mills, reserved_mills = @reserved_mills, committed_mills = @committed_mills,
	       outputs = @outputs::jsonb, request_id = @request_id, credentials_version = @credentials_version,
	       lifetime_seconds = @lifetime_seconds, expires_at = @expires_at, expiry_warn_at = @expiry_warn_at, expiry_destroy_at = @expiry_destroy_at,
	       sequence = @sequence, updated_at = @updated_at, gone_at = CASE WHEN @gone::boolean THEN COALESCE(gone_at, @updated_at) END,
	       changed_txid = pg_current_xact_id()
	 WHERE id = @id`

const insertRunSQL = `
	INSERT INTO runs (
		id, request_id, instance_id, pool, state, fence, worker, token_digest, lease_expires_at, report_sequence,
		dispatched_at, updated_at)
	VALUES (
		@id, @request_id, @instance_id, @pool, @state, @fence, @worker, @token_digest, @lease_expires_at, @report_sequence,
		@dispatched_at, @updated_at)`

const updateRunSQL = `
	UPDATE runs
	   SET state = @state, fence = @fence, worker = @worker, token_digest = @token_digest, lease_expires_at = @lease_expires_at,
	       report_sequence = @report_sequence, updated_at = @updated_at
	 WHERE id = @id`

// Change implements provision.Store. decide runs while the rows are locked: it
// must be quick and must not call Change.
func (s *Store) Change(ctx context.Context, requestID uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	return s.change(ctx, "request", requestID, []string{lockRequestSQL, lockInstanceSQL, lockNewestRunSQL, balancesOfRequestSQL}, decide)
}

// ChangeRun implements provision.Store, as Change does.
func (s *Store) ChangeRun(ctx context.Context, runID uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	return s.change(ctx, "run", runID, []string{lockRequestOfRunSQL, lockInstanceOfRunSQL, lockRunSQL, balancesOfRunSQL}, decide)
}

func (s *Store) change(ctx context.Context, what string, id uuid.UUID, locks []string, decide func(*provision.Record) error) (*provision.Record, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fault(err, "change "+what+" "+id.String())
	}
	defer conn.Release()
	record, err := lockRecord(ctx, conn, what, id, locks)
	if err != nil {
		rollback(ctx, conn)
		return nil, err
	}
	before, err := written(record)
	if err != nil {
		rollback(ctx, conn)
		return nil, err
	}
	if err := decide(record); err != nil {
		rollback(ctx, conn)
		return nil, err
	}
	batch, err := changes(record, before)
	if err != nil || batch.Len() == 0 {
		rollback(ctx, conn)
		return record, err
	}
	s.queueNotices(batch, record.Events())
	queueMoves(batch, record.Moves())
	batch.Queue("COMMIT")
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		rollback(ctx, conn)
		if overspent(err) {
			return nil, provision.ErrBudget
		}
		if constraint, ok := violated(err); ok && constraint == "runs_one_live_per_request" {
			return nil, provision.Errorf(provision.Conflict, "request %s has a run already", record.Request.ID)
		}
		return nil, fault(err, "change "+what+" "+id.String())
	}
	s.hub.committed(record.Events())
	return record, nil
}

// lockRecord begins a transaction and reads a record in one round trip. Its time is
// taken once the locks are held, so that it is later than that of whoever held
// them before.
func lockRecord(ctx context.Context, conn *pgxpool.Conn, what string, id uuid.UUID, locks []string) (*provision.Record, error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	for _, sql := range locks {
		batch.Queue(sql, pgx.NamedArgs{"id": id})
	}
	batch.Queue("SELECT clock_timestamp()")
	sent := conn.SendBatch(ctx, batch)
	defer sent.Close()
	if _, err := sent.Exec(); err != nil {
		return nil, fault(err, "begin")
	}
	request, err := next[requestRow](sent)
	if isNoRows(err) {
		return nil, provision.Errorf(provision.NotFound, "there is no %s %s", what, id)
	}
	if err != nil {
		return nil, fault(err, "lock "+what+" "+id.String())
	}
	instance, instanceErr := next[instanceRow](sent)
	run, runErr := next[runRow](sent)
	balances, balancesErr := rest[balanceRow](sent)
	var now time.Time
	err = sent.QueryRow().Scan(&now)
	for _, e := range []error{instanceErr, runErr, balancesErr, err} {
		if e != nil && !isNoRows(e) {
			return nil, fault(e, "lock "+what+" "+id.String())
		}
	}
	record, err := recordOf(request, found(instance, instanceErr), found(run, runErr), now)
	if err == nil {
		record.Balances = balancesOf(balances)
	}
	return record, err
}

func recordOf(request requestRow, instance *instanceRow, run *runRow, now time.Time) (*provision.Record, error) {
	asked, err := request.request()
	if err != nil {
		return nil, err
	}
	var thing *provision.Instance
	if instance != nil {
		read, err := instance.instance()
		if err != nil {
			return nil, err
		}
		thing = &read
	}
	var execution *provision.Run
	if run != nil {
		read := run.run()
		execution = &read
	}
	return provision.NewRecord(asked, thing, execution, now), nil
}

// next collects the one row of a batch's next statement.
func next[T any](sent pgx.BatchResults) (T, error) {
	rows, err := sent.Query()
	if err != nil {
		var none T
		return none, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
}

// rest collects the rows of a batch's next statement.
func rest[T any](sent pgx.BatchResults) ([]T, error) {
	rows, err := sent.Query()
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

func found[T any](row T, err error) *T {
	if err != nil {
		return nil
	}
	return &row
}

// state is a record as its rows are written: what changes is found by comparing.
type state struct {
	request, instance, run pgx.NamedArgs
	links                  []provision.Link // the instance's
}

func written(r *provision.Record) (state, error) {
	var s state
	var err error
	if s.request, err = requestArgs(r.Request); err != nil {
		return state{}, err
	}
	if r.Instance != nil {
		s.links = r.Instance.Links
		if s.instance, err = instanceArgs(*r.Instance); err != nil {
			return state{}, err
		}
	}
	if r.Run != nil {
		s.run = runArgs(*r.Run)
	}
	return s, nil
}

// changes are the statements that write what decide has changed; none when it
// changed nothing.
func changes(r *provision.Record, before state) (*pgx.Batch, error) {
	batch := &pgx.Batch{}
	after, err := written(r)
	if err != nil {
		return nil, err
	}
	now := r.Now()
	if !reflect.DeepEqual(before.request, after.request) {
		after.request["updated_at"] = now
		batch.Queue(updateRequestSQL, after.request)
		if after.request["finished"] == true && r.Request.Approval != nil {
			batch.Queue(dropPlansSQL, pgx.NamedArgs{"request_id": after.request["id"]})
		}
	}
	if !reflect.DeepEqual(before.instance, after.instance) {
		after.instance["updated_at"] = now
		batch.Queue(updateInstanceSQL, after.instance)
	}
	switch {
	case reflect.DeepEqual(before.run, after.run):
	case before.run == nil || before.run["id"] != after.run["id"]:
		batch.Queue(insertRunSQL, after.run)
	default:
		after.run["updated_at"] = now
		batch.Queue(updateRunSQL, after.run)
	}
	if before.request["finished"] != after.request["finished"] {
		queueLinksLeft(batch, r, before.links)
	}
	if err := queueVerdicts(batch, r); err != nil {
		return nil, err
	}
	queueJournal(batch, r)
	if len(r.Events()) > 0 {
		events, err := tellArgs(r.Events(), &now)
		if err != nil {
			return nil, err
		}
		batch.Queue(tellSQL, events)
	}
	return batch, nil
}

// rollback leaves the connection fit for the pool; one that cannot be is
// dropped by the pool when it is released.
func rollback(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = conn.Exec(ctx, "ROLLBACK") // see above
}
