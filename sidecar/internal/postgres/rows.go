package postgres

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const requestColumns = `r.id, r.action, r.offering, r.offering_version, r.offering_digest,
	COALESCE(r.instance_id, '00000000-0000-0000-0000-000000000000') AS instance_id, r.generation,
	r.environment, r.name, r.owner, r.cost_center, r.parameters, r.links, r.state, r.waiting, r.holds, r.released_at, r.requested_by, r.actor, r.task,
	r.idempotency_key, r.body_digest, r.traceparent, r.monthly_cost_mills, r.lifetime_seconds, r.rollout, r.verdict, r.cancel_reason, r.approval, r.plan, r.error, r.outputs, r.steps,
	r.sequence, r.created_at, r.updated_at`

// requestRow is a row of requests as it is read.
type requestRow struct {
	ID               uuid.UUID
	Action           provision.Action
	Offering         string
	OfferingVersion  string
	OfferingDigest   string
	InstanceID       uuid.UUID
	Generation       int64
	Environment      string
	Name             string
	Owner            string
	CostCenter       string
	Parameters       []byte
	Links            []byte
	State            provision.State
	Waiting          string
	Holds            []byte
	ReleasedAt       *time.Time
	RequestedBy      string
	Actor            string
	Task             string
	IdempotencyKey   string
	Traceparent      string
	BodyDigest       string
	MonthlyCostMills *int64
	LifetimeSeconds  int64
	Rollout          []byte
	Verdict          []byte
	CancelReason     string
	Approval         []byte
	Plan             []byte
	Error            []byte
	Outputs          []byte
	Steps            []byte
	Sequence         int64
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

func (r requestRow) request() (provision.Request, error) {
	request := provision.Request{
		ID: r.ID, Action: r.Action, Offering: r.Offering, OfferingVersion: r.OfferingVersion, OfferingDigest: r.OfferingDigest,
		InstanceID: r.InstanceID, Generation: r.Generation, Environment: r.Environment, Name: r.Name, Owner: r.Owner,
		CostCenter: r.CostCenter, State: r.State, Waiting: r.Waiting, ReleasedAt: r.ReleasedAt, RequestedBy: r.RequestedBy, Actor: r.Actor, Task: r.Task,
		IdempotencyKey: r.IdempotencyKey, BodyDigest: r.BodyDigest, Trace: r.Traceparent, MonthlyCost: money(r.MonthlyCostMills), Lifetime: time.Duration(r.LifetimeSeconds) * time.Second,
		CancelReason: r.CancelReason, Sequence: r.Sequence, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	err := errors.Join(
		decode(r.Parameters, &request.Parameters), decode(r.Links, &request.Links), decode(r.Verdict, &request.Verdict), decode(r.Approval, &request.Approval), decode(r.Plan, &request.Plan), decode(r.Error, &request.Error),
		decode(r.Outputs, &request.Outputs), decode(r.Steps, &request.Steps), decode(r.Holds, &request.Holds), decode(r.Rollout, &request.Rollout))
	return request, fault(err, "read request "+r.ID.String())
}

// requestArgs are a request's columns as they are written. A create names every
// one; an update takes those that may change.
func requestArgs(r provision.Request) (pgx.NamedArgs, error) {
	parameters, err1 := encode(r.Parameters)
	verdict, err2 := encode(r.Verdict)
	failure, err3 := encodeSet(r.Error, r.Error != nil)
	outputs, err4 := encodeSet(r.Outputs, r.Outputs != nil)
	steps, err5 := encode(r.Steps)
	approval, err6 := encodeSet(r.Approval, r.Approval != nil)
	holds, err7 := encodeSet(r.Holds, len(r.Holds) > 0)
	plan, err8 := encodeSet(r.Plan, r.Plan != nil)
	links, err9 := encodeSet(r.Links, len(r.Links) > 0)
	rollout, err10 := encodeSet(r.Rollout, r.Rollout != nil)
	var expires, granted *time.Time
	if r.Approval != nil && r.State == provision.AwaitingApproval {
		expires = r.Approval.ExpiresAt
	}
	if r.Approval != nil {
		granted = r.Approval.GrantedAt
	}
	return pgx.NamedArgs{
		"id": key(r.ID), "action": string(r.Action), "offering": r.Offering, "offering_version": r.OfferingVersion,
		"offering_digest": r.OfferingDigest, "instance_id": pgtype.UUID{Bytes: r.InstanceID, Valid: r.InstanceID != uuid.Nil},
		"generation": r.Generation, "environment": r.Environment, "name": r.Name, "owner": clean(r.Owner), "cost_center": clean(r.CostCenter),
		"parameters": parameters, "links": links, "state": string(r.State), "waiting": clean(r.Waiting), "holds": holds, "released_at": r.ReleasedAt, "requested_by": r.RequestedBy,
		"actor": r.Actor, "task": clean(r.Task), "idempotency_key": r.IdempotencyKey, "body_digest": r.BodyDigest, "traceparent": r.Trace,
		"monthly_cost_mills": mills(r.MonthlyCost), "lifetime_seconds": int64(r.Lifetime / time.Second), "rollout": rollout, "verdict": verdict, "cancel_reason": clean(r.CancelReason), "error": failure,
		"approval": approval, "plan": plan, "approval_expires_at": expires, "approved_at": granted,
		"outputs": outputs, "steps": steps, "sequence": r.Sequence, "finished": r.State.Terminal(),
	}, errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9, err10)
}

const instanceColumns = `i.id, i.short_id, i.offering, i.offering_version, i.offering_digest, i.environment, i.name, i.owner,
	i.cost_center, i.state, i.generation, i.fence, i.parameters, i.links, i.imports, i.monthly_cost_mills, i.reserved_mills, i.committed_mills,
	i.outputs, i.request_id, i.credentials_version, i.drift,
	i.preview, i.lifetime_seconds, i.grace_seconds, i.expires_at, i.expiry_warn_at, i.expiry_destroy_at, i.sequence, i.created_at, i.updated_at`

// instanceRow is a row of instances as it is read.
type instanceRow struct {
	ID                 uuid.UUID
	ShortID            string
	Offering           string
	OfferingVersion    string
	OfferingDigest     string
	Environment        string
	Name               string
	Owner              string
	CostCenter         string
	State              provision.InstanceState
	Generation         int64
	Fence              int64
	Parameters         []byte
	Links              []byte
	Imports            []byte
	MonthlyCostMills   *int64
	ReservedMills      int64
	CommittedMills     int64
	Outputs            []byte
	RequestID          uuid.UUID
	CredentialsVersion int64
	Drift              []byte
	Sequence           int64
	LifetimeSeconds    int64
	Preview            []byte
	GraceSeconds       int64
	ExpiresAt          *time.Time
	ExpiryWarnAt       *time.Time
	ExpiryDestroyAt    *time.Time
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

func (r instanceRow) instance() (provision.Instance, error) {
	instance := provision.Instance{
		ID: r.ID, ShortID: r.ShortID, Offering: r.Offering, OfferingVersion: r.OfferingVersion, OfferingDigest: r.OfferingDigest,
		Environment: r.Environment, Name: r.Name, Owner: r.Owner, CostCenter: r.CostCenter, State: r.State,
		Generation: r.Generation, Fence: r.Fence, MonthlyCost: money(r.MonthlyCostMills), RequestID: r.RequestID,
		Reserved: provision.Money(r.ReservedMills), Committed: provision.Money(r.CommittedMills),
		Lifetime: time.Duration(r.LifetimeSeconds) * time.Second, Grace: time.Duration(r.GraceSeconds) * time.Second,
		ExpiresAt: r.ExpiresAt, WarnAt: r.ExpiryWarnAt, DestroyAt: r.ExpiryDestroyAt,
		CredentialsVersion: r.CredentialsVersion, Sequence: r.Sequence, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	err := errors.Join(decode(r.Parameters, &instance.Parameters), decode(r.Links, &instance.Links), decode(r.Imports, &instance.Imports), decode(r.Outputs, &instance.Outputs), decode(r.Drift, &instance.Drift), decode(r.Preview, &instance.Preview))
	return instance, fault(err, "read instance "+r.ID.String())
}

func instanceArgs(i provision.Instance) (pgx.NamedArgs, error) {
	parameters, err1 := encode(i.Parameters)
	outputs, err2 := encodeSet(i.Outputs, i.Outputs != nil)
	imports, err5 := encodeSet(i.Imports, len(i.Imports) > 0)
	preview, err3 := encodeSet(i.Preview, i.Preview != nil)
	links, err4 := encodeSet(i.Links, len(i.Links) > 0)
	return pgx.NamedArgs{
		"id": key(i.ID), "short_id": i.ShortID, "offering": i.Offering, "offering_version": i.OfferingVersion,
		"offering_digest": i.OfferingDigest, "environment": i.Environment, "name": i.Name, "owner": clean(i.Owner),
		"cost_center": clean(i.CostCenter), "state": string(i.State), "generation": i.Generation, "fence": i.Fence,
		"parameters": parameters, "links": links, "imports": imports, "monthly_cost_mills": mills(i.MonthlyCost),
		"reserved_mills": int64(i.Reserved), "committed_mills": int64(i.Committed), "outputs": outputs, "request_id": key(i.RequestID),
		"credentials_version": i.CredentialsVersion, "sequence": i.Sequence, "gone": i.State.Gone(), "preview": preview,
		"lifetime_seconds": int64(i.Lifetime / time.Second), "grace_seconds": int64(i.Grace / time.Second),
		"expires_at": i.ExpiresAt, "expiry_warn_at": i.WarnAt, "expiry_destroy_at": i.DestroyAt,
	}, errors.Join(err1, err2, err3, err4, err5)
}

const runColumns = `u.id, u.request_id, u.instance_id, u.pool, u.state, u.fence, u.worker, u.token_digest, u.lease_expires_at,
	u.report_sequence, u.dispatched_at, u.updated_at`

// runRow is a row of runs as it is read.
type runRow struct {
	ID             uuid.UUID
	RequestID      uuid.UUID
	InstanceID     uuid.UUID
	Pool           string
	State          provision.RunState
	Fence          int64
	Worker         string
	TokenDigest    string
	LeaseExpiresAt *time.Time
	ReportSequence int64
	DispatchedAt   time.Time
	UpdatedAt      time.Time
}

func (r runRow) run() provision.Run {
	run := provision.Run{
		ID: r.ID, RequestID: r.RequestID, InstanceID: r.InstanceID, Pool: r.Pool, State: r.State, Fence: r.Fence, Worker: r.Worker,
		TokenDigest: r.TokenDigest, ReportSequence: r.ReportSequence, DispatchedAt: r.DispatchedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.LeaseExpiresAt != nil {
		run.LeaseExpiresAt = *r.LeaseExpiresAt
	}
	return run
}

func runArgs(r provision.Run) pgx.NamedArgs {
	var lease *time.Time
	if !r.LeaseExpiresAt.IsZero() {
		lease = &r.LeaseExpiresAt
	}
	return pgx.NamedArgs{
		"id": key(r.ID), "request_id": key(r.RequestID), "instance_id": key(r.InstanceID), "pool": r.Pool, "state": string(r.State),
		"fence": r.Fence, "worker": r.Worker, "token_digest": r.TokenDigest, "lease_expires_at": lease,
		"report_sequence": r.ReportSequence, "dispatched_at": r.DispatchedAt, "updated_at": r.UpdatedAt,
	}
}

// key is an id as pgx writes it in binary; a uuid.UUID it would write as text,
// at several times the cost.
func key(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func money(mills *int64) *provision.Money {
	if mills == nil {
		return nil
	}
	amount := provision.Money(*mills)
	return &amount
}

func mills(amount *provision.Money) *int64 {
	if amount == nil {
		return nil
	}
	mills := int64(*amount)
	return &mills
}
