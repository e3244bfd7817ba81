package httpapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const forge = "https://token.forge.example"

// piped is a rig that lets the pipelines of acme/orders and acme/site in, both
// for payments, and a client of one that runs for a pull request.
func piped(t *testing.T) (r *rig, pipeline func(repository, ref string) *client.Client) {
	t.Helper()
	r, token := pipelines(t)
	return r, func(repository, ref string) *client.Client {
		t.Helper()
		c, err := client.New(r.url(), token(repository, ref))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// pipelines are the rig of piped and the pipelines' tokens.
func pipelines(t *testing.T) (r *rig, token func(repository, ref string) string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	encode := base64.RawURLEncoding.EncodeToString
	set, _ := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": "k", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := backstage.ParsePipelines([]byte(strings.NewReplacer("FORGE", forge, "FILE", file).Replace(`
issuers:
  - issuer: FORGE
    audience: roadbed
    keys_file: FILE
    grants:
      - {claims: {repository: acme/orders, ref: refs/heads/main}, owner: payments, any_pull_request: true}
      - {claims: {repository: acme/orders}, owner: payments}
      - {claims: {repository: acme/site}, owner: payments}
`)))
	if err != nil {
		t.Fatal(err)
	}
	r = newRig(t, func(c *httpapi.Config) {
		c.Limits = httpapi.Limits{Reads: 1e4, Tries: 1e4, Asks: 1e4}
		if c.Auth, err = backstage.NewPipelines(config, c.Auth, time.Now, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	})
	return r, func(repository, ref string) string {
		t.Helper()
		token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": forge, "aud": "roadbed", "sub": "repo:" + repository + ":pull_request", "repository": repository, "ref": ref,
			"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
		})
		token.Header["kid"] = "k"
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// base is a database that is ready in staging.
func (r *rig) base(name string) api.Request {
	r.t.Helper()
	sub := database(name)
	sub.Parameters["environment"] = "staging"
	request, err := r.as(ann).Submit(r.t.Context(), "base-"+name, sub)
	if err != nil {
		r.t.Fatal(err)
	}
	r.succeed(request)
	return request
}

func TestAPipelineMakesKeepsAndEndsThePreviewOfItsPullRequest(t *testing.T) {
	t.Parallel()
	r, pipeline := piped(t)
	base := r.base("orders")
	ci := pipeline("acme/orders", "refs/pull/42/merge")
	want := api.PreviewAsk{Repository: "acme/orders", PullRequest: 42, Owner: "payments"}

	made, err := ci.MakePreview(t.Context(), "run 1", want)
	if err != nil {
		t.Fatal(err)
	}
	member := made.Members[0]
	if made.Name != "pr-42" || len(made.Members) != 1 || member.Error != "" || member.Request.RequestedBy != "ci:acme/orders" || member.Request.Name != "pr-42-orders" ||
		member.Request.Environment != "dev" || *member.Request.MonthlyCost != 43_500 {
		t.Fatalf("it is made as %+v, want one small copy in dev, asked for by the pipeline", made)
	}
	if again, err := ci.MakePreview(t.Context(), "run 2", want); err != nil || again.Members[0].Error != "" || again.Members[0].Request.Id != member.Request.Id {
		t.Errorf("the next push: %+v (%v), want what is there", again, err)
	}
	r.succeed(*member.Request)
	if read, err := ci.Request(t.Context(), member.Request.Id); err != nil || read.State != provision.Succeeded {
		t.Errorf("its request is %s (%v), want it read as succeeded", read.State, err)
	}
	list, err := ci.Previews(t.Context())
	if err != nil || len(list) != 1 || list[0].Id != made.Id || list[0].ExpiresAt == nil || *list[0].MonthlyCost != 43_500 {
		t.Fatalf("it sees %+v (%v), want its own with its end and price", list, err)
	}
	snapshot, err := r.as("plugin:catalog").Entities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"type": "ephemeral", "pull_request": "42", "expires_at": list[0].ExpiresAt.UTC().Format("20060102T150405Z")}
	for _, entity := range snapshot.Entities {
		want := labels
		if entity.Metadata.Title == "orders" {
			want = nil
		}
		if diff := cmp.Diff(want, entity.Metadata.Labels); diff != "" {
			t.Errorf("labels of the entity %s (-want +got):\n%s", entity.Metadata.Title, diff)
		}
	}
	seen, err := ci.EvaluateChange(t.Context(), *member.Request.InstanceId, api.ChangeEvaluation{Action: provision.Extend, By: "12h"})
	if err != nil || !seen.Allowed || len(seen.Changes) != 0 {
		t.Errorf("an extension, looked at first: %+v (%v), want it allowed", seen, err)
	}
	tooLong, err := ci.EvaluateChange(t.Context(), *member.Request.InstanceId, api.ChangeEvaluation{Action: provision.Extend, By: "10d"})
	if err != nil || tooLong.Allowed || tooLong.Findings[0].Rule != "extension" {
		t.Errorf("one of ten days: %+v (%v), want that people must approve it", tooLong, err)
	}
	longer, err := ci.ExtendPreview(t.Context(), "longer", made.Id, "12h")
	if err != nil || len(longer) != 1 || longer[0].Error != "" || longer[0].Request.Action != provision.Extend {
		t.Fatalf("extended: %+v (%v)", longer, err)
	}
	r.succeed(*longer[0].Request)

	for name, other := range map[string]*client.Client{
		"another pull request's": pipeline("acme/orders", "refs/pull/43/merge"), "another repository's": pipeline("acme/site", "refs/pull/42/merge"),
	} {
		if seen, err := other.Previews(t.Context()); err != nil || len(seen) != 0 {
			t.Errorf("%s sees %+v (%v), want nothing", name, seen, err)
		}
		_, err := other.DestroyPreview(t.Context(), "end", made.Id)
		kindOf(t, err, provision.NotFound)
		_, err = other.Destroy(t.Context(), "end", *member.Request.InstanceId)
		kindOf(t, err, provision.Denied)
		_, err = other.Request(t.Context(), member.Request.Id)
		kindOf(t, err, provision.Denied)
	}

	for name, ask := range map[string]func() error{
		"a request of its own": func() error { _, err := ci.Submit(t.Context(), "s", database("direct")); return err },
		"the base's end":       func() error { _, err := ci.Destroy(t.Context(), "d", *base.InstanceId); return err },
		"another size": func() error {
			_, err := ci.Update(t.Context(), "u", *member.Request.InstanceId, provision.Parameters{"storage_gb": 50})
			return err
		},
		"its credentials": func() error { _, err := ci.Credentials(t.Context(), *member.Request.InstanceId); return err },
		"a copy in staging": func() error {
			_, err := ci.MakePreview(t.Context(), "p", api.PreviewAsk{Repository: "acme/orders", PullRequest: 42, Owner: "payments", Base: "dev"})
			return err
		},
		"another team's": func() error {
			_, err := ci.MakePreview(t.Context(), "q", api.PreviewAsk{Repository: "acme/orders", PullRequest: 42, Owner: "search"})
			return err
		},
		"another pull request's": func() error {
			_, err := ci.MakePreview(t.Context(), "o", api.PreviewAsk{Repository: "acme/orders", PullRequest: 43, Owner: "payments"})
			return err
		},
	} {
		if err := ask(); provision.KindOf(err) != provision.Denied {
			t.Errorf("%s: %v, want it denied", name, err)
		}
	}
	elsewhere, err := ci.MakePreview(t.Context(), "e", api.PreviewAsk{Repository: "acme/orders", PullRequest: 42, Owner: "payments", Environment: "staging"})
	if err != nil || !strings.Contains(elsewhere.Members[0].Error, "made in dev") {
		t.Errorf("a copy made in staging: %+v (%v), want it refused with where it may be", elsewhere, err)
	}

	merged := pipeline("acme/orders", "refs/heads/main")
	gone, err := merged.DestroyPreview(t.Context(), "merged", made.Id)
	if err != nil || len(gone) != 1 || gone[0].Request.Action != provision.Destroy {
		t.Fatalf("ended by what merged it: %+v (%v)", gone, err)
	}
	r.succeed(*gone[0].Request)
	if left, err := r.as(ann).Previews(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left is %+v (%v), want nothing", left, err)
	}
}

func TestPreviewsSayEveryFaultInTheirBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for body, want := range map[string]string{
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments", "ttl_hours": 99999}`:         "ttl_hours is 99999",
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments"}`:                             "nothing in staging to clone",
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments", "environment": "moon"}`:      `environment \"moon\" is not configured`,
		`{"repository": "", "pull_request": 0, "owner": ""}`:                                                 "owner/name; give the number of the pull request, such as 42; give the team",
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments", "colour": "red"}`:            "colour",
		`{"repository": "acme/orders/../x", "pull_request": 42, "owner": "payments"}`:                        "owner/name",
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments", "of": ["ledger"]}`:           "ledger",
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments", "base": "dev", "of": ["x"]}`: "in dev to clone",
	} {
		got := r.raw(http.MethodPost, httpapi.Base+"/previews", r.jsonBy(ann, "Idempotency-Key", "k"), body)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want 400 with %q", body, got.status, got.body, want)
		}
	}
	if got := r.raw(http.MethodPost, httpapi.Base+"/previews", r.jsonBy(ann), `{}`); got.status != http.StatusBadRequest {
		t.Errorf("without a key: %d %s", got.status, got.body)
	}
	if got := r.raw(http.MethodPost, httpapi.Base+"/previews", r.jsonBy(bob, "Idempotency-Key", "k"),
		`{"repository": "acme/orders", "pull_request": 42, "owner": "payments"}`); got.status != http.StatusForbidden || !strings.Contains(got.body, "may clone this") {
		t.Errorf("another team's: %d %s, want 403", got.status, got.body)
	}
}
