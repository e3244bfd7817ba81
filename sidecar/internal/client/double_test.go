package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var document = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// double is a sidecar that answers what a test says and holds both what it is
// asked and what it answers to openapi.yaml.
type double struct {
	t      *testing.T
	server *httptest.Server
	answer func(asked) answer

	mu    sync.Mutex
	asked []asked
}

// asked is one call, as the double saw it.
type asked struct {
	Operation string
	Number    int // from 1
	Header    http.Header
	Query     string
	Body      string
}

type answer struct {
	status int // 0 is 200
	header map[string]string
	body   any  // JSON, or a string as it is
	cut    bool // drop the connection after the body
	loose  bool // it need not be what openapi.yaml says
}

func newDouble(t *testing.T, answers func(asked) answer) *double {
	d := &double{t: t, answer: answers}
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	return d
}

func (d *double) client(options ...Option) *Client {
	d.t.Helper()
	c, err := New(d.server.URL+"/api/roadbed", "a-token", options...)
	if err != nil {
		d.t.Fatalf("New: %v", err)
	}
	return c
}

func (d *double) calls() []asked {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]asked(nil), d.asked...)
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Errorf("read %s %s: %v", r.Method, r.URL, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	router, err := document()
	if err != nil {
		d.t.Errorf("openapi.yaml: %v", err)
		return
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		d.t.Errorf("%s %s is not in openapi.yaml: %v", r.Method, r.URL, err)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, SkipSettingDefaults: true},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		d.t.Errorf("%s %s is not as openapi.yaml says: %v", r.Method, r.URL, err)
	}
	d.mu.Lock()
	call := asked{Operation: route.Operation.OperationID, Number: len(d.asked) + 1, Header: r.Header.Clone(), Query: r.URL.RawQuery, Body: string(body)}
	d.asked = append(d.asked, call)
	d.mu.Unlock()
	d.reply(w, input, d.answer(call))
}

func (d *double) reply(w http.ResponseWriter, input *openapi3filter.RequestValidationInput, a answer) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	text, raw := a.body.(string)
	header := http.Header{}
	if !raw && a.body != nil {
		encoded, err := json.Marshal(a.body)
		if err != nil {
			d.t.Errorf("encode answer: %v", err)
		}
		text = string(encoded)
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	for name, value := range a.header {
		header.Set(name, value)
	}
	if !a.loose {
		output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: a.status, Header: header, Options: &openapi3filter.Options{
			IncludeResponseStatus: true, ExcludeResponseBody: raw,
		}}
		output.SetBodyBytes([]byte(text))
		if err := openapi3filter.ValidateResponse(input.Request.Context(), output); err != nil {
			d.t.Errorf("the answer of %s is not as openapi.yaml says: %v", input.Route.Operation.OperationID, err)
		}
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, text) // the client is gone
	if a.cut {
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// refusalBody is an error in the API's shape.
func refusalBody(status int, name, message string) answer {
	return answer{status: status, body: api.ErrorBody{
		Error: api.ErrorInfo{Name: name, Message: message}, Request: api.ErrorRequest{Method: "GET", Url: "/x"}, Response: api.ErrorResponse{StatusCode: status},
	}}
}

// frames are events of a stream from one sequence number to another; the one
// numbered last, when it is among them, ends the request.
func frames(id uuid.UUID, from, to, last int64) string {
	text := "retry: 2000\n\n:\n\n"
	for n := from; n <= to; n++ {
		e := event(id, n, last)
		verb := strings.Split(e.Type, ".")
		data, _ := json.Marshal(e) // a literal
		text += fmt.Sprintf("id: %d\nevent: %s.%s\ndata: %s\n\n", n, verb[2], verb[3], data)
	}
	return text
}

func event(id uuid.UUID, n, last int64) api.Event {
	kind := "dev.roadbed.step.progressed.v1"
	if n == last {
		kind = "dev.roadbed.request.succeeded.v1"
	}
	return api.Event{Type: kind, SubjectId: id, Sequence: n, At: noon, Data: map[string]any{"step": json.Number("3")}}
}

func stream(text string, cut bool) answer {
	return answer{header: map[string]string{"Content-Type": "text/event-stream"}, body: text, cut: cut}
}

var noon = time.Date(2025, 9, 1, 12, 0, 0, 0, time.UTC)

func requestOf(id uuid.UUID, state provision.State) api.Request {
	price := 85*provision.Dollar + 500
	return api.Request{
		Id: id, Action: provision.Create, Offering: "postgres-database", OfferingName: "PostgreSQL Database", OfferingVersion: "1.2.0",
		EntityRef: "resource:dev/orders.postgres-database", Environment: "dev", Name: "orders", Owner: "group:default/payments",
		Parameters: provision.Parameters{"storage_gb": json.Number("100")}, State: state, Status: api.Pending,
		RequestedBy: "user:default/ann", MonthlyCost: &price, Outcome: provision.OutcomeAllow, Findings: []provision.Finding{},
		Steps: []api.Step{{Step: 1, Name: "Validate request", Status: provision.StepCompleted}}, Sequence: 3, CreatedAt: noon, UpdatedAt: noon,
	}
}

func instanceOf(id uuid.UUID) api.Instance {
	return api.Instance{
		Id: id, ShortId: "1a2b3c4d", Offering: "postgres-database", OfferingName: "PostgreSQL Database", OfferingVersion: "1.2.0",
		Environment: "dev", Name: "orders", Owner: "group:default/payments", State: provision.Ready, Parameters: provision.Parameters{},
		RequestId: id, EntityRef: "resource:dev/orders.postgres-database", CreatedAt: noon, UpdatedAt: noon,
	}
}
