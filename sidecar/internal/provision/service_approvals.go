package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Directory knows who is in which group.
type Directory interface {
	// Members are the entity refs of the users who are direct members of a
	// group, sorted; none for a group that nobody knows. It is Unavailable when
	// that cannot be found out now.
	Members(ctx context.Context, group string) ([]string, error)
}

// NoApprovals is what a finding that requires approval says where none can be
// given.
const NoApprovals = "Approvals cannot be given here, because the sidecar has no --signing-key to ask the catalog with; so it is denied."

// approvalTimeout is how long a request waits for approval unless it is said.
const approvalTimeout = 72 * time.Hour

// refused is a verdict whose findings that require approval are denials that
// say why.
func refused(v Verdict, why string) Verdict {
	findings := slices.Clone(v.Findings)
	for i, f := range findings {
		if f.Level == LevelRequireApproval {
			findings[i].Level, findings[i].Approvers, findings[i].Count = LevelDeny, nil, 0
			findings[i].Message += " " + why
		}
	}
	v.Findings = worstFirst(findings)
	v.Outcome = outcomeOf(v.Findings)
	return v
}

// approvable is a verdict that denies what too few people could approve.
func approvable(v Verdict, needs []ApprovalNeed) Verdict {
	if v.Outcome != OutcomeRequireApproval {
		return v
	}
	for _, n := range needs {
		if len(n.People) < n.Count {
			return refused(v, "Too few others are in "+shortRefs(n.Approvers)+" to approve it, so it is denied.")
		}
	}
	return v
}

// members looks up who is in the groups that findings name and known does not.
func (s *Service) members(ctx context.Context, findings []Finding, known map[string][]string) (map[string][]string, error) {
	people := map[string][]string{}
	for group, members := range known {
		people[group] = members
	}
	for _, f := range findings {
		for _, group := range f.Approvers {
			if _, ok := people[group]; ok {
				continue
			}
			members, err := s.Directory.Members(ctx, group)
			if err != nil {
				return nil, err
			}
			people[group] = members
		}
	}
	return people, nil
}

// approvalFor is the approval that a judged ask will need, nil for none, and
// the verdict, which denies where nobody could give it.
func (s *Service) approvalFor(ctx context.Context, v Verdict, requester string) (Verdict, *Approval, error) {
	if v.Outcome != OutcomeRequireApproval {
		return v, nil, nil
	}
	if s.Directory == nil {
		return refused(v, NoApprovals), nil, nil
	}
	people, err := s.members(ctx, v.Findings, nil)
	if err != nil {
		return Verdict{}, nil, err
	}
	needs := needsOf(v.Findings, people, requester)
	if v = approvable(v, needs); !v.Acceptable() {
		return v, nil, nil
	}
	return v, &Approval{Needed: needs, Given: []ApprovalGiven{}}, nil
}

// Reject denies a request that waits for p's approval, with a reason. It may be
// repeated, as Approve.
func (s *Service) Reject(ctx context.Context, p Principal, id uuid.UUID, reason string) (Request, error) {
	if reason == "" {
		return Request{}, Errorf(Invalid, "a rejection needs a reason, for whoever asked")
	}
	if err := s.mayAnswer(ctx, p, id); err != nil {
		return Request{}, err
	}
	record, err := s.Store.Change(ctx, id, func(r *Record) error { return r.Reject(p.Subject, reason) })
	if err != nil {
		return Request{}, err
	}
	return record.Request, nil
}

// mayAnswer is nil for a person who may see what waits for approval and, when
// it waits for them, is still in the group that they answer for.
func (s *Service) mayAnswer(ctx context.Context, p Principal, id uuid.UUID) error {
	if !p.IsUser() {
		return Errorf(Denied, "only a person may approve; %s asked on nobody's behalf", p.Subject)
	}
	request, err := s.RequestForApproval(ctx, p, id)
	if err != nil {
		return err
	}
	if request.asker() != p.Subject && request.Approval.MayApprove(p.Subject) {
		return s.stillMember(ctx, p, request)
	}
	return nil
}

// stillMember is nil while p is in one of the groups that p may answer for: who
// has left it since may not.
func (s *Service) stillMember(ctx context.Context, p Principal, r Request) error {
	var no error
	for _, need := range r.Approval.Needed {
		if !slices.Contains(need.People, p.Subject) {
			continue
		}
		for _, group := range need.Approvers {
			err := s.Authorizer.Allow(ctx, Access{p, VerbApprove, group, r.Environment})
			if err == nil || KindOf(err) != Denied {
				return err
			}
			no = err
		}
	}
	return no
}

// RequestForApproval is a request that p may read, or whose approval p may
// give: then without its outputs, which are its owner's.
func (s *Service) RequestForApproval(ctx context.Context, p Principal, id uuid.UUID) (Request, error) {
	request, err := s.Store.Request(ctx, id)
	if err != nil {
		return Request{}, err
	}
	err = s.allowed(ctx, p, VerbRead, request)
	if KindOf(err) == Denied && err != nil && request.Approval.MayApprove(p.Subject) {
		return request.forApproval(), nil
	}
	if err != nil {
		return Request{}, err
	}
	return s.placed(ctx, request)
}

// forApproval is the request without what only its owner sees.
func (r Request) forApproval() Request {
	r.Outputs = nil
	if r.Error != nil {
		failure := *r.Error
		failure.Detail = ""
		r.Error = &failure
	}
	return r
}

// Approvals are the requests that wait for p's approval, oldest first, at most
// 100, without their outputs.
func (s *Service) Approvals(ctx context.Context, p Principal) ([]Request, error) {
	if !p.IsUser() {
		return nil, Errorf(Denied, "only a person may approve; %s asked on nobody's behalf", p.Subject)
	}
	waiting, err := s.Store.Approvals(ctx, p.Subject, 100)
	if err != nil {
		return nil, err
	}
	for i, r := range waiting {
		waiting[i] = r.forApproval()
	}
	return waiting, nil
}

// ErrWait is what Runs.Plan answers when people must approve the plan first: it
// is to be kept with KeepPlan.
var ErrWait = &Error{Kind: Conflict, Message: "people must approve this plan first; keep it"}

// errUnknownPeople ends a decision that needs to know who is in a group first.
var errUnknownPeople = errors.New("who may approve is not known yet")

// KeepPlan keeps the sealed plan of a run that was told to wait, ends the run
// and lets its request wait for approval. A plan that is too large is Invalid.
func (s *Runs) KeepPlan(ctx context.Context, runID uuid.UUID, token string, sealed []byte) error {
	record, err := s.change(ctx, runID, token, func(r *Record) error { return r.mayWait() })
	if err != nil {
		return err
	}
	if err := s.Service.Store.KeepPlan(ctx, record.Request.ID, runID, sealed); err != nil {
		return err
	}
	timeout := s.Service.approvalWait()
	sum := sha256.Sum256(sealed)
	_, err = s.change(ctx, runID, token, func(r *Record) error { return r.Wait(hex.EncodeToString(sum[:]), timeout) })
	return err
}

// KeptPlan is the sealed plan that was approved for the run's request; NotFound
// when there is none.
func (s *Runs) KeptPlan(ctx context.Context, runID uuid.UUID, token string) ([]byte, error) {
	record, err := s.change(ctx, runID, token, func(*Record) error { return nil })
	if err != nil {
		return nil, err
	}
	a := record.Request.Approval
	if !a.Granted() || a.PlanDigest == "" {
		return nil, Errorf(NotFound, "request %s has no plan that was approved", record.Request.ID)
	}
	return s.Service.Store.KeptPlan(ctx, a.RunID)
}
