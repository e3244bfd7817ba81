package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) getDrift(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	drifting, err := s.Service.Drift(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.driftView(drifting))
}

func (s *Server) checkDrift(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := readAsk(w, r, &struct{}{}, true)
	if err != nil {
		return err
	}
	drifting, err := s.Service.CheckDrift(r.Context(), p, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, s.driftView(drifting))
}

func (s *Server) suppressDrift(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.DriftSuppression
	id, err := readAsk(w, r, &body, false)
	if err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	drifting, err := s.Service.SuppressDrift(r.Context(), p, id, textOf(body.Cause), body.Until, reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.driftView(drifting))
}

func (s *Server) revertDrift(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.DriftAnswered
	return s.ask(w, r, p, true, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		return s.Service.Revert(ctx, p, id, textOf(body.Cause), sub)
	})
}

func (s *Server) adoptDrift(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.DriftAnswered
	return s.ask(w, r, p, true, &body, func(ctx context.Context, id uuid.UUID, sub provision.Submission) (provision.Request, error) {
		return s.Service.Adopt(ctx, p, id, textOf(body.Cause), sub)
	})
}

func (s *Server) listDrift(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	suppressed := false
	if text := r.URL.Query().Get("suppressed"); text != "" {
		var err error
		if suppressed, err = strconv.ParseBool(text); err != nil {
			return provision.Errorf(provision.Invalid, "suppressed is %s; it is true or false", quoted(text))
		}
	}
	groups, err := s.Service.DriftGroups(r.Context(), p, suppressed)
	if err != nil {
		return err
	}
	list := api.DriftList{Items: make([]api.DriftGroup, len(groups))}
	for i, g := range groups {
		view := api.DriftGroup{
			Cause: g.Cause, Title: g.Title, Offering: g.Offering, OfferingName: s.offeringName(g.Offering), Type: g.Type,
			Attribute: g.Attribute, Kind: string(g.Kind), FirstSeen: g.FirstSeen.UTC(), LastSeen: g.LastSeen.UTC(),
			MonthlyDifference: g.MonthlyDifference, Instances: make([]api.DriftFound, len(g.Found)),
		}
		for j, f := range g.Found {
			view.Instances[j] = api.DriftFound{
				Id: f.Instance.ID, Name: f.Instance.Name, Environment: f.Instance.Environment, Owner: f.Instance.Owner,
				EntityRef: f.Instance.EntityRef(), Expected: f.Difference.Expected, Actual: f.Difference.Actual,
				Suppressed: f.Instance.Drift.Suppressed,
			}
		}
		list.Items[i] = view
	}
	return writeJSON(w, http.StatusOK, list)
}

// driftView is an instance's drift as the API shows it.
func (s *Server) driftView(d provision.Drifting) api.DriftAnswer {
	c := d.Check
	view := api.DriftAnswer{InstanceId: d.Instance.ID, Check: api.DriftCheck{
		Running: c.Running(s.Now()), Failure: c.Failure, AskedBy: c.AskedBy, DueAt: timeOf(c.DueAt), CheckedAt: timeOf(c.CheckedAt),
	}}
	drift := d.Instance.Drift
	if drift == nil {
		return view
	}
	if drift.Generation < d.Instance.Generation {
		view.Check.DueAt = timeOf(s.Now()) // a request came since, and may have put it right
	}
	titles := make([]string, len(drift.Differences))
	for i, difference := range drift.Differences {
		titles[i] = difference.Title()
	}
	view.HasDrift, view.Offering, view.Cause = true, &d.Instance.Offering, &drift.Cause
	view.Differences, view.Titles, view.More = &drift.Differences, &titles, &drift.More
	if d.Adoption != nil {
		adoption := api.DriftAdoption{Possible: d.Adoption.Preview != nil, Summary: d.Adoption.InWords(d.Offering)}
		if preview := d.Adoption.Preview; preview != nil {
			adoption.Outcome, adoption.Findings, adoption.Changes = &preview.Outcome, &preview.Findings, &preview.Changes
			adoption.CostBefore, adoption.CostAfter, adoption.CostDifference = preview.CostBefore, preview.CostAfter, preview.CostDifference
		}
		view.Adoption = &adoption
	}
	view.DetectedAt, view.LastSeen, view.Suppressed = timeOf(drift.FirstSeen), timeOf(drift.LastSeen), drift.Suppressed
	return view
}

// driftSummary is nil for an instance that is as it was asked for.
func driftSummary(drift *provision.Drift) *api.DriftSummary {
	if drift == nil || len(drift.Differences) == 0 {
		return nil
	}
	summary := &api.DriftSummary{
		Cause: drift.Cause, Count: len(drift.Differences) + drift.More, Title: drift.Differences[0].Title(), DetectedAt: drift.FirstSeen.UTC(),
	}
	if drift.Suppressed != nil {
		summary.SuppressedUntil = timeOf(drift.Suppressed.Until)
	}
	return summary
}

// timeOf is nil for no time.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (s *Server) claimCheck(w http.ResponseWriter, r *http.Request, c caller) error {
	var wanted api.CheckWanted
	if err := readJSON(w, r, maxBody, false, &wanted); err != nil {
		return err
	}
	check, err := s.Runs.ClaimCheck(r.Context(), c.pool, c.worker, wanted.Busy)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, api.CheckGiven{Check: check})
}

func (s *Server) getCheckedState(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	version, err := s.Runs.CheckedState(r.Context(), c.pool, id, c.runToken)
	if err != nil {
		return err
	}
	w.Header().Set("Roadbed-State-Serial", strconv.FormatInt(version.Serial, 10))
	w.Header().Set("Roadbed-State-Lineage", version.Lineage)
	return s.writeBytes(w, "application/octet-stream", version.Sealed)
}

func (s *Server) finishCheck(w http.ResponseWriter, r *http.Request, c caller) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	var found provision.Checked
	if err := readJSON(w, r, maxPlan, false, &found); err != nil {
		return err
	}
	if err := s.Runs.FinishCheck(r.Context(), c.pool, id, c.runToken, found); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
