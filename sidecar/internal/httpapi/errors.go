package httpapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// fault is how one kind of error is answered: its status and the name that
// Backstage's clients switch on.
type fault struct {
	status int
	name   string
}

// faults gives each error kind its answer.
var faults = map[provision.Kind]fault{
	provision.Invalid:         {http.StatusBadRequest, "InputError"},
	provision.Unauthenticated: {http.StatusUnauthorized, "AuthenticationError"},
	provision.Denied:          {http.StatusForbidden, "NotAllowedError"},
	provision.NotFound:        {http.StatusNotFound, "NotFoundError"},
	provision.Conflict:        {http.StatusConflict, "ConflictError"},
	provision.Gone:            {http.StatusGone, "GoneError"},
	provision.Unavailable:     {http.StatusServiceUnavailable, "ServiceUnavailableError"},
	provision.Internal:        {http.StatusInternalServerError, "Error"},
}

// refusal is an error of the door alone, which no domain kind describes.
type refusal struct {
	fault
	message string
	retry   time.Duration // after which asking again makes sense; 0 is never
}

func (r refusal) Error() string { return r.message }

var (
	tooLarge = fault{http.StatusRequestEntityTooLarge, "PayloadTooLargeError"}
	tooMany  = fault{http.StatusTooManyRequests, "TooManyRequestsError"}
)

// defaultRetry is how long a caller waits before it asks again.
const defaultRetry = 2 * time.Second

// handler answers one request or returns what went wrong.
type handler func(w http.ResponseWriter, r *http.Request) error

// handle adapts a handler; it is the only place that turns an error into a
// response.
func (s *Server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.answer(w, r, err)
		}
	}
}

// answer writes err in Backstage's shape, unless an answer has begun; then the
// connection is cut, so that nobody takes a part for the whole.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, err error) {
	state := stateOf(r)
	state.err = err
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		panic(http.ErrAbortHandler)
	}
	info, status, retry := explain(err, state.id)
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wholeSeconds(retry)/time.Second)))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Cache-Control", "no-store")
	body := api.ErrorBody{
		Error:    info,
		Request:  api.ErrorRequest{Method: r.Method, Url: strings.TrimPrefix(r.URL.RequestURI(), Base)},
		Response: api.ErrorResponse{StatusCode: status},
	}
	if onFoundingPath(state.route) {
		body.Detail = info.Message
	}
	_ = writeJSON(w, status, body) // the client is gone; nothing to do
}

// explain is what a caller is told of err. What is ours alone is named by the
// id under which it was logged.
func explain(err error, logID string) (info api.ErrorInfo, status int, retry time.Duration) {
	var refused refusal
	if errors.As(err, &refused) {
		return api.ErrorInfo{Name: refused.name, Message: refused.message}, refused.status, refused.retry
	}
	var shown *provision.Error
	if !errors.As(err, &shown) || shown.Kind == provision.Internal {
		f := faults[provision.Internal]
		return api.ErrorInfo{Name: f.name, Message: "An internal error occurred logId=" + logID}, f.status, 0
	}
	f := faults[shown.Kind]
	info = api.ErrorInfo{
		Name: f.name, Message: shown.Message, Details: shown.Details, Findings: shown.Findings,
		Alternatives: shown.Alternatives, RequestId: shown.RequestID,
	}
	if shown.Kind == provision.Unavailable {
		retry = cmp.Or(shown.RetryAfter, defaultRetry)
	}
	return info, f.status, retry
}

func writeJSON(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the caller has left; there is nobody to tell
	return nil
}

func (s *Server) noRoute(_ http.ResponseWriter, r *http.Request) error {
	return provision.Errorf(provision.NotFound, "there is no route %s %s", r.Method, cut(r.URL.Path))
}

// noMethod answers a path that exists for other methods, and names them.
func noMethod(root *mux.Router) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if match := (mux.RouteMatch{}); root.Match(other, &match) && match.MatchErr == nil {
				allowed = append(allowed, method)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return refusal{fault: fault{http.StatusMethodNotAllowed, "MethodNotAllowedError"},
			message: fmt.Sprintf("%s is not a method of %s; use %s", r.Method, cut(r.URL.Path), strings.Join(allowed, " or "))}
	}
}

func cut(text string) string {
	if len(text) > 200 {
		return strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
