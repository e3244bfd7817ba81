package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The record's clock is the sidecar's guess of now; wherever its steps carry
// it, the transaction's start is written instead.
const insertRequestSQL = `
	INSERT INTO requests (
		id, action, offering, offering_version, offering_digest, instance_id, generation, environment, name, owner,
		cost_center, parameters, links, state, waiting, holds, requested_by, actor, task, idempotency_key, body_digest, traceparent,
		monthly_cost_mills, lifetime_seconds, rollout, verdict, cancel_reason, approval, error, outputs, steps, sequence, created_at, updated_at, finished_at)
	VALUES (
		@id, @action, @offering, @offering_version, @offering_digest, @instance_id, @generation, @environment, @name, @owner,
		@cost_center, @parameters::jsonb, @links::jsonb, @state, @waiting, @holds::jsonb, @requested_by, @actor, @task, @idempotency_key, @body_digest, @traceparent,
		@monthly_cost_mills, @lifetime_seconds, @rollout::jsonb, @verdict::jsonb, @cancel_reason, @approval::jsonb, @error::jsonb, @outputs::jsonb,
		replace(@steps::text, @clock::text, to_json(now())::text)::jsonb, @sequence, now(), now(),
		CASE WHEN @finished::boolean THEN now() END)
	RETURNING now()`

const insertInstanceSQL = `
	INSERT INTO instances (
		id, short_id, offering, offering_version, offering_digest, environment, name, owner, cost_center, state, generation,
		fence, parameters, links, imports, monthly_cost_mills, reserved_mills, committed_mills, outputs, request_id, sequence,
		preview, lifetime_seconds, grace_seconds, expires_at, expiry_warn_at, expiry_destroy_at, created_at, updated_at)
	VALUES (
		@id, @short_id, @offering, @offering_version, @offering_digest, @environment, @name, @owner, @cost_center, @state,
		@generation, @fence, @parameters::jsonb, @links::jsonb, @imports::jsonb, @monthly_cost_mills, @reserved_mills, @committed_mills,
		@outputs::jsonb, @request_id, @sequence, @preview::jsonb, @lifetime_seconds, @grace_seconds, now() + (@expires_at::timestamptz - @clock::timestamptz),
		now() + (@expiry_warn_at::timestamptz - @clock::timestamptz), now() + (@expiry_destroy_at::timestamptz - @clock::timestamptz), now(), now())`

// The generation that the record was made from must still be the instance's:
// another request may have been accepted since. So must what it has taken of
// budgets: the one before may have ended since.
const takeInstanceSQL = `
	WITH taken AS (
		UPDATE instances
		   SET generation = @generation, request_id = @request_id, reserved_mills = @reserved_mills,
		       updated_at = now(), changed_txid = pg_current_xact_id()
		 WHERE id = @id AND generation = @generation - 1 AND reserved_mills = 0 AND committed_mills = @committed_mills
		   AND state NOT IN ('destroyed', 'released')
		RETURNING id)
	SELECT roadbed_found((SELECT count(*) FROM taken), 'instance has moved on')`

const insertVerdictSQL = `
	INSERT INTO verdicts (request_id, stage, outcome, findings, estimate, bundle_digest, prices_digest, input, at)
	VALUES (@request_id, @stage, @outcome, @findings::jsonb, @estimate::jsonb, @bundle_digest, @prices_digest, @input::jsonb, @at)`

// Accept implements provision.Store in one round trip: a pipelined batch is one
// transaction.
func (s *Store) Accept(ctx context.Context, r *provision.Record) error {
	err := s.insert(ctx, r)
	if constraint, ok := violated(err); ok || missed(err) {
		if replay := s.replay(ctx, r.Request); replay != nil {
			return replay
		}
		return s.conflict(r, constraint, err)
	}
	if overspent(err) {
		return provision.ErrBudget
	}
	return fault(err, "accept request "+r.Request.ID.String())
}

// Refuse implements provision.Store, as Accept does.
func (s *Store) Refuse(ctx context.Context, r *provision.Record) error {
	err := s.insert(ctx, r)
	if constraint, ok := violated(err); ok && constraint == "requests_idempotency" {
		if replay := s.replay(ctx, r.Request); replay != nil {
			return replay
		}
	}
	return fault(err, "refuse request "+r.Request.ID.String())
}

// insert sends the whole of a new record and gives it the database's times.
func (s *Store) insert(ctx context.Context, r *provision.Record) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	batch, err := newRecordBatch(r)
	if err != nil {
		return err
	}
	s.queueNotices(batch, r.Events())
	queueMoves(batch, r.Moves())
	sent := s.pool.SendBatch(ctx, batch)
	var now time.Time
	err = sent.QueryRow().Scan(&now)
	if closed := sent.Close(); err == nil { // Close answers the first error of the statements that follow
		err = closed
	}
	if err != nil {
		return err
	}
	stamp(r, now)
	s.hub.committed(r.Events())
	return nil
}

