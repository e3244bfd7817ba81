package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
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

// Dispatch gives the request a run; its job may now be published. judged is the
// verdict made at this moment: when it denies, the request is denied instead and
// there is no run. What needs approval is planned first: people approve a plan.
func (r *Record) Dispatch(pool string, judged Verdict) error {
	if r.Request.State != Queued {
		return Errorf(Conflict, "request %s is %s, not queued", r.Request.ID, r.Request.State)
	}
	if r.Run != nil && r.Run.State != RunEnded {
		return Errorf(Conflict, "request %s has a run already", r.Request.ID)
	}
	r.Verdicts = append(r.Verdicts, StageVerdict{StageQueue, judged})
	if !judged.Acceptable() {
		return r.deny(judged)
	}
	r.Run = &Run{
		ID: r.newID(), RequestID: r.Request.ID, InstanceID: r.Instance.ID, Pool: pool,
		State: RunDispatched, DispatchedAt: r.now, UpdatedAt: r.now,
	}
	return nil
}

// Claim gives the run to a worker until lease from now. The fencing token
// rises. A run that another worker holds, or that has ended, is a Conflict; the
// same worker may claim again what it plans, under the same token, because its
// answer may have been lost. What it applies it may not: who does not find the
// run on its disk is not who began it, whatever it is called.
func (r *Record) Claim(worker, tokenDigest string, lease time.Duration) error {
	switch {
	case r.Run == nil || r.Run.State == RunEnded:
		return Errorf(Conflict, "this run has ended")
	case r.Run.State == RunClaimed && r.Run.Worker != worker:
		return Errorf(Conflict, "run %s is held by worker %s", r.Run.ID, r.Run.Worker)
	case r.Run.State == RunClaimed && r.Request.State != Planning:
		return Errorf(Conflict, "run %s is %s: only the supervisor that began it goes on", r.Run.ID, r.Request.State)
	}
	r.Run.TokenDigest = tokenDigest
	r.Run.LeaseExpiresAt, r.Run.UpdatedAt = r.now.Add(lease), r.now
	if r.Run.State == RunClaimed {
		return nil
	}
	r.Instance.Fence++
	r.Run.State, r.Run.Worker, r.Run.Fence = RunClaimed, worker, r.Instance.Fence
	if err := r.move(Planning, ""); err != nil {
		return err
	}
	r.tell("run", "started", r.Request.ID, map[string]any{"run": r.Run.ID, "worker": worker, "fence": r.Run.Fence})
	r.advance("plan", StepInProgress, "")
	return nil
}

// Renew extends the lease of a claimed run.
func (r *Record) Renew(lease time.Duration) error {
	if r.Run == nil || r.Run.State != RunClaimed {
		return Errorf(Conflict, "this run has ended")
	}
	r.Run.LeaseExpiresAt, r.Run.UpdatedAt = r.now.Add(lease), r.now
	return r.resume()
}

// resume takes a lost request up again: its own supervisor is back.
func (r *Record) resume() error {
	if r.Request.State != Lost {
		return nil
	}
	if err := r.move(Applying, ""); err != nil {
		return err
	}
	return r.moveInstance(r.atWork())
}

// atWork is the state of an instance while the request's apply is at it.
func (r *Record) atWork() InstanceState {
	if r.Request.Action == Destroy {
		return Destroying
	}
	return Changing
}

// Take folds a report into the record. A report of an older token or one that
// was taken before changes nothing but the journal and is no error; ok says
// whether it counted.
func (r *Record) Take(report Report) (ok bool, err error) {
	if r.Run == nil || report.RunID != r.Run.ID || report.Fence != r.Run.Fence {
		return false, nil
	}
	r.note(report)
	if r.Run.Fence != r.Instance.Fence {
		return false, nil
	}
	if report.Sequence <= r.Run.ReportSequence || r.Run.State != RunClaimed {
		return false, nil
	}
	r.Run.ReportSequence, r.Run.UpdatedAt = report.Sequence, r.now
	if err := r.resume(); err != nil {
		return false, err
	}
	switch report.Kind {
	case ReportPhase:
		r.takePhase(report)
	case ReportAddress:
		r.takeAddress(report)
	case ReportOutcome:
		if report.Outcome == nil {
			return false, Errorf(Invalid, "report %d of run %s is an outcome without one", report.Sequence, report.RunID)
		}
		return true, r.finish(*report.Outcome)
	default:
		return false, Errorf(Invalid, "report %d of run %s has unknown kind %q", report.Sequence, report.RunID, report.Kind)
	}
	return true, nil
}

func (r *Record) finish(o RunOutcome) error {
	r.Run.State, r.Run.TokenDigest = RunEnded, ""
	r.budgets = nil // what has happened counts, whatever it costs
	if r.Request.State.Terminal() {
		return nil // denied on its plan: the outcome only closes the run
	}
	began := r.Request.State == Applying
	switch {
	case o.Result == ResultSucceeded && began:
		return r.succeed(o.Outputs)
	case o.Result == ResultCancelled || !began && r.Request.CancelReason != "":
		r.Request.Error = &Failure{Message: cmp.Or(r.Request.CancelReason, o.Message, "cancelled"), Detail: o.Detail, WayOut: r.wayOut("", began)}
		r.settleNothing(o)
		return r.end(Cancelled, began)
	default:
		r.fail(o)
		r.Request.Error.WayOut = r.wayOut(o.Message+"\n"+o.Detail, began)
		r.settleNothing(o)
		return r.end(Failed, began)
	}
}

