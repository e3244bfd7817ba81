package provision

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// JournalEntry is what a worker or an operator has said became of one resource
// since the instance's last good end. It names what an apply that was cut short
// may have left behind without its state knowing.
type JournalEntry struct {
	RunID      uuid.UUID `json:"run_id,omitzero"` // zero when an operator said it
	Fence      int64     `json:"fence"`
	Sequence   int64     `json:"-"` // of the report; 0 when an operator said it
	Address    string    `json:"address"`
	Did        string    `json:"did"`                   // begun, made, failed, gone
	ResourceID string    `json:"resource_id,omitempty"` // what its provider knows it by; "" when that is not known or sealed
	SealedID   []byte    `json:"-"`                     // the same, sealed for the pool, where it is among what is sensitive
	Sealed     bool      `json:"sealed,omitempty"`      // there is a SealedID
	By         string    `json:"by,omitempty"`          // the operator, "" when a worker said it
	Reason     string    `json:"reason,omitempty"`      // the operator's
	At         time.Time `json:"at"`
}

// What a JournalEntry says became of a resource.
const (
	DidBegin = "begun"  // making it has begun
	DidMake  = "made"   // it was made
	DidFail  = "failed" // making it has failed; something of it may be there
	DidEnd   = "gone"   // it was destroyed, or an operator says that it is not there
)

// MadeResource is something that was made and that state may not know.
type MadeResource struct {
	Address    string `json:"address"`
	ResourceID string `json:"resource_id,omitempty"` // what its provider knows it by, unless that is sealed
	SealedID   []byte `json:"sealed_id,omitempty"`   // sealed for the pool
}

// madeOf is what a journal, oldest first, says is there and how it is known, in
// the order in which it was made.
func madeOf(journal []JournalEntry) []MadeResource {
	var made []MadeResource
	for _, e := range journal {
		if e.Did != DidMake && e.Did != DidEnd {
			continue
		}
		made = slices.DeleteFunc(made, func(m MadeResource) bool { return m.Address == e.Address })
		if e.Did == DidMake && (e.ResourceID != "" || e.SealedID != nil) {
			made = append(made, MadeResource{e.Address, e.ResourceID, e.SealedID})
		}
	}
	return made
}

// Journal are the entries that were made since the record was read; settled says
// that all entries of the instance are to be forgotten: it has come to a good
// end, and state knows everything.
func (r *Record) Journal() (entries []JournalEntry, settled bool) { return r.journal, r.settled }

// note enters into the journal what a report says of a resource, whether or not
// the report still counts: what was made is there, whoever made it.
func (r *Record) note(report Report) {
	if report.Kind != ReportAddress || r.Request.State.Terminal() {
		return
	}
	did := ""
	switch {
	case report.Action == "create" && report.Status == "started":
		did = DidBegin
	case report.Action == "create" && report.Status == "completed":
		did = DidMake
	case report.Action == "delete" && report.Status == "completed":
		did = DidEnd
	case report.Status == "failed":
		did = DidFail
	default:
		return
	}
	r.journal = append(r.journal, JournalEntry{
		RunID: report.RunID, Fence: report.Fence, Sequence: report.Sequence, Address: report.Address, Did: did,
		ResourceID: report.ResourceID, SealedID: report.SealedID, At: r.now,
	})
}

// NoteByHand enters into the journal what an operator knows of a resource: what
// it is known by, for the next run to import, or "" when it is not there.
func (r *Record) NoteByHand(by, address, resourceID, reason string) error {
	switch {
	case r.Instance.State.Gone():
		return Errorf(Conflict, "%s is %s: there is nothing to go on from", r.Instance.Name, r.Instance.State)
	case r.Request.State == Planning || r.Request.State == Applying:
		return Errorf(Conflict, "request %s is %s: a worker is at it, and what is said now would come too late", r.Request.ID, r.Request.State)
	}
	did := DidMake
	if resourceID == "" {
		did = DidEnd
	}
	r.journal = append(r.journal, JournalEntry{Fence: r.Instance.Fence, Address: address, Did: did, ResourceID: resourceID, By: by, Reason: reason, At: r.now})
	r.tell("instance", "noted", r.Instance.ID, map[string]any{"address": address, "did": did, "resource_id": resourceID, "by": by, "reason": reason})
	return nil
}

// Attest ends the run of a lost request: an operator vouches for it that its
// Terraform process cannot run any more. Its supervisor can no longer take it
// up; what is to become of the request the operator says next. A repeat changes
// nothing.
func (r *Record) Attest(by, reason string) error {
	if r.Request.State != Lost {
		return Errorf(Conflict, "request %s is %s, not lost: there is nothing to attest", r.Request.ID, r.Request.State)
	}
	if r.Run.State != RunClaimed {
		return nil
	}
	r.Run.State, r.Run.TokenDigest, r.Run.UpdatedAt = RunEnded, "", r.now
	r.wait("its worker is gone for good; an operator has it recovered or finishes it")
	r.tell("run", "attested", r.Request.ID, map[string]any{"run": r.Run.ID, "worker": r.Run.Worker, "by": by, "reason": reason, "waiting": r.Request.Waiting})
	return nil
}

