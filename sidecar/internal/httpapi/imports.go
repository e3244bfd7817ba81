package httpapi

import (
	"errors"
	"net/http"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) importInstances(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	var body api.ImportAsk
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	task, err := taskOf(body.Source)
	if err != nil {
		return err
	}
	items := make([]provision.Importing, len(body.Items))
	for i, item := range body.Items {
		items[i] = provision.Importing{Offering: item.Offering, Parameters: item.Parameters, Resources: item.Resources}
	}
	answers, err := s.Service.Import(r.Context(), p, items, task, key, body.DryRun)
	if err != nil {
		return err
	}
	answer := api.ImportAnswer{Items: make([]api.ImportedItem, len(answers))}
	for i, a := range answers {
		item := api.ImportedItem{Name: a.Name, Offering: items[i].Offering}
		if a.Err != nil {
			item.Error = shownError(a.Err)
			var shown *provision.Error
			if errors.As(a.Err, &shown) {
				item.Details = shown.Details
			}
		}
		if a.Request.ID != uuid.Nil {
			view := s.requestView(a.Request, p, s.Now())
			item.Request = &view
		}
		if a.Answer != nil && a.Err == nil {
			view := VerdictView(*a.Answer)
			item.Verdict = &view
		}
		answer.Items[i] = item
	}
	return writeJSON(w, http.StatusAccepted, answer)
}
