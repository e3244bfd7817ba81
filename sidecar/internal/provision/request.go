package provision

import (
	"time"

	"github.com/google/uuid"
)

// Request is one ask.
type Request struct {
	ID              uuid.UUID
	Action          Action
	Offering        string // offering id
	OfferingVersion string
	OfferingDigest  string
	InstanceID      uuid.UUID // zero when it was denied or conflicted before an instance was reserved
	Generation      int64     // the instance's generation that this request makes; 0 when there is none
	Environment     string
	Name            string
	Owner           string // entity ref
	CostCenter      string
	Parameters      Parameters
	Links           []Link // the outputs of others that its parameters take; nil when none does
	State           State
	Waiting         string        // what a waiting request waits for, in words; "" otherwise
	Holds           []Hold        // what a queued request waits for besides a worker; nil while nothing holds it
	ReleasedAt      *time.Time    // when nothing held it any more; its time in the queue counts from there
	RequestedBy     string        // user entity ref
	Actor           string        // "plugin:scaffolder", or "" when the user came alone
	Task            string        // the scaffolder task that asked, "" when none
	IdempotencyKey  string        // "" when the caller sent none
	BodyDigest      string        // of the submission, to tell a replay from a misuse of its key
	MonthlyCost     *Money        // nil when the price is unknown
	Lifetime        time.Duration // how long its instance lives in all once it has succeeded; 0 is without end
	Trace           string        // W3C traceparent of the ask, "" when it is not traced
	Rollout         *Rollout      // what a campaign has asked for; nil when none has
	Verdict         Verdict
	CancelReason    string       // set once someone asked to cancel
	Approval        *Approval    // nil when it needs none
	Plan            *PlanOutcome // the newest plan that was judged; nil until there is one
	Error           *Failure
	Outputs         map[string]any // non-sensitive, set on succeeded
	Steps           []Step
	Sequence        int64 // number of its newest event
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// Failure is why a request did not succeed, for people.
type Failure struct {
	Message string `json:"message"`
	Step    int    `json:"step,omitempty"`   // 1-based; 0 when no step failed
	Steps   int    `json:"steps,omitempty"`  // how many there are
	Name    string `json:"name,omitempty"`   // the step's name
	Detail  string `json:"detail,omitempty"` // the provider's own words
	WayOut  string `json:"way_out,omitempty"`
}

// Instance is the living thing that requests create and change.
type Instance struct {
	ID              uuid.UUID
	ShortID         string // 8 characters, part of every physical name
	Offering        string
	OfferingVersion string
	OfferingDigest  string
	Environment     string
	Name            string
	Owner           string
	CostCenter      string
	State           InstanceState
	Generation      int64
	Fence           int64 // the newest fencing token given out
	Parameters      Parameters
	Links           []Link     // the outputs of others that it takes; nil when it takes none
	Imports         []Imported // what was there already and it took over; nil when Roadbed made it
	MonthlyCost     *Money
	Reserved        Money // held a month for a request that has not begun to apply, beyond Committed
	Committed       Money // counted a month: what is there, or is being applied
	Outputs         map[string]any
	RequestID       uuid.UUID // the newest request
	// CredentialsVersion is what an offering's module makes its credentials by: it
	// rises, and never goes back, so that each value has credentials of its own.
	CredentialsVersion int64
	Preview            *PullRequest  // the ephemeral environment that it is part of; nil when it is for itself
	Lifetime           time.Duration // from CreatedAt to ExpiresAt; 0 is without end
	ExpiresAt          *time.Time    // nil when it lives without an end
	Grace              time.Duration // how long it is kept once it has expired
	WarnAt             *time.Time    // when its owner is told that it nears; nil once that is done
	DestroyAt          *time.Time    // when its end is asked for, or asked for again
	Drift              *Drift        // what the newest check found different; nil when nothing
	Sequence           int64
	CreatedAt          time.Time
	UpdatedAt          time.Time
}

// EntityRef is the instance's entity in the catalog.
func (i Instance) EntityRef() string { return EntityRef(i.Environment, i.Name, i.Offering) }

// EntityRef names the catalog entity of an instance: it lives in the namespace
// of its environment, so that names are unique as they are in Postgres.
func EntityRef(environment, name, offering string) string {
	return "resource:" + environment + "/" + name + "." + offering
}

// RunState is where a run stands.
type RunState string

// A run's states.
const (
	RunDispatched RunState = "dispatched" // its job is published, no worker has it
	RunClaimed    RunState = "claimed"    // a worker holds its lease
	RunEnded      RunState = "ended"      // its outcome is committed, or it was given up before apply
)

// Run is one execution of a request by a worker.
type Run struct {
	ID             uuid.UUID
	RequestID      uuid.UUID
	InstanceID     uuid.UUID
	Pool           string
	State          RunState
	Fence          int64  // fencing token; 0 until claimed
	Worker         string // "" until claimed
	TokenDigest    string // SHA-256 of the run's own token; "" until claimed
	LeaseExpiresAt time.Time
	ReportSequence int64 // newest report that counted
	DispatchedAt   time.Time
	UpdatedAt      time.Time
}

// StepStatus is the document's word for how a step fares.
type StepStatus string

// The step statuses.
const (
	StepPending    StepStatus = "pending"
	StepInProgress StepStatus = "in_progress"
	StepCompleted  StepStatus = "completed"
	StepFailed     StepStatus = "failed"
)

// Step is a part of a run that a person understands.
type Step struct {
	Step       int        `json:"step"` // 1-based
	Name       string     `json:"name"`
	Status     StepStatus `json:"status"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	StalledAt  *time.Time `json:"stalled_at,omitempty"` // when it was told that it takes too long; nil until then
	Details    string     `json:"details,omitempty"`
	Phase      string     `json:"phase,omitempty"`
	Addresses  []string   `json:"addresses,omitempty"`
	Planned    []string   `json:"planned,omitempty"` // the resources among them that the plan changes; none before there is one
	Done       []string   `json:"done,omitempty"`    // addresses that have completed
}

// Event is a committed fact. SubjectID is the request's id for events of
// requests, steps, runs, approvals and reservations, the pause's for pauses, the version's for offerings, the campaign's for campaigns, else the instance's; Sequence counts per SubjectID
// from 1 without gap.
type Event struct {
	ID          uuid.UUID
	Entity      string // request, step, run, approval, reservation, instance, drift, credentials, pause, offering, campaign
	Verb        string // past tense: submitted, started, opened
	SubjectID   uuid.UUID
	Sequence    int64
	Environment string
	At          time.Time
	Data        map[string]any // no secrets, ever
}

// Type is the CloudEvents type: dev.roadbed.request.submitted.v1.
func (e Event) Type() string { return "dev.roadbed." + e.Entity + "." + e.Verb + ".v1" }

// Subject is the NATS subject: roadbed.evt.v1.request.submitted.dev.<id>.
func (e Event) Subject() string {
	return "roadbed.evt.v1." + e.Entity + "." + e.Verb + "." + e.Environment + "." + e.SubjectID.String()
}
