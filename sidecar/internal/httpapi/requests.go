package httpapi

import (
	"net/http"
	"strings"
	"unicode"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func (s *Server) submitRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	key, err := idempotencyKey(r, true)
	if err != nil {
		return err
	}
	var body api.Submission
	if err := readJSON(w, r, maxBody, false, &body); err != nil {
		return err
	}
	task, err := taskOf(body.Source)
	if err != nil {
		return err
	}
	lifetime, err := provision.ParseLifetime(body.ExpiresIn)
	if err != nil {
		return err
	}
	request, err := s.Service.Submit(r.Context(), p, provision.Submission{
		Offering: body.Offering, Parameters: body.Parameters, Task: task, IdempotencyKey: key, ExpiresIn: lifetime,
	})
	if err != nil {
		return err
	}
	return s.accepted(w, p, request)
}

func taskOf(source *api.Source) (string, error) {
	if source == nil {
		return "", nil
	}
	if len(source.Task) > 255 || strings.ContainsFunc(source.Task, unicode.IsControl) {
		return "", provision.Errorf(provision.Invalid, "source.task must be at most 255 characters on one line")
	}
	return source.Task, nil
}

func (s *Server) accepted(w http.ResponseWriter, p provision.Principal, request provision.Request) error {
	w.Header().Set("Location", Base+"/requests/"+request.ID.String())
	return s.showRequest(w, http.StatusAccepted, p, request)
}

func (s *Server) showRequest(w http.ResponseWriter, status int, p provision.Principal, request provision.Request) error {
	return writeJSON(w, status, api.RequestAnswer{Request: s.requestView(request, p, s.Now())})
}

func (s *Server) getRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	request, err := s.Service.RequestForApproval(r.Context(), p, id)
	if err != nil {
		return err
	}
	view, err := s.expectedView(r.Context(), request, p)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.RequestAnswer{Request: view})
}

// readable is the request in the path, if p may read it.
func (s *Server) readable(r *http.Request, p provision.Principal) (provision.Request, error) {
	id, err := pathID(r)
	if err != nil {
		return provision.Request{}, err
	}
	request, err := s.Service.Request(r.Context(), p, id)
	if err != nil {
		return provision.Request{}, err // and never what was read
	}
	return request, nil
}

func (s *Server) listRequests(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	q := r.URL.Query()
	filter := provision.RequestFilter{Owners: owners(q), Offering: q.Get("offering"), Environment: q.Get("environment")}
	var err error
	if filter.Cursor, filter.Limit, err = page(q); err != nil {
		return err
	}
	if filter.States, err = states(q); err != nil {
		return err
	}
	switch q.Get("mine") {
	case "true":
		filter.RequestedBy = p.Subject
	case "false", "":
	default:
		return provision.Errorf(provision.Invalid, "mine is %s; it is true or false", quoted(q.Get("mine")))
	}
	if text := q.Get("instance"); text != "" {
		if filter.InstanceID, err = parseID(text); err != nil {
			return err
		}
	}
	found, err := s.Service.Requests(r.Context(), p, filter)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.RequestList{Items: s.requestViews(found.Items, p), Next: found.Next})
}

func (s *Server) cancelRequest(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	var body api.Cancellation
	id, err := readAsk(w, r, &body, true)
	if err != nil {
		return err
	}
	reason, err := reasonOf(body.Reason)
	if err != nil {
		return err
	}
	if reason == "" {
		reason = "cancelled by " + p.Subject
	}
	request, err := s.Service.Cancel(r.Context(), p, id, reason)
	if err != nil {
		return err
	}
	return s.showRequest(w, http.StatusAccepted, p, request)
}

// reasonOf is a reason that somebody gave, "" when it is left out.
func reasonOf(text string) (string, error) {
	reason := strings.TrimSpace(text)
	if len(reason) > 1000 || strings.ContainsFunc(reason, unicode.IsControl) {
		return "", provision.Errorf(provision.Invalid, "reason must be at most 1000 characters on one line")
	}
	return reason, nil
}

func (s *Server) listInstances(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	q := r.URL.Query()
	filter := provision.InstanceFilter{Owners: owners(q), Offering: q.Get("offering"), Environment: q.Get("environment")}
	var err error
	if filter.Cursor, filter.Limit, err = page(q); err != nil {
		return err
	}
	found, err := s.Service.Instances(r.Context(), p, filter)
	if err != nil {
		return err
	}
	list := api.InstanceList{Items: []api.Instance{}, Next: found.Next}
	for _, i := range found.Items {
		list.Items = append(list.Items, s.instanceView(i))
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) getInstance(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	instance, err := s.Service.Instance(r.Context(), p, id)
	if err != nil {
		return err
	}
	requests, err := s.Service.Requests(r.Context(), p, provision.RequestFilter{InstanceID: id, Limit: 20})
	if err != nil {
		return err
	}
	view := s.instanceView(instance)
	budgets, err := s.Service.InstanceBudgets(r.Context(), instance)
	if err != nil {
		return err
	}
	view.Budgets = &budgets
	if view.Dependants, err = s.Service.Store.Dependants(r.Context(), id); err != nil {
		return err
	}
	if len(requests.Items) > 0 {
		busy := instance.Busy(requests.Items[0])
		view.ChangesAllowed = &busy
	}
	return writeJSON(w, http.StatusOK, api.InstanceAnswer{Instance: view, Requests: s.requestViews(requests.Items, p)})
}

func (s *Server) openCredentials(w http.ResponseWriter, r *http.Request, p provision.Principal) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if err := readJSON(w, r, maxBody, true, &struct{}{}); err != nil {
		return err
	}
	credentials, err := s.Service.Credentials(r.Context(), p, id)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeJSON(w, http.StatusOK, api.CredentialsAnswer{Credentials: credentials})
}
