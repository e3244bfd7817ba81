package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Approve gives p's approval to a request that waits for it, once the policies
// now in force have judged its plan again: what they deny is denied, with every
// finding; what they find worse than what p was shown is a Conflict, and asked
// of everyone anew. It may be repeated. Denied also says who may approve,
// Conflict that the request does not wait for approval.
func (s *Service) Approve(ctx context.Context, p Principal, id uuid.UUID, reason string) (Request, error) {
	if err := s.mayAnswer(ctx, p, id); err != nil {
		return Request{}, err
	}
	changes, err := s.plannedChanges(ctx, id)
	if err != nil {
		return Request{}, err
	}
	var people map[string][]string
	for tries := 1; ; tries++ {
		var judged Verdict
		void := ""
		record, err := s.Store.Change(ctx, id, func(r *Record) error {
			judged, void = Verdict{}, ""
			if !r.takesApproval(p.Subject) {
				return r.Approve(p.Subject, reason)
			}
			var err error
			if judged, err = (&Runs{Service: s}).judgeAgain(ctx, r, StageApproval, changes); err != nil {
				return err
			}
			if judged.Outcome == OutcomeRequireApproval && people == nil && !r.knowsApprovers(judged.Findings) {
				return errUnknownPeople
			}
			void, err = r.ApproveJudged(p.Subject, reason, Planned{Verdict: judged, Changes: changes, People: people}, s.approvalWait())
			return err
		})
		switch {
		case errors.Is(err, errUnknownPeople) && s.Directory == nil:
			return Request{}, Errorf(Unavailable, "who may approve request %s cannot be found out: %s", id, NoApprovals)
		case errors.Is(err, errUnknownPeople): // not while the record is locked
			if people, err = s.members(ctx, judged.Findings, nil); err != nil {
				return Request{}, err
			}
			continue
		case errors.Is(err, ErrBudget): // others were faster: judged again, it will be known
			if tries < budgetTries {
				continue
			}
			return Request{}, errContended
		case err != nil:
			return Request{}, err
		case judged.Outcome != "" && record.Request.State == DeniedState:
			return record.Request, denial(record.Request)
		case void != "":
			return record.Request, Errorf(Conflict, "your approval does not count, because %s; look at request %s again", void, id)
		}
		return record.Request, nil
	}
}

// approvalWait is how long a request waits for approval.
func (s *Service) approvalWait() time.Duration {
	if s.ApprovalTimeout > 0 {
		return s.ApprovalTimeout
	}
	return approvalTimeout
}

// plannedChanges are the changes of the request's newest plan, as its verdict
// saw them; none before there is one.
func (s *Service) plannedChanges(ctx context.Context, id uuid.UUID) ([]Change, error) {
	verdicts, err := s.Store.Verdicts(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, v := range slices.Backward(verdicts) {
		if v.Stage != StagePlan {
			continue
		}
		var seen struct {
			Changes []Change `json:"changes"`
		}
		if err := json.Unmarshal(v.Verdict.Input, &seen); err != nil {
			return nil, fmt.Errorf("read the plan of request %s: %w", id, err)
		}
		return seen.Changes, nil
	}
	return nil, nil
}

// takesApproval reports whether by's approval is news that would count.
func (r *Record) takesApproval(by string) bool {
	return r.Request.State == AwaitingApproval && !r.Request.Approval.GivenBy(by) && r.mayAnswer(by) == nil
}

// ApproveJudged is Approve after the plan was judged again. A verdict that
// denies denies the request. One that is worse than what people were asked for
// voids what was given, by's word too, and asks them anew until timeout from
// now: void says why. Otherwise the approval counts, towards what the verdict
// needs.
func (r *Record) ApproveJudged(by, reason string, p Planned, timeout time.Duration) (void string, err error) {
	if err := r.mayAnswer(by); err != nil {
		return "", err
	}
	before := r.Request.Approval
	needs := r.needs(p)
	verdict := approvable(p.Verdict, needs)
	r.Verdicts = append(r.Verdicts, StageVerdict{StageApproval, verdict})
	next := before.clone()
	if !verdict.Acceptable() {
		next.ExpiresAt = nil
		r.Request.Approval = next
		return "", r.deny(verdict)
	}
	next.Needed = needs
	r.price(verdict)
	if why := cmp.Or(before.worse(before.Plan, verdict), r.overApproved(verdict)); why != "" && len(needs) > 0 {
		expires, ceiling := r.now.Add(timeout), verdict.MonthlyCost()
		next.Given, next.Found, next.Ceiling, next.ExpiresAt, next.Void = []ApprovalGiven{}, findingKeys(verdict.Findings), &ceiling, &expires, why
		next.Over = overdrawn(verdict.Budgets, charge(ceiling, r.Request.Lifetime))
		r.Request.Approval, r.Request.Verdict, r.Request.UpdatedAt, r.Request.Waiting = next, verdict, r.now, next.missing()
		r.holdFitting()
		if len(before.Given) > 0 {
			r.tell("approval", "voided", r.Request.ID, map[string]any{"reason": why})
		}
		r.tellAsked()
		return why, nil
	}
	r.Request.Approval = next
	if next.missing() != "" && !next.MayApprove(by) {
		r.Request.UpdatedAt, r.Request.Waiting = r.now, next.missing()
		r.tellAsked()
		return "it now needs " + next.missing(), nil
	}
	asksOthers := slices.ContainsFunc(needs, func(n ApprovalNeed) bool {
		return !slices.ContainsFunc(before.Needed, func(known ApprovalNeed) bool { return slices.Equal(known.Approvers, n.Approvers) })
	})
	if err := r.give(by, reason); err != nil {
		return "", err
	}
	if asksOthers && r.Request.State == AwaitingApproval {
		r.tellAsked()
	}
	return "", nil
}
