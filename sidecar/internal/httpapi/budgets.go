package httpapi

import (
	"net/http"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) listBudgets(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	budgets, err := s.Service.Budgets(r.Context(), p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.BudgetList{Items: budgets})
}