func (r *Record) succeed(outputs map[string]any) error {
	for i := range r.Request.Steps {
		r.setStep(i, StepCompleted, "")
	}
	r.Request.Outputs, r.settled = outputs, true
	if r.Request.Action == Destroy {
		r.settle(0)
	} else {
		r.settle(charge(amount(r.Request.MonthlyCost), r.Request.Lifetime))
	}
	if err := r.move(Succeeded, ""); err != nil {
		return err
	}
	if r.Request.Action == Destroy {
		return r.moveInstance(Destroyed)
	}
	r.Instance.Outputs = maps.Clone(outputs)
	r.become()
	if r.Request.Action == Extend {
		r.extend()
	}
	return r.moveInstance(Ready)
}

func (r *Record) fail(o RunOutcome) {
	failure := &Failure{Message: cmp.Or(o.Message, "Terraform failed"), Detail: o.Detail, Steps: len(r.Request.Steps)}
	at := slices.IndexFunc(r.Request.Steps, func(s Step) bool { return s.Status == StepFailed })
	if at < 0 {
		at = slices.IndexFunc(r.Request.Steps, func(s Step) bool { return s.Status == StepInProgress })
	}
	if at < 0 {
		at = slices.IndexFunc(r.Request.Steps, func(s Step) bool { return s.Status == StepPending })
	}
	if at >= 0 {
		step := r.Request.Steps[at]
		failure.Step, failure.Name = step.Step, step.Name
		failure.Message = fmt.Sprintf("failed at step %d of %d: %s", step.Step, failure.Steps, step.Name)
		if failure.Detail == "" {
			failure.Detail = o.Message
		}
		r.setStep(at, StepFailed, cmp.Or(o.Message, o.Detail))
	}
	r.Request.Error = failure
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

// Expire deals with a run whose lease has run out: before apply the request
// goes back to the queue; during apply it is lost, and no one else may have it.
func (r *Record) Expire() error {
	if r.Run == nil || r.Run.State != RunClaimed || r.Run.LeaseExpiresAt.After(r.now) {
		return nil
	}
	switch r.Request.State {
	case Planning:
		return r.requeue("its worker fell silent while planning")
	case Applying:
		r.tell("run", "lost", r.Request.ID, map[string]any{"run": r.Run.ID, "worker": r.Run.Worker})
		if err := r.move(Lost, "its worker fell silent during apply; it goes on when that worker is back"); err != nil {
			return err
		}
		return r.moveInstance(Incomplete)
	case DeniedState, Cancelled, Failed, Succeeded:
		r.Run.State = RunEnded
	}
	return nil
}

// Release gives a run back before apply: its worker is draining.
func (r *Record) Release() error {
	if r.Run == nil || r.Run.State != RunClaimed || r.Request.State != Planning {
		return Errorf(Conflict, "only a run that has not begun to apply can be given back")
	}
	return r.requeue("its worker is stopping")
}

// requeue ends the run before apply. The request waits for another, unless
// someone has asked to cancel it: then nothing is left to wait for.
func (r *Record) requeue(why string) error {
	r.Run.State, r.Run.TokenDigest, r.Run.UpdatedAt = RunEnded, "", r.now
	if r.Request.CancelReason != "" {
		r.Request.Error = &Failure{Message: r.Request.CancelReason}
		return r.end(Cancelled, false)
	}
	r.tell("run", "abandoned", r.Request.ID, map[string]any{"run": r.Run.ID, "worker": r.Run.Worker, "reason": why})
	r.advance("plan", StepPending, "")
	return r.move(Queued, "waiting for a worker: "+why)
}

// TakeBack ends a run that no worker has claimed; the request waits for another.
// A run that is claimed or has ended stays as it is.
func (r *Record) TakeBack(why string) {
	if r.Run == nil || r.Run.State != RunDispatched {
		return
	}
	r.Run.State, r.Run.UpdatedAt = RunEnded, r.now
	r.tell("run", "abandoned", r.Request.ID, map[string]any{"run": r.Run.ID, "worker": r.Run.Worker, "reason": why})
}

// GiveUp fails a queued request that has waited past its deadline. Any other is
// a Conflict: someone is at it.
func (r *Record) GiveUp(why string) error {
	if r.Request.State != Queued {
		return Errorf(Conflict, "request %s is %s, not queued", r.Request.ID, r.Request.State)
	}
	if r.Run != nil {
		r.Run.State = RunEnded
	}
	r.Request.Error = &Failure{Message: why, WayOut: "Nothing was changed: retry it then."}
	return r.end(Failed, false)
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