func newRecordBatch(r *provision.Record) (*pgx.Batch, error) {
	batch := &pgx.Batch{}
	request, err := requestArgs(r.Request)
	if err != nil {
		return nil, err
	}
	request["clock"] = `"` + r.Now().Format(time.RFC3339Nano) + `"`
	batch.Queue(insertRequestSQL, request)
	if r.Instance != nil {
		instance, err := instanceArgs(*r.Instance)
		if err != nil {
			return nil, err
		}
		if r.Request.Reserves() {
			instance["clock"] = r.Now()
			batch.Queue(insertInstanceSQL, instance)
		} else {
			if len(r.Request.Links) > 0 {
				batch.Queue(lockLinkingSQL) // before any row, so that none waits for another
			}
			batch.Queue(takeInstanceSQL, instance)
		}
	}
	queueLinks(batch, r)
	if err := queueVerdicts(batch, r); err != nil {
		return nil, err
	}
	events, err := tellArgs(r.Events(), nil)
	if err != nil {
		return nil, err
	}
	batch.Queue(tellSQL, events)
	return batch, nil
}

func queueVerdicts(batch *pgx.Batch, r *provision.Record) error {
	for _, v := range r.Verdicts {
		findings := v.Verdict.Findings
		if findings == nil {
			findings = []provision.Finding{}
		}
		found, err1 := encode(findings)
		estimate, err2 := encodeSet(v.Verdict.Estimate, v.Verdict.Estimate != nil)
		input, err3 := "null", error(nil)
		if v.Verdict.Input != nil {
			input, err3 = encode(v.Verdict.Input)
		}
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		prices := ""
		if v.Verdict.Estimate != nil {
			prices = v.Verdict.Estimate.PricesDigest
		}
		batch.Queue(insertVerdictSQL, pgx.NamedArgs{
			"request_id": key(r.Request.ID), "stage": string(v.Stage), "outcome": string(v.Verdict.Outcome), "findings": found,
			"estimate": estimate, "bundle_digest": v.Verdict.BundleDigest, "prices_digest": prices, "input": input, "at": v.Verdict.At,
		})
	}
	return nil
}

// stamp puts the database's time where the record has the sidecar's guess.
func stamp(r *provision.Record, now time.Time) {
	guess := r.Now()
	r.Request.CreatedAt, r.Request.UpdatedAt = now, now
	for i := range r.Request.Steps {
		for _, at := range []**time.Time{&r.Request.Steps[i].StartedAt, &r.Request.Steps[i].FinishedAt} {
			if *at != nil && (*at).Equal(guess) {
				*at = &now
			}
		}
	}
	if r.Instance != nil {
		r.Instance.UpdatedAt = now
		if r.Request.Reserves() {
			r.Instance.CreatedAt = now
			for _, at := range []*time.Time{r.Instance.ExpiresAt, r.Instance.WarnAt, r.Instance.DestroyAt} {
				if at != nil {
					*at = at.Add(now.Sub(guess))
				}
			}
		}
	}
	for i := range r.Events() {
		r.Events()[i].At = now
	}
}

// replay is what the request's idempotency key made before; nil when it made
// nothing or has none.
func (s *Store) replay(ctx context.Context, r provision.Request) error {
	if r.IdempotencyKey == "" {
		return nil
	}
	first, err := s.RequestByKey(ctx, r.RequestedBy, r.IdempotencyKey)
	if provision.KindOf(err) == provision.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	return &provision.Replay{Request: first}
}

// conflict says what stands in the way of a new record.
func (s *Store) conflict(r *provision.Record, constraint string, cause error) error {
	request := r.Request
	switch {
	case constraint == "instances_name":
		title := request.Offering
		if cached, ok := s.bundles.Load(request.OfferingDigest); ok {
			title = cached.(bundle).offering.Name
		}
		return provision.Errorf(provision.Conflict, "%s '%s' already exists in %s; choose another name", title, request.Name, request.Environment)
	case constraint == "requests_one_live_per_instance":
		return provision.Errorf(provision.Conflict, "another request for '%s' in %s has not ended; cancel it or wait for it to end", request.Name, request.Environment)
	case missedBecause(cause, upstreamIsGoing):
		return provision.Errorf(provision.Conflict, "something whose output '%s' would take is being destroyed; take another", request.Name)
	case missedBecause(cause, goesRound):
		return provision.Errorf(provision.Conflict, "something whose output '%s' would take has begun to take one of its own, over others or not; take another", request.Name)
	case missedBecause(cause, hasDependants):
		return provision.Errorf(provision.Conflict, "another instance has begun to take an output of '%s' in %s; look again at who depends on it", request.Name, request.Environment)
	case missed(cause):
		return provision.Errorf(provision.Conflict, "'%s' in %s has changed since you looked; look again and ask again", request.Name, request.Environment)
	default:
		return fault(cause, "accept request "+request.ID.String())
	}
}
