package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) makePreview(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	var body api.PreviewAsk
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	hours := cmp.Or(body.TtlHours, 24)
	if hours < 1 || hours > 24*365 {
		return provision.Errorf(provision.Invalid, "ttl_hours is %d; it is 1 to %d", hours, 24*365)
	}
	pull, members, err := s.Service.MakeEphemeral(r.Context(), p, provision.EphemeralAsk{
		PullRequest: provision.PullRequest{Repository: body.Repository, Number: body.PullRequest, Base: cmp.Or(body.Base, "staging")},
		Owner:       body.Owner, Environment: cmp.Or(body.Environment, "dev"), Lifetime: time.Duration(hours) * time.Hour, Of: body.Of,
	}, key)
	if err != nil {
		return err
	}
	answer := api.PreviewAnswer{
		Id: pull.ID, Name: previewName(pull), Repository: pull.Repository, PullRequest: pull.Number, Base: pull.Base,
		Members: make([]api.PreviewMember, len(members)),
	}
	for i, m := range members {
		answer.Members[i] = api.PreviewMember{Of: m.Of.Name, Offering: m.Of.Offering}
		if m.Err != nil {
			answer.Members[i].Error = shownError(m.Err)
		}
		if m.Request.ID != uuid.Nil {
			view := s.requestView(m.Request, p, s.Now())
			answer.Members[i].Request = &view
		}
	}
	return writeJSON(w, http.StatusAccepted, answer)
}

// shownError is what an error says to people; what is internal stays so.
func shownError(err error) string {
	if provision.KindOf(err) == provision.Internal {
		return "internal error"
	}
	return err.Error()
}

func previewName(pull provision.PullRequest) string { return fmt.Sprintf("pr-%d", pull.Number) }

func (s *Server) listPreviews(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	found, err := s.Service.Ephemerals(r.Context(), p, uuid.Nil)
	if err != nil {
		return err
	}
	list := api.PreviewList{Items: make([]api.EphemeralEnvironment, len(found))}
	for i, e := range found {
		list.Items[i] = s.previewOf(e)
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) getPreview(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	found, err := s.Service.Ephemerals(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.previewOf(found[0]))
}

func (s *Server) previewOf(e provision.Ephemeral) api.EphemeralEnvironment {
	pull := e.PullRequest
	view := api.EphemeralEnvironment{
		Id: pull.ID, Name: previewName(pull), Repository: pull.Repository, PullRequest: pull.Number, Base: pull.Base,
		ExpiresAt: utc(e.ExpiresAt()), Instances: make([]api.Instance, len(e.Instances)),
	}
	for i, instance := range e.Instances {
		view.Instances[i] = s.instanceView(instance)
	}
	return view
}

func (s *Server) destroyPreview(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	requests, err := s.Service.DestroyEphemeral(r.Context(), p, id, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, api.PreviewRequests{Items: s.requestViews(requests, p)})
}

func (s *Server) extendPreview(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	var body api.Extension
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	by, err := provision.ParseLifetime(body.By)
	if err != nil {
		return err
	}
	requests, err := s.Service.ExtendEphemeral(r.Context(), p, id, by, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, api.PreviewRequests{Items: s.requestViews(requests, p)})
}
