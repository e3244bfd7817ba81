package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// refused reads an error answer.
func refused(t *testing.T, a answer) api.ErrorBody {
	t.Helper()
	var body api.ErrorBody
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("the answer %d is not an error in JSON: %v\n%s", a.status, err, a.body)
	}
	if body.Response.StatusCode != a.status || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("answer %d of type %q says %d", a.status, a.header.Get("Content-Type"), body.Response.StatusCode)
	}
	return body
}

func TestEveryRouteNeedsItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := provision.NewID().String()
	worker := http.Header{"Roadbed-Worker": {"worker-1"}, "Authorization": {"Bearer " + r.token(ann)}}
	for _, route := range []string{
		"GET /me", "GET /environments", "GET /offerings", "GET /offerings/x", "POST /offerings/x/estimate", "POST /offerings/x/evaluate",
		"GET /requests", "POST /requests", "GET /requests/" + id, "POST /requests/" + id + "/cancel", "GET /requests/" + id + "/events",
		"GET /requests/" + id + "/logs", "GET /instances", "GET /instances/" + id, "POST /instances/" + id + "/destroy",
		"POST /instances/" + id + "/credentials", "GET /measures", "POST /measures/tickets", "GET /entities", "GET /entities/changes",
		"GET /worker/runs/" + id, "POST /worker/runs/" + id + "/claim", "POST /worker/runs/" + id + "/renew",
		"POST /worker/runs/" + id + "/release", "POST /worker/runs/" + id + "/plan", "GET /worker/runs/" + id + "/state",
		"PUT /worker/runs/" + id + "/state", "GET /worker/bundles/sha256:" + strings.Repeat("0", 64),
	} {
		method, path, _ := strings.Cut(route, " ")
		wrong := http.Header{"Authorization": {"Bearer nonsense"}}
		if strings.HasPrefix(path, "/worker/") {
			wrong = worker // a user's token opens no worker route
		}
		for name, header := range map[string]http.Header{"no token": {}, "a wrong token": wrong} {
			got := r.raw(method, httpapi.Base+path, header, "")
			if body := refused(t, got); got.status != http.StatusUnauthorized || body.Error.Name != "AuthenticationError" {
				t.Errorf("%s with %s answered %d %s, want 401 AuthenticationError", route, name, got.status, body.Error.Name)
			}
		}
		if !strings.HasPrefix(path, "/worker/") {
			got := r.raw(method, httpapi.Base+path, http.Header{"Authorization": {"Bearer " + poolToken}, "Roadbed-Worker": {"w"}}, "")
			if got.status != http.StatusUnauthorized {
				t.Errorf("%s with a pool's token answered %d, want 401", route, got.status)
			}
		}
	}
}

