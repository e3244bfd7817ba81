package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FuzzPositions asks for any place in a stream or a list.
func FuzzPositions(f *testing.F) {
	for _, seed := range [][3]string{{"7", "", "10"}, {"-1", "9223372036854775808", "0"}, {"١", "0x1", "1e3"}, {"", "+5", ""}, {"7\n8", " 7", "99999999999"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, lastEvent, after, limit string) {
		r := httptest.NewRequest(http.MethodGet, "/?"+url.Values{"after": {after}}.Encode(), nil)
		r.Header["Last-Event-Id"] = []string{lastEvent}
		n, err := httpapi.After(r)
		if n < 0 || err != nil && provision.KindOf(err) != provision.Invalid {
			t.Errorf("after(%q, %q) = %d, %v", lastEvent, after, n, err)
		}
		_, most, err := httpapi.Page(url.Values{"limit": {limit}, "cursor": {after}})
		if err == nil && (most < 1 || most > 500) || err != nil && provision.KindOf(err) != provision.Invalid {
			t.Errorf("page(%q, %q) = %d, %v", limit, after, most, err)
		}
	})
}

// FuzzPlan reads any body as a worker's plan.
func FuzzPlan(f *testing.F) {
	f.Add([]byte(`{"changes":[{"address":"a.b","type":"a","action":"create","after":{"n":[{"x":null}]},"unknown":["id"],"sources":{"n":["p"]}}]}`))
	f.Add([]byte(`{"changes":null}`))
	f.Add([]byte(`{"changes":[{"after":[1]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var plan api.Plan
		if err := httpapi.DecodeStrict(body, &plan); err != nil && provision.KindOf(err) != provision.Invalid {
			t.Errorf("%q: %v, want Invalid", body, err)
		}
	})
}

// FuzzRoutes sends any query and body to the routes that read most of them: each
// is an answer in order, and never a fault of ours.
func FuzzRoutes(f *testing.F) {
	const id = "0198c0de-0000-7000-8000-000000000000"
	routes := []string{
		"GET /requests", "GET /instances", "GET /measures", "GET /drift", "GET /unused", "GET /requests/" + id + "/logs", "GET /entities/changes",
		"POST /api/v1/databases", "POST /api/v1/catalog/postgres-database/estimate", "POST /offerings/postgres-database/evaluate", "POST /requests",
		"POST /.backstage/actions/v1/actions/roadbed:check/invoke", "POST /.backstage/actions/v2/actions/roadbed:submit/invoke",
		"POST /.backstage/actions/v2/actions/roadbed:update/invoke", "POST /.backstage/actions/v1/actions/roadbed:list-instances/invoke",
		"POST /previews", "POST /imports", "POST /campaigns", "POST /measures/tickets", "POST /pauses", "POST /instances/" + id + "/evaluate",
	}
	r := newRig(f, func(c *httpapi.Config) { c.Limits = httpapi.Limits{Reads: 1e6, Tries: 1e6, Asks: 1e6} })
	token := r.token(pat)
	for n, body := range []string{
		submission, `{"database_name":"orders","environment":"dev","team_owner":"payments","cost_center":"CC-1"}`, `{"input":{"offering":"postgres-database"},"secrets":{"a":"b"}}`,
		`{"input":{"instance":"resource:dev/orders.postgres-database","parameters":{"storage_gb":1e40}},"secrets":null}`, `{"parameters":{"custom_parameters":{"sealed":"YQ=="}},"partial":true}`,
		`{"repository":"a/b","pull_request":1,"owner":"payments","ttl_hours":-1}`, `{"items":[{"offering":"postgres-database","parameters":{},"resources":[{}]}]}`,
		`{"offering":"postgres-database","version":"1.0.0","ring_sizes":[0,-1]}`, `{"items":[{"date":"2026-99-99","count":-1}]}`, `{"kind":"pool","name":"\u202e","reason":"x"}`, `null`, `[]`,
	} {
		f.Add(uint8(n), "cursor=&limit=1&state=ready,,&owner=a%00b", body)
	}
	for n, query := range []string{
		"cursor=AAAA", "cursor=eyJhIjoxfQ==&limit=100", "state=queued&mine=true&instance=" + id, "days=-1", "suppressed=maybe", "after=9223372036854775807", "after=x&wait=0", "owner=%ff&environment=%00", "a;b=%zz",
	} {
		f.Add(uint8(n), query, "")
	}
	f.Fuzz(func(t *testing.T, n uint8, query, body string) {
		method, path, _ := strings.Cut(routes[int(n)%len(routes)], " ")
		req := httptest.NewRequest(method, httpapi.Base+path, strings.NewReader(body))
		req.URL.RawQuery = query
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}, "Idempotency-Key": {"k"}, "Accept": {"application/json"}}
		rec := httptest.NewRecorder()
		r.server.ServeHTTP(rec, req)
		if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %s?%s with %q answered %d: %s\n%s", method, path, query, body, rec.Code, rec.Body, r.log.String())
		}
	})
}
