package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// foundingPaths are the paths that scripts written before this API know, with
// their fields and words. They stand at the root and under the API's base, and
// are the same service with the same rules; the Idempotency-Key is optional.
func (s *Server) foundingPaths(root *mux.Router) {
	for _, base := range []string{"", Base} {
		at := func(method, path string, h asked) {
			root.Handle(base+path, s.private(method, path, h)).Methods(method)
		}
		at(http.MethodPost, "/api/v1/databases", s.createDatabase)
		at(http.MethodPost, "/api/v1/catalog/{id}/estimate", s.estimateForm)
		at(http.MethodGet, "/api/v1/requests/{id}", s.requestStatus)
		at(http.MethodGet, "/api/v1/requests/{id}/logs", s.requestLogs)
	}
}

// databaseOffering is what /api/v1/databases asks for.
const databaseOffering = "postgres-database"

func (s *Server) createDatabase(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	key, err := idempotencyKey(r, false)
	if err != nil {
		return err
	}
	var parameters provision.Parameters
	if err := readJSON(w, r, maxBody, false, &parameters); err != nil {
		return err
	}
	request, err := s.Service.Submit(r.Context(), p, provision.Submission{Offering: databaseOffering, Parameters: parameters, IdempotencyKey: key})
	if err != nil {
		return foundingWords(err, parameters)
	}
	var by *string
	// It is accepted, whatever can be said of its time.
	if expected, err := s.Service.Expect(r.Context(), p, request); err == nil && expected != nil && expected.By != nil {
		text := expected.By.UTC().Format(time.RFC3339)
		by = &text
	}
	at := foundingURL(request.ID)
	w.Header().Set("Location", at)
	return writeJSON(w, http.StatusAccepted, api.DatabaseAccepted{
		RequestId: request.ID, Status: status(request), DatabaseName: request.Name, EstimatedCompletionTime: by, StatusUrl: at,
	})
}

func foundingURL(id uuid.UUID) string { return "/api/v1/requests/" + id.String() }

// foundingWords says a refusal in the words that these paths have always used.
func foundingWords(err error, p provision.Parameters) error {
	var refused *provision.Error
	if !errors.As(err, &refused) || refused.RequestID == "" { // not the verdict of a judged ask
		return err
	}
	said := *refused
	switch refused.Kind {
	case provision.Denied:
		said.Message = "Policy violation: " + refused.Message
	case provision.Conflict:
		said.Message = fmt.Sprintf("Database '%s' already exists in %s", p.Text("database_name"), p.Text("environment"))
	}
	return &said
}

func (s *Server) estimateForm(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	var parameters provision.Parameters
	if err := readJSON(w, r, maxBody, false, &parameters); err != nil {
		return err
	}
	estimate, recommendations, err := s.Service.Estimate(r.Context(), pathText(r, "id"), parameters)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, EstimateView(estimate, recommendations))
}

func (s *Server) requestStatus(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	request, err := s.readable(r, p)
	if provision.KindOf(err) == provision.NotFound {
		return provision.Errorf(provision.NotFound, "Request not found")
	}
	if err != nil {
		return err
	}
	full, err := s.expectedView(r.Context(), request, p)
	if err != nil {
		return err
	}
	view := api.RequestStatus{
		RequestId: full.Id, Status: full.Status, CreatedAt: full.CreatedAt, UpdatedAt: full.UpdatedAt,
		Resource: api.RequestedResource{Type: full.Offering, Name: full.Name, Environment: full.Environment},
		Steps:    full.Steps, LogsUrl: foundingURL(full.Id) + "/logs",
	}
	if full.Expected != nil {
		view.EstimatedCompletion = full.Expected.By
	}
	if full.Status == api.Completed {
		view.Outputs = full.Outputs
	}
	if full.Status == api.Failed && full.Error != nil {
		view.Error = &full.Error.Message
	}
	return writeJSON(w, http.StatusOK, view)
}