func TestErrorsOfTheDoor(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	id := provision.NewID().String()
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	submit := func(body string) (string, string, http.Header, string) {
		return http.MethodPost, "/requests", r.jsonBy(ann, "Idempotency-Key", "k"), body
	}
	type sent struct {
		method, path string
		header       http.Header
		body         string
	}
	post := func(body string) sent { m, p, h, b := submit(body); return sent{m, p, h, b} }
	worker := http.Header{"Authorization": {"Bearer " + poolToken}, "Roadbed-Worker": {"worker-1"}}
	tests := map[string]struct {
		sent
		status int
		name   string
		says   string
	}{
		"an unknown route":              {sent{"GET", "/nothing", nil, ""}, 404, "NotFoundError", "no route"},
		"a query with a NUL":            {sent{"GET", "/instances?owner=a%00b", r.jsonBy(ann), ""}, 400, "InputError", "no text"},
		"a query with half a character": {sent{"GET", "/requests?environment=%ff", r.jsonBy(ann), ""}, 400, "InputError", "no text"},
		"a query that cannot be read":   {sent{"GET", "/requests?owner=%zz", r.jsonBy(ann), ""}, 400, "InputError", "no text"},
		"a path with a NUL":             {sent{"GET", "/offerings/a%00b/versions", r.jsonBy(ann), ""}, 400, "InputError", "no text"},
		"a wrong method of what ends":   {sent{"PUT", "/pauses/" + id, nil, ""}, 405, "MethodNotAllowedError", "use DELETE"},
		"a wrong method":                {sent{"DELETE", "/requests", nil, ""}, 405, "MethodNotAllowedError", "use GET or POST"},
		"a body of another type":        {sent{"POST", "/requests", r.jsonBy(ann, "Idempotency-Key", "k", "Content-Type", "text/plain"), "{}"}, 400, "InputError", "application/json"},
		"no body":                       {post(""), 400, "InputError", ""},
		"a byte that is no character":   {post("{\"offering\":\"x\xff\",\"parameters\":{}}"), 400, "InputError", "no character"},
		"half a surrogate pair":         {post(`{"offering":"x","parameters":{"a":"\ud83d\\ude00"}}`), 400, "InputError", "no character"},
		"a pair the wrong way round":    {post(`{"offering":"x","parameters":{"a":"\ude00\ud83d"}}`), 400, "InputError", "no character"},
		"a whole pair":                  {post(`{"offering":"x","parameters":{"a":"\\\ud83d\ude00"}}`), 404, "NotFoundError", "no offering"},
		"half a body":                   {post(`{"offering":`), 400, "InputError", "not JSON"},
		"more after the body":           {post(`{"offering":"x","parameters":{}} {}`), 400, "InputError", "goes on"},
		"a list":                        {post(`[]`), 400, "InputError", "object"},
		"an unknown member":             {post(`{"offering":"x","parameters":{},"owner":"me"}`), 400, "InputError", "owner"},
		"a member in another case":      {post(`{"Offering":"x","parameters":{}}`), 400, "InputError", "Offering"},
		"an unknown member inside":      {post(`{"offering":"x","parameters":{},"source":{"user":"me"}}`), 400, "InputError", "user"},
		"a member twice":                {post(`{"offering":"x","offering":"y","parameters":{}}`), 400, "InputError", "twice"},
		"a parameter twice":             {post(`{"offering":"x","parameters":{"a":1,"a":2}}`), 400, "InputError", "twice"},
		"a member of another kind":      {post(`{"offering":7,"parameters":{}}`), 400, "InputError", "offering"},
		"nesting without end":           {post(`{"offering":"x","parameters":` + deep + `}`), 400, "InputError", "deeper"},
		"the character NUL":             {post(`{"offering":"x\u0000","parameters":{}}`), 400, "InputError", "U+0000"},
		"a number out of reason":        {post(`{"offering":"postgres-database","parameters":{"database_name":"orders","environment":"dev","team_owner":"payments","cost_center":"c","storage_gb":1e999999999}}`), 400, "InputError", "storage_gb"},
		"a body too large":              {post(`{"offering":"` + strings.Repeat("x", 70<<10) + `"}`), 413, "PayloadTooLargeError", "64 KiB"},
		"an unknown offering":           {post(`{"offering":"moon","parameters":{}}`), 404, "NotFoundError", "moon"},
		"no Idempotency-Key":            {sent{"POST", "/requests", r.jsonBy(ann), "{}"}, 400, "InputError", "Idempotency-Key"},
		"a long Idempotency-Key":        {sent{"POST", "/requests", r.jsonBy(ann, "Idempotency-Key", strings.Repeat("k", 256)), "{}"}, 400, "InputError", "255"},
		"a key beyond ASCII":            {sent{"POST", "/requests", r.jsonBy(ann, "Idempotency-Key", "käse"), "{}"}, 400, "InputError", "printable"},
		"a task of two lines":           {post(`{"offering":"x","parameters":{},"source":{"task":"a\nb"}}`), 400, "InputError", "source.task"},
		"no key on destroy":             {sent{"POST", "/instances/" + id + "/destroy", r.jsonBy(ann), "{}"}, 400, "InputError", "Idempotency-Key"},
		"an id that is not one":         {sent{"GET", "/requests/17", r.jsonBy(ann), ""}, 400, "InputError", "17"},
		"an id in braces":               {sent{"GET", "/requests/%7B" + id + "%7D", r.jsonBy(ann), ""}, 400, "InputError", "UUID"},
		"an unknown request":            {sent{"GET", "/requests/" + id, r.jsonBy(ann), ""}, 404, "NotFoundError", id},
		"an unknown instance":           {sent{"GET", "/instances/" + id, r.jsonBy(ann), ""}, 404, "NotFoundError", id},
		"a page too long":               {sent{"GET", "/requests?limit=101", r.jsonBy(ann), ""}, 400, "InputError", "100"},
		"a state that is not one":       {sent{"GET", "/requests?state=queued,happy", r.jsonBy(ann), ""}, 400, "InputError", "happy"},
		"a cursor that is not one":      {sent{"GET", "/requests?cursor=zzz", r.jsonBy(ann), ""}, 0, "", ""},
		"mine that is not a boolean":    {sent{"GET", "/requests?mine=perhaps", r.jsonBy(ann), ""}, 400, "InputError", "perhaps"},
		"a long reason":                 {sent{"POST", "/requests/" + id + "/cancel", r.jsonBy(ann), `{"reason":"` + strings.Repeat("r", 1001) + `"}`}, 400, "InputError", "reason"},
		"a position that is not one":    {sent{"GET", "/requests/" + r.submit("orders").Id.String() + "/events", r.jsonBy(ann, "Last-Event-ID", "x"), ""}, 400, "InputError", "position"},
		"changes without a cursor":      {sent{"GET", "/entities/changes", r.jsonBy("plugin:catalog"), ""}, 400, "InputError", "after"},
		"changes for too long":          {sent{"GET", "/entities/changes?after=x&wait=26", r.jsonBy("plugin:catalog"), ""}, 400, "InputError", "wait"},
		"a worker without a name":       {sent{"GET", "/worker/runs/" + id, http.Header{"Authorization": {"Bearer " + poolToken}}, ""}, 400, "InputError", "Roadbed-Worker"},
		"a state without its serial":    {sent{"PUT", "/worker/runs/" + id + "/state", worker, "sealed"}, 400, "InputError", "Roadbed-State-Serial"},
		"a name in the path that bends": {sent{"GET", "/offerings/..%2F..%2Fetc", r.jsonBy(ann), ""}, 404, "NotFoundError", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := r.raw(tt.method, httpapi.Base+tt.path, tt.header, tt.body)
			body := refused(t, got)
			if tt.status == 0 { // whichever the store says, but an answer
				if got.status != http.StatusBadRequest && got.status != http.StatusGone {
					t.Errorf("answered %d: %s", got.status, body.Error.Message)
				}
				return
			}
			if got.status != tt.status || body.Error.Name != tt.name || !strings.Contains(body.Error.Message, tt.says) {
				t.Errorf("answered %d %s %q, want %d %s with %q", got.status, body.Error.Name, body.Error.Message, tt.status, tt.name, tt.says)
			}
			if want := strings.SplitN(tt.path, "?", 2)[0]; !strings.HasPrefix(body.Request.Url, want) || body.Request.Method != tt.method {
				t.Errorf("request = %+v, want %s %s", body.Request, tt.method, want)
			}
		})
	}
	if outside := refused(t, r.raw("GET", "/", nil, "")); outside.Error.Name != "NotFoundError" {
		t.Errorf("GET / = %+v", outside)
	}
}

