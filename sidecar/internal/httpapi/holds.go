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