// Recover gives an attested request a run for another worker, which imports what
// the journal names and plans anew. What people had approved they must approve
// again: it was another plan. A repeat changes nothing.
func (r *Record) Recover(by, pool, reason string) error {
	if r.Request.State == Lost && r.Run.State == RunDispatched {
		return nil
	}
	if err := r.attested(); err != nil {
		return err
	}
	r.voidApproval("its worker was lost: what another one plans is approved anew")
	r.Run = &Run{
		ID: r.newID(), RequestID: r.Request.ID, InstanceID: r.Instance.ID, Pool: pool,
		State: RunDispatched, DispatchedAt: r.now, UpdatedAt: r.now,
	}
	r.wait("waiting for a worker to recover it")
	r.tell("run", "recovered", r.Request.ID, map[string]any{"run": r.Run.ID, "by": by, "reason": reason, "waiting": r.Request.Waiting})
	return nil
}

// Conclude ends an attested request by an operator's word: result is
// ResultSucceeded or ResultFailed. outputs are those of the state that is kept.
func (r *Record) Conclude(by, result, reason string, outputs map[string]any) error {
	if err := r.attested(); err != nil {
		return err
	}
	r.tell("run", "concluded", r.Request.ID, map[string]any{"run": r.Run.ID, "by": by, "result": result, "reason": reason})
	r.budgets = nil // what has happened counts, whatever it costs
	if result == ResultSucceeded {
		return r.succeed(outputs)
	}
	r.fail(RunOutcome{Message: reason})
	r.Request.Error.WayOut = r.wayOut("", true)
	return r.end(Failed, true)
}

// attested is nil when the request is lost and its run has been ended by an
// operator.
func (r *Record) attested() error {
	switch {
	case r.Request.State != Lost:
		return Errorf(Conflict, "request %s is %s, not lost", r.Request.ID, r.Request.State)
	case r.Run.State == RunClaimed:
		return Errorf(Conflict, "worker %s may still be at request %s: attest first that its Terraform process cannot run any more", r.Run.Worker, r.Request.ID)
	case r.Run.State == RunDispatched:
		return Errorf(Conflict, "request %s waits for a worker to recover it already", r.Request.ID)
	}
	return nil
}

// voidApproval takes back what was approved, if anything was.
func (r *Record) voidApproval(why string) {
	if !r.Request.Approval.Granted() {
		return
	}
	next := r.Request.Approval.clone()
	next.Given, next.GrantedAt, next.RunID, next.PlanDigest, next.Void = []ApprovalGiven{}, nil, uuid.Nil, "", why
	r.Request.Approval = next
	r.tell("approval", "voided", r.Request.ID, map[string]any{"reason": why})
}

func (r *Record) wait(what string) {
	r.Request.Waiting, r.Request.UpdatedAt = what, r.now
}

// Recovery is what an operator must know of a request that was cut short.
type Recovery struct {
	RequestID  uuid.UUID      `json:"request_id"`
	InstanceID uuid.UUID      `json:"instance_id"`
	State      State          `json:"state"`
	Waiting    string         `json:"waiting,omitempty"`
	Run        *RecoveredRun  `json:"run,omitempty"` // the newest; nil before the first
	Journal    []JournalEntry `json:"journal"`       // since the last good end, oldest first
	Imports    []MadeResource `json:"imports"`       // what the next run imports, unless state has it
	Resources  []string       `json:"resources"`     // addresses that state has
	Serial     *int64         `json:"serial,omitempty"`
	Next       string         `json:"next"` // what can be done now, in words
}

// RecoveredRun is a run as an operator sees it.
type RecoveredRun struct {
	ID             uuid.UUID  `json:"id"`
	State          RunState   `json:"state"`
	Worker         string     `json:"worker,omitempty"`
	Pool           string     `json:"pool"`
	Fence          int64      `json:"fence"`
	LeaseExpiresAt *time.Time `json:"lease_expires_at,omitempty"`
}

func (r *Record) recovery() Recovery {
	recovery := Recovery{RequestID: r.Request.ID, InstanceID: r.Request.InstanceID, State: r.Request.State, Waiting: r.Request.Waiting, Next: r.nextOfRecovery()}
	if r.Run != nil {
		recovery.Run = &RecoveredRun{ID: r.Run.ID, State: r.Run.State, Worker: r.Run.Worker, Pool: r.Run.Pool, Fence: r.Run.Fence}
		if !r.Run.LeaseExpiresAt.IsZero() {
			at := r.Run.LeaseExpiresAt.UTC()
			recovery.Run.LeaseExpiresAt = &at
		}
	}
	return recovery
}

func (r *Record) nextOfRecovery() string {
	switch {
	case r.Request.State == Lost && r.Run.State == RunClaimed:
		return fmt.Sprintf("Start worker %s again on its machine and folder, and it goes on. If its machine is gone or its Terraform process has ended, attest that.", r.Run.Worker)
	case r.Request.State == Lost && r.Run.State == RunEnded:
		return "Have it recovered by another worker, or finish it as succeeded or failed."
	case r.Request.State == Lost:
		return "A worker of pool " + r.Run.Pool + " takes it up."
	case r.Request.State.Terminal() && r.Instance != nil && r.Instance.State == Incomplete:
		return "It has ended half way. Retry it or destroy the instance; what the journal names is imported first."
	}
	return "Nothing: it is not lost."
}