func TestWhatIsOursIsNotShown(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.1.2.3:5432 as roadbed: password rejected")
	r := newRig(t, func(c *httpapi.Config) { c.Auth = failing{fmt.Errorf("read user: %w", cause)} })
	got := r.raw(http.MethodGet, httpapi.Base+"/me", nil, "")
	body := refused(t, got)
	id := got.header.Get("X-Request-Id")
	if got.status != http.StatusInternalServerError || body.Error.Message != "An internal error occurred logId="+id {
		t.Errorf("answered %d %q, want 500 that names the log", got.status, body.Error.Message)
	}
	if !strings.Contains(r.log.String(), "10.1.2.3") || !strings.Contains(r.log.String(), id) {
		t.Errorf("the log does not tell the cause under %s", id)
	}

	r = newRig(t, func(c *httpapi.Config) { c.Auth = failing{provision.Unreachable("Backstage", cause)} })
	got = r.raw(http.MethodGet, httpapi.Base+"/me", nil, "")
	if body := refused(t, got); got.status != http.StatusServiceUnavailable || strings.Contains(body.Error.Message, "10.1.2.3") || got.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %q with Retry-After %q", got.status, body.Error.Message, got.header.Get("Retry-After"))
	}
	r = newRig(t, func(c *httpapi.Config) { c.Auth = panicking{} })
	if got := r.raw(http.MethodGet, httpapi.Base+"/me", nil, ""); got.status != http.StatusInternalServerError {
		t.Errorf("a panic answered %d, want 500", got.status)
	}
	if !strings.Contains(r.log.String(), "handler panicked") {
		t.Error("the log does not tell of the panic")
	}
}

type failing struct{ err error }

func (f failing) Authenticate(context.Context, string) (provision.Principal, error) {
	return provision.Principal{}, f.err
}

type panicking struct{}

func (panicking) Authenticate(context.Context, string) (provision.Principal, error) { panic("boom") }

// slow is an authenticator that holds whoever asks.
type slow struct {
	arrived chan struct{}
	release chan struct{}
}

func (s slow) Authenticate(context.Context, string) (provision.Principal, error) {
	s.arrived <- struct{}{}
	<-s.release
	return provision.Principal{Subject: ann, Groups: []string{ann}}, nil
}

