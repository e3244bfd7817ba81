package httpapi

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) getActivity(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	activity, err := s.Service.Activity(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, activityView(id, activity))
}

func (s *Server) answerUnused(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.UnusedAnswer
	id, err := readAsk(w, r, &body, false)
	if err != nil {
		return err
	}
	reason, err := reasonOf(textOf(body.Reason))
	if err != nil {
		return err
	}
	answer := s.Service.SnoozeUnused
	if mux.Vars(r)["answer"] == "needed" {
		answer = s.Service.KeepUnused
	}
	activity, err := answer(r.Context(), p, id, body.Until, reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, activityView(id, activity))
}

func (s *Server) listUnused(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	answered := false
	if text := r.URL.Query().Get("answered"); text != "" {
		var err error
		if answered, err = strconv.ParseBool(text); err != nil {
			return provision.Errorf(provision.Invalid, "answered is %s; it is true or false", quoted(text))
		}
	}
	groups, err := s.Service.Unused(r.Context(), p, answered)
	if err != nil {
		return err
	}
	list := api.UnusedList{Items: make([]api.UnusedGroup, len(groups))}
	for i, g := range groups {
		group := api.UnusedGroup{Owner: g.Owner, Count: len(g.Found), MonthlySaving: g.MonthlySaving, Items: make([]api.UnusedFinding, len(g.Found))}
		for j, f := range g.Found {
			group.Items[j] = api.UnusedFinding{
				Type: f.Instance.Offering, Id: f.Instance.ID, Name: f.Instance.Name, Environment: f.Instance.Environment,
				EntityRef: f.Instance.EntityRef(), Reason: f.Activity.Reason, MonthlyCost: f.Saves(), Owner: f.Instance.Owner,
				UnusedSince: f.Activity.UnusedSince.UTC(), MeasuredAt: f.Activity.MeasuredAt.UTC(), UsedAt: timeOf(f.Activity.UsedAt),
				Answer: f.Activity.Answer,
			}
		}
		list.Items[i] = group
		list.Count += group.Count
		list.MonthlySaving += g.MonthlySaving
	}
	return writeJSON(w, http.StatusOK, list)
}

func activityView(id uuid.UUID, a provision.Activity) api.ActivityView {
	view := api.ActivityView{
		InstanceId: id, State: api.ActivityViewState(a.State()), Since: timeOf(a.Since), MeasuredAt: timeOf(a.MeasuredAt),
		UsedAt: timeOf(a.UsedAt), UnusedSince: timeOf(a.UnusedSince), Answer: a.Answer,
	}
	if a.Reason != "" {
		view.Reason = &a.Reason
	}
	if a.Failure != "" {
		view.Failure = &a.Failure
	}
	return view
}
