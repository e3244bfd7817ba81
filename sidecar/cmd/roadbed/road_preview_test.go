package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// forge signs pipelines' tokens and has the comments of one pull request.
type forge struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu       sync.Mutex
	comments []string
	versions []string // every body that was ever sent
}

func newForge(t *testing.T) *forge {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &forge{key: key}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *forge) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sent struct {
		Body string `json:"body"`
	}
	var id int
	switch encode := base64.RawURLEncoding.EncodeToString; {
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": f.URL, "jwks_uri": f.URL + "/jwks"})
	case r.URL.Path == "/jwks":
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "kid": "k", "alg": "RS256", "n": encode(f.key.N.Bytes()), "e": encode(big.NewInt(int64(f.key.E)).Bytes()),
		}}})
	case r.Method == http.MethodGet && r.URL.Path == "/api/repos/acme/orders/issues/42/comments":
		list := []map[string]any{}
		for i, body := range f.comments {
			list = append(list, map[string]any{"id": i + 1, "body": body})
		}
		_ = json.NewEncoder(w).Encode(list)
	case json.NewDecoder(r.Body).Decode(&sent) != nil:
		w.WriteHeader(http.StatusBadRequest)
	case r.Method == http.MethodPost && r.URL.Path == "/api/repos/acme/orders/issues/42/comments":
		f.comments, f.versions = append(f.comments, sent.Body), append(f.versions, sent.Body)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPatch && scanned(r.URL.Path, "/api/repos/acme/orders/issues/comments/%d", &id) && id >= 1 && id <= len(f.comments):
		f.comments[id-1], f.versions = sent.Body, append(f.versions, sent.Body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func scanned(text, format string, into *int) bool {
	n, err := fmt.Sscanf(text, format, into)
	return n == 1 && err == nil
}

// comment is the one that there is; "" while there is none.
func (f *forge) comment(t *testing.T) string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch len(f.comments) {
	case 0:
		return ""
	case 1:
		return f.comments[0]
	}
	t.Fatalf("the pull request has %d comments, want one", len(f.comments))
	return ""
}

// token is that of a pipeline for the pull request.
func (f *forge) token(t *testing.T) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": f.URL, "aud": "roadbed", "sub": "repo:acme/orders:pull_request", "repository": "acme/orders", "event_name": "pull_request",
		"ref": "refs/pull/42/merge", "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	})
	token.Header["kid"] = "k"
	text, err := token.SignedString(f.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestRoadPreview has a pipeline make a preview with nothing but its token. The
// pull request's only comment tells of it, of its end, and that it is gone; it
// ends by itself though the sidecar was killed and time had passed meanwhile,
// and its names can be used again.
func TestRoadPreview(t *testing.T) {
	t.Parallel()
	f, dir := newForge(t), t.TempDir()
	writeFile(t, filepath.Join(dir, "token"), "ghs_0123456789abcdef")
	writeFile(t, filepath.Join(dir, "pipelines.yaml"), fmt.Sprintf(`
issuers:
  - issuer: %s
    audience: roadbed
    grants: [{claims: {repository: acme/orders, event_name: pull_request}, owner: payments}]
`, f.URL))
	r := newRoad(t, options{
		approvals: true, // staging has workers
		env:       []string{"ROADBED_PIPELINES_FILE=" + filepath.Join(dir, "pipelines.yaml")},
		notices: fmt.Sprintf(`
channels: {pulls: {github: {url: "%s/api", token_file: %q, repositories: [acme/*]}}}
routes:
  - match: {entity: request, verb: [succeeded, failed, cancelled]}
    to: [pulls]
  - match: {entity: instance, verb: [reserved, expiring, extended, expired]}
    to: [pulls]
`, f.URL, filepath.Join(dir, "token")),
	})
	r.startWorker("w1")
	base := r.submission("staging")
	r.untilState(r.submit(base).Id, provision.Succeeded)

	ci := r.with(f.token(t))
	ask := api.PreviewAsk{Repository: "acme/orders", PullRequest: 42, Owner: "payments"}
	made, err := ci.MakePreview(t.Context(), uuid.NewString(), ask)
	if err != nil || len(made.Members) != 1 || made.Members[0].Error != "" {
		t.Fatalf("a pipeline asks for a preview: %+v (%v), want it accepted", made, err)
	}
	request := made.Members[0].Request
	id, name := *request.InstanceId, fmt.Sprintf("pr-42-%s", base.Parameters["database_name"])
	if request.Name != name {
		t.Errorf("it is called %q, want %q", request.Name, name)
	}
	r.untilState(request.Id, provision.Succeeded)
	r.wantMade(name, 1, 2)
	says := func(what string, all ...string) {
		t.Helper()
		r.until("the comment says "+what, func() bool {
			body := f.comment(t)
			for _, text := range all {
				if !strings.Contains(body, text) {
					return false
				}
			}
			return true
		})
	}
	says("that it is ready", "| "+name+" (postgres-database) | ready |", "$43.50 a month", "It will be deleted in 24 hours")

	longer, err := ci.ExtendPreview(t.Context(), uuid.NewString(), made.Id, "12h")
	if err != nil || len(longer) != 1 || longer[0].Error != "" {
		t.Fatalf("the pipeline extends it: %+v (%v)", longer, err)
	}
	r.untilState(longer[0].Request.Id, provision.Succeeded)
	says("that it lives longer", "It will be deleted in 36 hours")
	if found := r.checked(id); found.HasDrift {
		t.Errorf("after its extension it has drifted: %+v, want that its new end is what was asked for", found)
	}

	r.later(id, 32*time.Hour)
	r.until("its owner is told that it ends", func() bool { return r.told(id, "expiring") == 1 })
	says("that its end is near", "It will be deleted in 4 hours")

	r.sidecar.kill()
	r.later(id, 24*time.Hour)
	r.sidecar.start()
	r.untilReady()
	r.until("it is gone", func() bool {
		return r.number(`SELECT count(*) FROM instances WHERE id = $1 AND state = 'destroyed'`, id) == 1
	})
	r.wantMade(name, 0, 0)
	says("that it is gone", "It is gone.")

	again, err := r.with(f.token(t)).MakePreview(t.Context(), uuid.NewString(), ask)
	if err != nil || again.Members[0].Error != "" || again.Members[0].Request.Name != name {
		t.Fatalf("asked for again: %+v (%v), want it under its name", again, err)
	}
	r.untilState(again.Members[0].Request.Id, provision.Succeeded)
	says("that it is back", "| ready |")
	r.audit()
}
