package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

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