func TestABusyDoorSaysSo(t *testing.T) {
	t.Parallel()
	gate := slow{make(chan struct{}), make(chan struct{})}
	r := newRig(t, func(c *httpapi.Config) { c.Auth, c.Limits.Active = gate, 1 })
	done := make(chan answer)
	go func() { done <- r.raw(http.MethodGet, httpapi.Base+"/me", nil, "") }()
	<-gate.arrived
	got := r.raw(http.MethodGet, httpapi.Base+"/me", nil, "")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "1" {
		t.Errorf("the second of one answered %d with Retry-After %q, want 503 and 1", got.status, got.header.Get("Retry-After"))
	}
	if keys := r.raw(http.MethodGet, httpapi.Base+"/.backstage/auth/v1/jwks.json", nil, ""); keys.status != http.StatusOK {
		t.Errorf("the key set answered %d while busy, want 200", keys.status)
	}
	close(gate.release)
	if first := <-done; first.status != http.StatusOK {
		t.Errorf("the first answered %d", first.status)
	}
}

func TestTheDatabaseDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request := r.submit("orders")
	r.store.Close()
	for _, path := range []string{"/requests", "/requests/" + request.Id.String(), "/instances", "/requests/" + request.Id.String() + "/events"} {
		got := r.raw(http.MethodGet, httpapi.Base+path, r.jsonBy(ann), "")
		if got.status != http.StatusServiceUnavailable {
			t.Errorf("GET %s answered %d, want 503", path, got.status)
		}
	}
	if got := r.raw(http.MethodGet, httpapi.Base+"/entities", r.jsonBy("plugin:catalog"), ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("the feed answered %d, want 503 and never an empty list", got.status)
	}
}

func TestHealthAndKeys(t *testing.T) {
	t.Parallel()
	var down error
	r := newRig(t, func(c *httpapi.Config) { c.Ready = func(context.Context) error { return down } })
	if got := r.raw(http.MethodGet, "/.backstage/health/v1/liveness", nil, ""); got.status != http.StatusOK {
		t.Errorf("liveness answered %d", got.status)
	}
	ready := func() answer { return r.raw(http.MethodGet, "/.backstage/health/v1/readiness", nil, "") }
	if got := ready(); got.status != http.StatusOK {
		t.Errorf("readiness answered %d", got.status)
	}
	down = provision.Unreachable("the database", errors.New("dial 10.1.2.3"))
	if got := ready(); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "the database") || strings.Contains(got.body, "10.1.2.3") {
		t.Errorf("readiness without a database answered %d %s", got.status, got.body)
	}
	down = nil
	r.server.Drain()
	if got := ready(); got.status != http.StatusServiceUnavailable {
		t.Errorf("readiness while draining answered %d", got.status)
	}
	if got := r.raw(http.MethodGet, httpapi.Base+"/.backstage/auth/v1/jwks.json", nil, ""); got.status != http.StatusOK || !strings.Contains(got.body, `"kid"`) {
		t.Errorf("the key set answered %d %s", got.status, got.body)
	}
}

func TestMetricsHaveRoutesAndNoIDs(t *testing.T) {
	t.Parallel()
	metrics := httpapi.NewMetrics()
	r := newRig(t, func(c *httpapi.Config) { c.Metrics = metrics })
	request := r.submit("orders")
	r.raw(http.MethodGet, httpapi.Base+"/requests/"+request.Id.String(), r.jsonBy(ann), "")
	r.raw(http.MethodGet, "/wp-admin/"+request.Id.String(), nil, "")
	recorder := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := recorder.Body.String()
	for _, want := range []string{
		`roadbed_http_requests_total{route="GET /requests/{id}",status="200"} 1`,
		`roadbed_http_requests_total{route="unmatched",status="404"} 1`,
		`roadbed_http_request_duration_seconds_count{route="POST /requests"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(text, request.Id.String()) {
		t.Error("the metrics hold an id")
	}
}

func TestNewRefusesSettingsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]httpapi.Config{
		"no base URL":            {},
		"a base URL without one": {BaseURL: "portal.example"},
		"a pool token in clear":  {BaseURL: "https://x/api/roadbed", Pools: map[string]string{"secret": "local"}},
		"a pool without a name":  {BaseURL: "https://x/api/roadbed", Pools: map[string]string{httpapi.PoolTokenDigest("t"): ""}},
	} {
		if _, err := httpapi.New(c); provision.KindOf(err) != provision.Invalid || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
}
