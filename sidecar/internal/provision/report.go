package provision

import (
	"time"

	"github.com/google/uuid"
)

// ReportKind says what a worker tells.
type ReportKind string

// The kinds of report.
const (
	ReportPhase   ReportKind = "phase"   // a phase began or ended: init, plan, apply
	ReportAddress ReportKind = "address" // a resource began, ended or failed
	ReportOutcome ReportKind = "outcome" // the run has ended; the last report
)

// Report is what a worker says privately of a run. It counts only while Fence
// is the instance's newest token, and only once: Sequence rises from 1.
type Report struct {
	RunID    uuid.UUID  `json:"run_id"`
	Worker   string     `json:"worker"`
	Pool     string     `json:"-"` // the sender's, as the way that it came says
	Fence    int64      `json:"fence"`
	Sequence int64      `json:"sequence"`
	Kind     ReportKind `json:"kind"`
	At       time.Time  `json:"at"`

	Phase   string `json:"phase,omitempty"`   // init, plan, apply
	Address string `json:"address,omitempty"` // a resource's address
	Status  string `json:"status,omitempty"`  // started, completed, failed
	Details string `json:"details,omitempty"` // for people; redacted by the worker

	// Of a resource: what is done to it, and what its provider knows it by once it is made.
	Action     string `json:"action,omitempty"` // create, update, delete
	ResourceID string `json:"resource_id,omitempty"`
	SealedID   []byte `json:"sealed_id,omitempty"` // instead, for the pool, where it is among what is sensitive

	Outcome *RunOutcome `json:"outcome,omitempty"`
}

// RunOutcome is how a run ended.
type RunOutcome struct {
	Result  string         `json:"result"`            // succeeded, failed, cancelled, refused
	Applied bool           `json:"applied"`           // apply had begun
	Message string         `json:"message,omitempty"` // why it did not succeed
	Detail  string         `json:"detail,omitempty"`  // the provider's own words, redacted
	Outputs map[string]any `json:"outputs,omitempty"` // non-sensitive only

	// Resources is how many managed resources state holds after an apply; nil
	// when that is not known.
	Resources *int `json:"resources,omitempty"`
}

// The results of a run.
const (
	ResultSucceeded = "succeeded"
	ResultFailed    = "failed"
	ResultCancelled = "cancelled"
	ResultRefused   = "refused" // the plan was denied by Judge
)

// Job is what is published for a worker: names and digests, never a secret.
type Job struct {
	RunID          uuid.UUID `json:"run_id"`
	RequestID      uuid.UUID `json:"request_id"`
	OfferingDigest string    `json:"offering_digest"`
	DispatchedAt   time.Time `json:"dispatched_at"`
}

// Claim is what a worker gets for a job it may do.
type Claim struct {
	RunID               uuid.UUID         `json:"run_id"`
	RequestID           uuid.UUID         `json:"request_id"`
	InstanceID          uuid.UUID         `json:"instance_id"`
	ShortID             string            `json:"short_id"`
	Action              Action            `json:"action"`
	Fence               int64             `json:"fence"`
	Token               string            `json:"token"` // opens this run's worker routes, until the run ends
	LeaseSeconds        int               `json:"lease_seconds"`
	Offering            string            `json:"offering"`
	OfferingDigest      string            `json:"offering_digest"`
	Implementation      string            `json:"implementation"`
	Environment         Environment       `json:"environment"`
	Name                string            `json:"name"`
	Owner               string            `json:"owner"`
	Parameters          Parameters        `json:"parameters"`
	Tags                map[string]string `json:"tags"`
	CredentialsVersion  int64             `json:"credentials_version"` // what the module makes credentials by
	ApplyTimeoutSeconds int               `json:"apply_timeout_seconds"`
	StateRecipients     []string          `json:"state_recipients"`      // age public keys that pushed state is sealed for
	PlanDigest          string            `json:"plan_digest,omitempty"` // SHA-256, in hex, of the sealed plan that was approved; "" when there is none
	Imports             []Imported        `json:"imports,omitempty"`     // what the instance takes over, or has taken over
	Made                []MadeResource    `json:"made,omitempty"`        // by runs that were cut short; what state lacks of it is imported before planning
}

// LogLine is one line of a run's log, redacted by the worker.
type LogLine struct {
	RunID  uuid.UUID `json:"run_id"`
	Fence  int64     `json:"fence"`
	Number int64     `json:"number"` // from 1, per run and fence
	At     time.Time `json:"at"`
	Text   string    `json:"text"`

	Pool   string `json:"-"` // the sender's, as the way that it came says
	Worker string `json:"-"` // likewise; whatever may not stand in a subject is _
}

// StateVersion is one pushed Terraform state, sealed.
type StateVersion struct {
	InstanceID uuid.UUID
	RunID      uuid.UUID
	Fence      int64
	Serial     int64
	Lineage    string
	Sealed     []byte // age ciphertext
	Head       bool   // it was pushed under the newest fence, and is the one to go on from
	At         time.Time
}
