package provision

import (
	"fmt"
	"slices"
	"time"
)

// Planned is a plan that is to be decided on.
type Planned struct {
	Verdict Verdict
	Changes []Change
	People  map[string][]string // members by group, of the groups that no earlier need names
}

// Decide lets a planned run apply, refuses it by its verdict, or answers that
// it must wait for people: then the plan is to be kept and Wait called. It may
// be repeated: an answer may have been lost, and the run meanwhile thought so too,
// which goes on then as if its worker had renewed it. What was approved goes on unless
// it has become worse; then its approvals are void.
func (r *Record) Decide(p Planned) (wait bool, err error) {
	if r.Request.State == Applying || r.Request.State == Lost && r.Run.State == RunClaimed {
		return false, r.resume()
	}
	if r.Request.CancelReason != "" {
		return false, Errorf(Conflict, "request %s is being cancelled: %s", r.Request.ID, r.Request.CancelReason)
	}
	if r.Request.State != Planning {
		return false, Errorf(Conflict, "request %s is %s, not planning", r.Request.ID, r.Request.State)
	}
	if a := r.Request.Approval; a != nil && a.RunID == r.Run.ID {
		return true, nil // this run has been answered
	}
	verdict := approvable(p.Verdict, r.needs(p))
	r.Verdicts = append(r.Verdicts, StageVerdict{StagePlan, verdict})
	r.planned(p)
	if !verdict.Acceptable() {
		r.advance("plan", StepFailed, reasons(verdict.Findings))
		return false, r.deny(verdict)
	}
	if r.Request.Action == Import {
		r.Request.Verdict = verdict // what is there nobody could know before
	}
	r.price(verdict)
	if verdict.Outcome == OutcomeRequireApproval {
		if why := r.unapproved(p); why != "" {
			r.ask(p, why)
			return true, nil
		}
	}
	r.hold()
	r.advance("plan", StepCompleted, "")
	r.plannedSteps(p.Changes)
	r.commit()
	r.countCredentials()
	if err := r.move(Applying, ""); err != nil {
		return false, err
	}
	return false, r.moveInstance(r.atWork())
}

// GoOn is Decide for a plan that nobody need approve. One that needs approval
// is a Conflict.
func (r *Record) GoOn(judged Verdict) error {
	wait, err := r.Decide(Planned{Verdict: judged})
	if err == nil && wait {
		return Errorf(Conflict, "request %s needs approval first", r.Request.ID)
	}
	return err
}

// needs are the quorums that a plan's findings ask for. Who was in a group when
// it was asked for stays so: whoever joined later does not count.
func (r *Record) needs(p Planned) []ApprovalNeed {
	needs := needsOf(p.Verdict.Findings, p.People, r.Request.asker())
	if r.Request.Approval == nil {
		return needs
	}
	for i, n := range needs {
		for _, known := range r.Request.Approval.Needed {
			if slices.Equal(known.Approvers, n.Approvers) {
				needs[i].People = known.People
			}
		}
	}
	return needs
}

// knowsApprovers reports whether who may lift findings is known since the ask.
func (r *Record) knowsApprovers(findings []Finding) bool {
	for _, n := range needsOf(findings, nil, "") {
		if r.Request.Approval == nil || !slices.ContainsFunc(r.Request.Approval.Needed, func(known ApprovalNeed) bool {
			return slices.Equal(known.Approvers, n.Approvers)
		}) {
			return false
		}
	}
	return true
}

// unapproved says why a plan needs an approval that it does not have; "" when
// it has it.
func (r *Record) unapproved(p Planned) string {
	a := r.Request.Approval
	if !a.Granted() {
		return "nobody has approved it yet"
	}
	if why := a.worse(plannedActions(p.Changes), p.Verdict); why != "" {
		return why
	}
	if why := r.overApproved(p.Verdict); why != "" {
		return why
	}
	for _, n := range r.needs(p) {
		if n.Missing(a.Given) > 0 {
			return "it now needs approval by " + shortRefs(n.Approvers)
		}
	}
	return ""
}

// ask binds the approval that is needed to the run's plan. Approvals that were
// given for another plan are void.
func (r *Record) ask(p Planned, why string) {
	actions := plannedActions(p.Changes)
	next := &Approval{
		Needed: r.needs(p), Given: []ApprovalGiven{}, Plan: actions, Planned: true, Digest: actionsDigest(actions),
		Found: findingKeys(p.Verdict.Findings), RunID: r.Run.ID,
	}
	if p.Verdict.Estimate != nil {
		ceiling := p.Verdict.Estimate.MonthlyCost
		next.Ceiling = &ceiling
		next.Over = overdrawn(p.Verdict.Budgets, charge(ceiling, r.Request.Lifetime))
	}
	switch before := r.Request.Approval; {
	case before == nil:
	case len(before.Given) > 0:
		next.Void = why
		r.tell("approval", "voided", r.Request.ID, map[string]any{"reason": why})
	default:
		next.Void = before.Void // the worker that planned it was lost before its plan was kept
	}
	r.Request.Approval, r.Request.Verdict, r.Request.UpdatedAt = next, p.Verdict, r.now
	r.holdFitting()
}

