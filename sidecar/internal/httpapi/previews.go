package httpapi

import (
	"cmp"
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
		Id: pull.ID, Name: pull.Name, Repository: pull.Repository, PullRequest: pull.Number, Base: pull.Base,
		Members: make([]api.PreviewMember, len(members)),
	}
	for i, m := range members {
		answer.Members[i] = api.PreviewMember{Of: m.Of.Name, Offering: m.Of.Offering, Request: s.asked(m.Request, p), Error: shownError(m.Err)}
	}
	return writeJSON(w, http.StatusAccepted, answer)
}

// shownError is what an error says to people, "" for none; what is internal
// stays so.
func shownError(err error) string {
	switch {
	case err == nil:
		return ""
	case provision.KindOf(err) == provision.Internal:
		return "internal error"
	}
	return err.Error()
}

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
		Id: pull.ID, Name: pull.Name, Repository: pull.Repository, PullRequest: pull.Number, Base: pull.Base,
		ExpiresAt: utc(e.ExpiresAt()), MonthlyCost: e.MonthlyCost(), Instances: make([]api.Instance, len(e.Instances)),
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
	outcomes, err := s.Service.DestroyEphemeral(r.Context(), p, id, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, s.outcomes(outcomes, p))
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
	outcomes, err := s.Service.ExtendEphemeral(r.Context(), p, id, by, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, s.outcomes(outcomes, p))
}

func (s *Server) outcomes(outcomes []provision.EphemeralOutcome, p provision.Principal) api.PreviewOutcomes {
	list := api.PreviewOutcomes{Items: make([]api.PreviewOutcome, len(outcomes))}
	for i, o := range outcomes {
		list.Items[i] = api.PreviewOutcome{
			InstanceId: o.Instance.ID, Name: o.Instance.Name, Offering: o.Instance.Offering, Request: s.asked(o.Request, p), Error: shownError(o.Err),
		}
	}
	return list
}

// asked is a request to show; nil when nothing was stored.
func (s *Server) asked(request provision.Request, p provision.Principal) *api.Request {
	if request.ID == uuid.Nil {
		return nil
	}
	view := s.requestView(request, p, s.Now())
	return &view
}
