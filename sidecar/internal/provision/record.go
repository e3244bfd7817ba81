package provision

import (
	"time"

	"github.com/google/uuid"
)

// Record is a request with its instance and its newest run, read under a lock
// and written back whole. Its methods decide what a move means; they touch no
// store. Whatever they change they also tell as events, so that a row is always
// the fold of its events.
type Record struct {
	Request  Request
	Instance *Instance // nil when the request never had one
	Run      *Run      // nil until dispatched
	Verdicts []StageVerdict
	Balances []Balance // of all that pay for the request, as they were when it was read
	before   spending  // what the instance had taken when it was read
	budgets  []BudgetLeft
	events   []Event
	journal  []JournalEntry
	settled  bool // the journal is to be forgotten
	now      time.Time
	newID    func() uuid.UUID
}

// StageVerdict is a verdict to store beside the request.
type StageVerdict struct {
	Stage   Stage
	Verdict Verdict
}

// NewRecord is the record that a store has read at the database's time now.
func NewRecord(request Request, instance *Instance, run *Run, now time.Time) *Record {
	return &Record{
		Request: request, Instance: instance, Run: run, before: spendingOf(instance), budgets: request.Verdict.Budgets,
		now: now.UTC(), newID: NewID,
	}
}

// NewID is a UUID version 7.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// Events are what happened to the record since it was read, in order.
func (r *Record) Events() []Event { return r.events }

// Now is the database's time of the record.
func (r *Record) Now() time.Time { return r.now }

// Accepted makes the record of a judged ask whose verdict accepts it: the
// request is queued and, on create, the instance is reserved.
func Accepted(request Request, instance Instance, steps []StepDefinition, now time.Time) *Record {
	instance.Reserved = 0 // whatever held it has ended, or the store refuses this one
	r := NewRecord(request, &instance, nil, now)
	r.begin()
	if request.Reserves() {
		instance := r.Instance
		instance.CreatedAt, instance.UpdatedAt = r.now, r.now
		instance.expire()
		data := map[string]any{"name": instance.Name, "offering": instance.Offering, "owner": instance.Owner, "lifetime_seconds": int64(instance.Lifetime / time.Second)}
		if len(instance.Imports) > 0 {
			data["imports"] = instance.Imports
		}
		r.tell("instance", "reserved", instance.ID, data)
	}
	if r.Request.Approval != nil {
		r.holdFitting()
	} else {
		r.hold()
	}
	r.Request.Steps = newSteps(steps)
	r.advance("validate", StepCompleted, "")
	_ = r.move(Queued, waitingForWorker)
	return r
}

// Refused makes the record of a judged ask that is denied, by its verdict or,
// when conflict is not empty, because of what already exists.
func Refused(request Request, conflict string, now time.Time) *Record {
	r := NewRecord(request, nil, nil, now)
	r.begin()
	reason := conflict
	if reason == "" {
		reason = reasons(request.Verdict.Findings)
	}
	r.Request.Error = &Failure{Message: reason}
	_ = r.move(DeniedState, "")
	return r
}

func (r *Record) begin() {
	r.Request.State = Submitted
	r.Request.CreatedAt, r.Request.UpdatedAt = r.now, r.now
	r.Verdicts = append(r.Verdicts, StageVerdict{StageSubmit, r.Request.Verdict})
	data := map[string]any{
		"action": r.Request.Action, "offering": r.Request.Offering, "name": r.Request.Name,
		"owner": r.Request.Owner, "requested_by": r.Request.RequestedBy, "outcome": r.Request.Verdict.Outcome,
	}
	if r.Request.MonthlyCost != nil {
		data["monthly_cost"] = *r.Request.MonthlyCost
	}
	if len(r.Request.Links) > 0 {
		data["links"] = r.Request.Links
	}
	r.tell("request", "submitted", r.Request.ID, data)
}

// end closes a request that did not succeed. began says whether apply had begun.
func (r *Record) end(state State, began bool) error {
	if !began {
		r.free()
	}
	if err := r.move(state, ""); err != nil {
		return err
	}
	switch {
	case began && r.Instance.State != Incomplete: // it is already when the request was lost
		return r.moveInstance(Incomplete)
	case r.Request.Action.makes() && r.Instance.State == Reserved:
		return r.moveInstance(Released)
	}
	return nil
}

func (r *Record) deny(judged Verdict) error {
	r.Request.Verdict = judged
	r.Request.Error = &Failure{Message: reasons(judged.Findings)}
	return r.end(DeniedState, false)
}

// Cancel ends a request that no worker holds, and asks the worker of one that
// is held: its next renewal carries the word. Repeating it changes nothing.
func (r *Record) Cancel(reason string) error {
	switch r.Request.State {
	case Queued, AwaitingApproval:
		r.Request.CancelReason = reason
		r.Request.Error = &Failure{Message: reason}
		if r.Run != nil {
			r.Run.State = RunEnded
		}
		return r.end(Cancelled, false)
	case Planning, Applying, Lost:
		if r.Request.CancelReason != "" {
			return nil
		}
		r.Request.CancelReason = reason
		r.Request.UpdatedAt = r.now
		r.tell("request", "cancel_requested", r.Request.ID, map[string]any{"reason": reason})
		return nil
	case Cancelled:
		return nil
	default:
		return Errorf(Conflict, "request %s is %s: there is nothing left to cancel", r.Request.ID, r.Request.State)
	}
}

// OpenCredentials records that principal reads the instance's credentials.
func (r *Record) OpenCredentials(p Principal) {
	r.tell("credentials", "opened", r.Instance.ID, map[string]any{"opened_by": p.Subject, "actor": p.Actor})
}

func (r *Record) move(next State, waiting string) error {
	if err := r.Request.State.To(next); err != nil {
		return err
	}
	r.Request.State, r.Request.Waiting, r.Request.UpdatedAt = next, waiting, r.now
	r.Request.Holds = nil
	data := map[string]any{"state": next}
	if waiting != "" {
		data["waiting"] = waiting
	}
	if r.Request.Error != nil && next.Terminal() {
		data["error"] = r.Request.Error
	}
	if next == Succeeded {
		data["outputs"] = r.Request.Outputs
	}
	r.tell("request", string(next), r.Request.ID, data)
	return nil
}

func (r *Record) moveInstance(next InstanceState) error {
	if err := r.Instance.State.To(next); err != nil {
		return err
	}
	r.Instance.State, r.Instance.UpdatedAt = next, r.now
	data := map[string]any{"state": next, "request": r.Request.ID}
	switch next {
	case Ready:
		r.readyData(data)
	case Changing:
		data["owner"], data["credentials_version"] = r.Instance.Owner, r.Instance.CredentialsVersion
	}
	r.tell("instance", string(next), r.Instance.ID, data)
	return nil
}

func (r *Record) tell(entity, verb string, subject uuid.UUID, data map[string]any) {
	sequence := &r.Request.Sequence
	if subject != r.Request.ID {
		sequence = &r.Instance.Sequence
	}
	*sequence++
	r.events = append(r.events, Event{
		ID: r.newID(), Entity: entity, Verb: verb, SubjectID: subject, Sequence: *sequence,
		Environment: r.Request.Environment, At: r.now, Data: data,
	})
}
