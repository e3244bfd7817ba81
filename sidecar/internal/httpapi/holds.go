package httpapi

import (
	"net/http"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) listExemptions(w http.ResponseWriter, _ *http.Request, _ provision.Principal) error {
	all, err := s.Service.Exemptions()
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.ExemptionList{Items: orEmpty(all)})
}

func (s *Server) listCalendar(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	entries, err := s.Service.Upcoming(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.CalendarEntryList{Items: orEmpty(entries)})
}

func (s *Server) listPauses(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	pauses, err := s.Service.Pauses(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.PauseList{Items: orEmpty(pauses)})
}

func (s *Server) beginPause(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	if _, err := idempotencyKey(r, false); err != nil {
		return err
	}
	var body api.PauseStart
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	pause, err := s.Service.Pause(r.Context(), p, provision.PauseKind(body.Kind), body.Name, reason)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, api.PauseAnswer{Pause: pause})
}

func (s *Server) endPause(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := s.Service.Resume(r.Context(), p, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
