package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// previewed are the actions whose effect can be looked at first.
var previewed = []provision.Action{provision.Update, provision.Upgrade, provision.Destroy, provision.Extend}

func list[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

func (s *Server) evaluateChange(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var body api.ChangeEvaluation
	if err := readJSON(w, r, maxBody, true, &body); err != nil {
		return err
	}
	action := cmp.Or(body.Action, provision.Update)
	if !slices.Contains(previewed, action) {
		return provision.Errorf(provision.Invalid, "action is %s; what can be looked at first is %s", quoted(string(action)), list(previewed))
	}
	if action == provision.Extend {
		return s.evaluateExtension(w, r, p, id, body.By)
	}
	preview, err := s.Service.PreviewChange(r.Context(), p, id, action, body.Parameters, body.Advise)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, previewView(preview))
}

func (s *Server) evaluateExtension(w http.ResponseWriter, r *http.Request, p provision.Principal, id uuid.UUID, text string) error {
	by, err := provision.ParseLifetime(text)
	if err != nil {
		return err
	}
	preview, err := s.Service.PreviewExtension(r.Context(), p, id, by)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, previewView(preview))
}

func previewView(v provision.ChangePreview) api.ChangePreview {
	return api.ChangePreview{
		Verdict: VerdictView(v.Answer),
		ChangeDifference: api.ChangeDifference{
			Before: v.Before, After: v.After, Changes: orEmpty(v.Changes), Replaces: orEmpty(v.Replaces),
			CostBefore: v.CostBefore, CostAfter: v.CostAfter, CostDifference: v.CostDifference,
			VersionBefore: v.VersionBefore, VersionAfter: v.VersionAfter,
		},
	}
}

func (s *Server) updateInstance(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Alteration
	return s.ask(w, r, p, false, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		sub.Parameters = body.Parameters
		return s.Service.Update(ctx, p, id, sub)
	})
}

func (s *Server) upgradeInstance(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Upgrading
	return s.ask(w, r, p, true, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		sub.Parameters = body.Parameters
		return s.Service.Upgrade(ctx, p, id, sub)
	})
}

func (s *Server) rotateCredentials(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Rotation
	return s.ask(w, r, p, true, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		return s.Service.Rotate(ctx, p, id, sub)
	})
}

func (s *Server) handOver(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.HandOver
	return s.ask(w, r, p, false, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		return s.Service.HandOver(ctx, p, id, provision.Handing{Owner: body.Owner, CostCenter: body.CostCenter}, sub)
	})
}

func (s *Server) retryRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Repetition
	return s.ask(w, r, p, true, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		return s.Service.Retry(ctx, p, id, sub)
	})
}

func (s *Server) destroyInstance(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Destruction
	return s.ask(w, r, p, true, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		sub.Confirm = body.Confirm
		return s.Service.Destroy(ctx, p, id, sub)
	})
}

func (s *Server) extendInstance(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Extension
	return s.ask(w, r, p, false, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		by, err := provision.ParseLifetime(body.By)
		if err != nil {
			return provision.Request{}, err
		}
		return s.Service.Extend(ctx, p, id, by, sub)
	})
}

// sourced is a body that says where the ask came from.
type sourced interface{ Origin() *api.Source }

// ask reads what is asked of the thing in the path, under the caller's key, and
// answers with the request that it makes.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, p provision.Principal, optional bool, body sourced,
	submit func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error)) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	if err := readJSON(w, r, maxBody, optional, body); err != nil {
		return err
	}
	task, err := taskOf(body.Origin())
	if err != nil {
		return err
	}
	request, err := submit(r.Context(), id, provision.Submission{Task: task, IdempotencyKey: key})
	if err != nil {
		return err
	}
	return s.accepted(w, p, request)
}
