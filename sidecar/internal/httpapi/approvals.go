package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) approveRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	return s.answerApproval(w, r, p, s.Service.Approve)
}

func (s *Server) rejectRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	return s.answerApproval(w, r, p, s.Service.Reject)
}

type approvalAnswer func(ctx context.Context, p provision.Principal, id uuid.UUID, reason string) (provision.Request, error)

func (s *Server) answerApproval(w http.ResponseWriter, r *http.Request, p provision.Principal, answer approvalAnswer) error {
	var body api.ApprovalAnswer
	id, err := readAsk(w, r, &body, true)
	if err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	if _, err := answer(r.Context(), p, id, reason); err != nil {
		return err
	}
	// Read again for p: an approver may see less of it than its owner.
	request, err := s.Service.RequestForApproval(r.Context(), p, id)
	if err != nil {
		return err
	}
	return s.showRequest(w, http.StatusOK, p, request)
}

func (s *Server) listApprovals(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	waiting, err := s.Service.Approvals(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.RequestList{Items: s.requestViews(waiting, p)})
}

// approvalView is a request's approval as p sees it; nil when it needs none.
func approvalView(r provision.Request, p provision.Principal) *api.Approval {
	a := r.Approval
	if a == nil {
		return nil
	}
	v := &api.Approval{
		Needed: make([]api.ApprovalNeed, len(a.Needed)), Given: orEmpty(a.Given), Granted: a.Granted(),
		MayApprove: r.State == provision.AwaitingApproval && p.Subject != r.RequestedBy && a.MayApprove(p.Subject) && !a.GivenBy(p.Subject),
		Ceiling:    a.Ceiling, Void: a.Void, Plan: a.Summary(),
	}
	for i, n := range a.Needed {
		v.Needed[i] = api.ApprovalNeed{
			Approvers: orEmpty(n.Approvers), People: orEmpty(n.People), Count: n.Count, Missing: n.Missing(a.Given), Rules: orEmpty(n.Rules),
		}
	}
	if r.State == provision.AwaitingApproval && a.ExpiresAt != nil {
		expires := a.ExpiresAt.UTC()
		v.ExpiresAt = &expires
	}
	return v
}
