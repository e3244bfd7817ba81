package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// pathText is a part of the path, unescaped.
func pathText(r *http.Request, name string) string {
	text, err := url.PathUnescape(mux.Vars(r)[name])
	if err != nil {
		return ""
	}
	return text
}

func (s *Server) me(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	err := s.Service.Authorizer.Allow(r.Context(), provision.Access{Principal: p, Verb: provision.VerbListAll})
	if err != nil && provision.KindOf(err) != provision.Denied {
		return err
	}
	return writeJSON(w, http.StatusOK, api.Me{Subject: p.Subject, Groups: orEmpty(p.Groups), PlatformTeam: err == nil})
}

func (s *Server) listEnvironments(w http.ResponseWriter, _ *http.Request, _ provision.Principal) error {
	list := api.EnvironmentList{Items: []api.Environment{}}
	for _, name := range slices.Sorted(maps.Keys(s.Service.Environments)) {
		e := s.Service.Environments[name]
		list.Items = append(list.Items, api.Environment{Name: name, Title: e.Title, Implementation: e.Implementation, Region: e.Region})
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) listOfferings(w http.ResponseWriter, _ *http.Request, _ provision.Principal) error {
	list := api.OfferingList{Items: []api.Offering{}}
	for _, o := range s.Service.Catalog.Offerings() {
		list.Items = append(list.Items, offeringView(o))
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) getOffering(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	o, err := s.Service.Catalog.Offering(pathText(r, "id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, offeringView(o))
}

func (s *Server) estimate(w http.ResponseWriter, r *http.Request, _ provision.Principal) error {
	var body api.ParametersBody
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	estimate, recommendations, err := s.Service.Estimate(r.Context(), pathText(r, "id"), body.Parameters)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, EstimateView(estimate, recommendations))
}

func (s *Server) evaluate(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Evaluation
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	lifetime, err := provision.ParseLifetime(body.ExpiresIn)
	if err != nil {
		return err
	}
	answer, err := s.Service.Evaluate(r.Context(), p, provision.Question{
		Offering: pathText(r, "id"), Parameters: body.Parameters, Partial: body.Partial, Advise: body.Advise, ExpiresIn: lifetime,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, VerdictView(answer))
}
