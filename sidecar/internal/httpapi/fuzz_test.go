package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
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
