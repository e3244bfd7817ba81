package httpapi

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

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
	o, err := s.Service.Catalog.Offering(pathText(r, "id"))
	if err != nil {
		return err
	}
	parameters, err := s.priceable(o, body.Parameters)
	if err != nil {
		return err
	}
	estimate, err := s.Service.Judge.Prices.Price(o, parameters)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, estimateView(estimate))
}

// priceable are parameters that can be priced while the form is still being
// filled in: names, owners and other texts have no price, so what is wrong with
// them is left for evaluate to say. What is wrong with the rest is Invalid.
func (s *Server) priceable(o provision.Offering, given provision.Parameters) (provision.Parameters, error) {
	checked, err := s.Service.Catalog.Check(o, given)
	if err == nil {
		return checked, nil
	}
	var invalid *provision.Error
	if !errors.As(err, &invalid) || invalid.Kind != provision.Invalid {
		return nil, err
	}
	blank := map[string]bool{o.Roles.Environment: true}
	for _, p := range o.Parameters {
		if p.Type == "string" {
			blank[p.Name] = true
		}
	}
	var faults []provision.Fault
	for _, f := range invalid.Details {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Path, "/"), "/")
		if value, set := given[name]; !blank[name] && (set && value != nil || f.Path == "") {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 || len(invalid.Details) == 0 {
		messages := make([]string, len(faults))
		for i, f := range faults {
			messages[i] = f.Message
		}
		wrong := provision.Errorf(provision.Invalid, "%s", strings.Join(messages, "; "))
		wrong.Details = faults
		if len(faults) == 0 {
			return nil, err
		}
		return nil, wrong
	}
	priced := provision.Parameters{}
	for _, p := range o.Parameters {
		value, set := given[p.Name]
		switch {
		case set && value != nil && !blank[p.Name]:
			priced[p.Name] = value
		case p.Default != nil:
			priced[p.Name] = p.Default
		}
	}
	return priced, nil
}

func (s *Server) evaluate(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.ParametersBody
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	verdict, err := s.Service.Evaluate(r.Context(), p, pathText(r, "id"), body.Parameters)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, verdictView(verdict))
}
