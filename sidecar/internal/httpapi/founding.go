package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
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
	var within *string
	// It is accepted, whatever can be said of its time.
	if expected, err := s.Service.Expect(r.Context(), p, request); err == nil && expected != nil {
		within = minutes(expected.Half, expected.Ninety)
	}
	at := foundingURL(request.ID)
	w.Header().Set("Location", at)
	return writeJSON(w, http.StatusAccepted, api.DatabaseAccepted{
		RequestId: request.ID, Status: status(request), DatabaseName: request.Name, EstimatedCompletionTime: within, StatusUrl: at,
	})
}

// minutes says what half and nine in ten took, "5-10 minutes"; nil when either
// is not known.
func minutes(half, ninety *time.Duration) *string {
	if half == nil || ninety == nil {
		return nil
	}
	from, to := max(1, int(half.Minutes())), int((*ninety + time.Minute - 1).Minutes())
	text := fmt.Sprintf("%d-%d minutes", from, to)
	switch {
	case to <= 1:
		text = "less than a minute"
	case from >= to:
		text = fmt.Sprintf("%d minutes", to)
	}
	return &text
}

// onFoundingPath reports whether a route is one of these, whose scripts read
// what went wrong from the member detail.
func onFoundingPath(route string) bool { return strings.Contains(route, "/api/v1/") }

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
		Steps:    make([]api.StatusStep, len(full.Steps)), LogsUrl: foundingURL(full.Id) + "/logs",
	}
	for i, step := range full.Steps {
		view.Steps[i] = api.StatusStep{Step: step.Step, Name: step.Name, Status: step.Status, DurationSeconds: step.DurationSeconds, Details: step.Details}
	}
	if full.Expected != nil {
		view.EstimatedCompletion = full.Expected.By
	}
	if full.Status == api.Completed {
		view.Outputs = full.Outputs
	}
	if full.Status == api.Failed && full.Error != nil {
		text := failureText(*full.Error)
		view.Error = &text
	}
	return writeJSON(w, http.StatusOK, view)
}

// failureText is why it failed, what the provider said, and what likely helps,
// each on its line.
func failureText(f provision.Failure) string {
	text := f.Message
	if f.Detail != "" {
		text += "\nError: " + f.Detail
	}
	if f.WayOut != "" {
		text += "\nSolution: " + f.WayOut
	}
	return text
}
