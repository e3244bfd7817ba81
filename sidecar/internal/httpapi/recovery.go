package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) getRecovery(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	recovery, err := s.Service.Recovery(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, recoveryAnswer(recovery))
}

func (s *Server) attestDead(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.OperatorsWord
	return s.operate(w, r, &body, &body.Reason, func(ctx context.Context, id uuid.UUID, reason string) (provision.Recovery, error) {
		return s.Service.Attest(ctx, p, id, reason)
	})
}

func (s *Server) recoverRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.OperatorsWord
	return s.operate(w, r, &body, &body.Reason, func(ctx context.Context, id uuid.UUID, reason string) (provision.Recovery, error) {
		return s.Service.Recover(ctx, p, id, reason)
	})
}

func (s *Server) concludeRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.OperatorsConclusion
	return s.operate(w, r, &body, &body.Reason, func(ctx context.Context, id uuid.UUID, reason string) (provision.Recovery, error) {
		return s.Service.Conclude(ctx, p, id, body.Result, reason)
	})
}

func (s *Server) noteResource(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.ResourceNote
	return s.operate(w, r, &body, &body.Reason, func(ctx context.Context, id uuid.UUID, reason string) (provision.Recovery, error) {
		return s.Service.Note(ctx, p, id, body.Address, body.ResourceId, reason)
	})
}

func (s *Server) removeFromState(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.StateRemoval
	return s.operate(w, r, &body, &body.Reason, func(ctx context.Context, id uuid.UUID, reason string) (provision.Recovery, error) {
		return s.Service.RemoveFromState(ctx, p, id, body.Address, reason)
	})
}

// operate reads an operator's word into body, whose reason is said, and answers
// how things stand then.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, body any, said *string, do func(ctx context.Context, id uuid.UUID, reason string) (provision.Recovery, error)) error {
	id, err := readAsk(w, r, body, false)
	if err != nil {
		return err
	}
	reason, err := reasonOf(*said)
	if err != nil {
		return err
	}
	recovery, err := do(r.Context(), id, reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, recoveryAnswer(recovery))
}

func recoveryAnswer(r provision.Recovery) api.RecoveryAnswer {
	r.Journal, r.Imports, r.Resources = orEmpty(r.Journal), orEmpty(r.Imports), orEmpty(r.Resources)
	return api.RecoveryAnswer{Recovery: r}
}