// Wait ends a run whose plan needs approval and is kept, under the digest of
// its sealed form; the request waits for people until timeout from now.
func (r *Record) Wait(planDigest string, timeout time.Duration) error {
	if err := r.mayWait(); err != nil {
		return err
	}
	r.Run.State, r.Run.TokenDigest, r.Run.UpdatedAt = RunEnded, "", r.now
	expires := r.now.Add(timeout)
	next := r.Request.Approval.clone()
	next.PlanDigest, next.ExpiresAt = planDigest, &expires
	r.Request.Approval = next
	r.advance("plan", StepCompleted, "")
	r.tellAsked()
	return r.move(AwaitingApproval, next.missing())
}

// tellAsked tells whose approval is asked for, and what for.
func (r *Record) tellAsked() {
	next := r.Request.Approval
	data := map[string]any{
		"name": r.Request.Name, "offering": r.Request.Offering, "requested_by": r.Request.RequestedBy,
		"needed": next.Needed, "plan": append([]PlannedAction{}, next.Plan...), "expires_at": next.ExpiresAt,
	}
	if next.Ceiling != nil {
		data["ceiling"] = *next.Ceiling
	}
	r.tell("approval", "requested", r.Request.ID, data)
}

// mayWait is nil when the run was told to wait for people.
func (r *Record) mayWait() error {
	a := r.Request.Approval
	switch {
	case r.Request.State != Planning || r.Run == nil || r.Run.State != RunClaimed || a == nil || a.RunID != r.Run.ID:
		return Errorf(Conflict, "request %s is %s, and its plan waits for nobody", r.Request.ID, r.Request.State)
	case r.Request.CancelReason != "":
		return Errorf(Conflict, "request %s is being cancelled: %s", r.Request.ID, r.Request.CancelReason)
	}
	return nil
}

// Approve records that a person approves what the request waits for; with the
// last approval that is needed the request is queued again. A repeat changes
// nothing. It is Denied for who may not, Conflict when it does not wait.
func (r *Record) Approve(by, reason string) error {
	a := r.Request.Approval
	if r.Request.State != DeniedState && a.GivenBy(by) {
		return nil
	}
	if err := r.mayAnswer(by); err != nil {
		return err
	}
	return r.give(by, reason)
}

// give adds an approval that counts.
func (r *Record) give(by, reason string) error {
	next := r.Request.Approval.clone()
	next.Given = append(next.Given, ApprovalGiven{By: by, At: r.now, Reason: reason})
	r.Request.Approval, r.Request.UpdatedAt = next, r.now
	waiting := next.missing()
	r.tell("approval", "given", r.Request.ID, map[string]any{"by": by, "reason": reason, "waiting": waiting})
	if waiting != "" {
		r.Request.Waiting = waiting
		return nil
	}
	granted := r.now
	next.GrantedAt, next.ExpiresAt, next.Void = &granted, nil, ""
	r.hold()
	return r.move(Queued, "approved; waiting for a worker")
}

// Reject denies a request that waits for approval, as Approve approves it.
func (r *Record) Reject(by, reason string) error {
	a := r.Request.Approval
	if a != nil && r.Request.State == DeniedState && a.RejectedBy == by {
		return nil
	}
	if err := r.mayAnswer(by); err != nil {
		return err
	}
	next := a.clone()
	next.RejectedBy, next.ExpiresAt = by, nil
	r.Request.Approval = next
	r.Request.Error = &Failure{Message: fmt.Sprintf("%s rejected it: %s", by, reason)}
	r.tell("approval", "rejected", r.Request.ID, map[string]any{"by": by, "reason": reason})
	return r.end(DeniedState, false)
}

// mayAnswer is nil when the request waits for by's word.
func (r *Record) mayAnswer(by string) error {
	a := r.Request.Approval
	switch {
	case by == r.Request.RequestedBy || by == r.Request.asker():
		return Errorf(Denied, "%s asked for this, and nobody approves what they asked for themselves", by)
	case a == nil:
		return Errorf(Conflict, "request %s needs no approval", r.Request.ID)
	case !a.MayApprove(by):
		return Errorf(Denied, "only %s may approve this, and only who was a member when it was asked for", groupsOf(a.Needed))
	case r.Request.State != AwaitingApproval:
		return Errorf(Conflict, "request %s is %s and does not wait for approval", r.Request.ID, r.Request.State)
	case a.ExpiresAt != nil && !a.ExpiresAt.After(r.now):
		return Errorf(Conflict, "request %s has waited too long for approval and is about to be denied; ask again", r.Request.ID)
	}
	return nil
}

func groupsOf(needs []ApprovalNeed) string {
	var groups []string
	for _, n := range needs {
		groups = append(groups, n.Approvers...)
	}
	return "members of " + shortRefs(sorted(groups))
}

// ExpireApproval denies a request whose time to be approved is over; any other
// it leaves as it is.
func (r *Record) ExpireApproval() error {
	a := r.Request.Approval
	if r.Request.State != AwaitingApproval || a == nil || a.ExpiresAt == nil || a.ExpiresAt.After(r.now) {
		return nil
	}
	missing := a.missing()
	next := a.clone()
	next.ExpiresAt = nil
	r.Request.Approval = next
	r.Request.Error = &Failure{
		Message: "It waited too long for " + missing + ", so it is denied.",
		WayOut:  "Ask again, and tell who may approve it.",
	}
	r.tell("approval", "expired", r.Request.ID, map[string]any{"waiting": missing})
	return r.end(DeniedState, false)
}
