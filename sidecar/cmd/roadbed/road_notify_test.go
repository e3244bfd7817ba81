package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// audience takes webhooks, unless it is away.
type audience struct {
	*httptest.Server
	mu    sync.Mutex
	away  bool
	tried int
	heard map[string][]string // types by webhook-id
	said  string              // every body
}

func newAudience(t *testing.T) *audience {
	a := &audience{away: true, heard: map[string][]string{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.tried++
		if a.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var body struct {
			Type string
			Data json.RawMessage
		}
		_ = json.NewDecoder(r.Body).Decode(&body) // an empty type fails the test
		id := r.Header.Get("webhook-id")
		a.heard[id] = append(a.heard[id], body.Type)
		a.said += string(body.Data)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *audience) look(see func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	see()
}

// TestSidecarKilledBetweenCommitAndNotice is that nobody is forgotten and nobody
// told twice: what was committed is told once the sidecar is back.
func TestSidecarKilledBetweenCommitAndNotice(t *testing.T) {
	t.Parallel()
	to := newAudience(t)
	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, "whsec_"+base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	r := newRoad(t, options{notices: fmt.Sprintf(`
channels: {hook: {webhook: {url: %q, secret_file: %q}}}
routes: [{match: {entity: request, verb: [submitted, succeeded], owner: payments}, to: [hook]}]
`, to.URL, secret)})
	request := r.submit(r.submission("dev"))
	r.until("it was tried to tell of it", func() bool {
		tried := 0
		to.look(func() { tried = to.tried })
		return tried > 0
	})
	r.sidecar.kill()
	if n := r.number("SELECT count(*) FROM notices"); n != 1 {
		t.Errorf("%d notices are kept, want the one that did not arrive", n)
	}
	to.look(func() { to.away = false })
	r.sidecar.start()
	r.startWorker("w1")
	r.untilState(request.Id, provision.Succeeded)
	r.until("everybody was told", func() bool { return r.number("SELECT count(*) FROM notices") == 0 })
	to.look(func() {
		types := map[string]int{}
		for id, each := range to.heard {
			if len(each) != 1 {
				t.Errorf("event %s was told %d times", id, len(each))
			}
			types[each[0]]++
		}
		if len(types) != 2 || types["dev.roadbed.request.submitted.v1"] != 1 || types["dev.roadbed.request.succeeded.v1"] != 1 {
			t.Errorf("told: %v", types)
		}
		if name := fmt.Sprint(request.Parameters["database_name"]); !strings.Contains(to.said, name+" in dev is ready") || !strings.Contains(to.said, "Endpoint") && !strings.Contains(to.said, "endpoint") {
			t.Errorf("what was said has no name or endpoint: %s", to.said)
		}
	})
}
