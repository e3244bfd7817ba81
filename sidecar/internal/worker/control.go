package worker

import (
	"context"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Control is the sidecar's worker API. Errors are told apart by Kind: Conflict
// means that the run is no longer this worker's; a Denied plan is refused; any
// other is taken for a passing fault and tried again. Calls end with their
// context.
type Control interface {
	// Claim takes a dispatched run. Conflict: drop the job.
	Claim(ctx context.Context, runID uuid.UUID) (provision.Claim, error)
	// Release gives a run back before apply.
	Release(ctx context.Context, runID uuid.UUID, token string) error
	// Plan submits a plan's changes: nil lets the run apply, Denied refuses, and
	// provision.ErrWait wants the plan kept until people have approved it.
	Plan(ctx context.Context, runID uuid.UUID, token string, changes []provision.Change) error
	// KeepPlan keeps a sealed plan that must wait, and ends the run.
	KeepPlan(ctx context.Context, runID uuid.UUID, token string, sealed []byte) error
	// KeptPlan is the sealed plan that was approved; NotFound when there is none.
	KeptPlan(ctx context.Context, runID uuid.UUID, token string) ([]byte, error)
	// View is how the run stands; it works after the run has ended, too.
	View(ctx context.Context, runID uuid.UUID) (provision.RunView, error)
	// State is the sealed state to go on from; NotFound when there is none yet.
	State(ctx context.Context, runID uuid.UUID, token string) (provision.StateVersion, error)
	// Bundle is the offering of a digest.
	Bundle(ctx context.Context, digest string) ([]byte, error)

	Lifeline
	Checks
}

// Lifeline is the part of Control that a supervisor needs.
type Lifeline interface {
	// Renew extends the lease and says whether someone asked to cancel.
	Renew(ctx context.Context, runID uuid.UUID, token string) (provision.Lease, error)
	// PushState keeps a sealed state. version has RunID, Fence, Serial, Lineage
	// and Sealed. head says whether it is the one to go on from.
	PushState(ctx context.Context, token string, version provision.StateVersion) (head bool, err error)
}

// Connection is what a supervisor needs to reach the sidecar. It is kept in the
// run's directory, readable by this user alone, and wiped with it.
type Connection struct {
	URL    string `json:"url"`
	Token  string `json:"token"`  // the pool's
	Worker string `json:"worker"` // the worker's name
	CAFile string `json:"ca_file,omitempty"`
}

// Connect makes a supervisor's client.
type Connect func(Connection) (Lifeline, error)

// Jobs is where jobs come from.
type Jobs interface {
	// Next blocks until there is a job or ctx ends. One call, one job: nothing
	// is fetched ahead.
	Next(ctx context.Context) (Delivery, error)
}

// Delivery is a job with the two answers to it. Exactly one is given.
type Delivery struct {
	Job provision.Job
	Ack func(context.Context) error // it is claimed, or not for us: never again
	Nak func(context.Context) error // it could not be claimed now: later
}

// Reports is where a worker's words go. Both calls return once the message is
// stored, and may repeat a message.
type Reports interface {
	PublishReport(ctx context.Context, report provision.Report) error
	PublishLogs(ctx context.Context, lines []provision.LogLine) error
}
