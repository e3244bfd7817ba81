package backstage

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// forge is an issuer of pipelines' tokens: discovery and an RSA key set over HTTP.
type forge struct {
	*httptest.Server
	key  *rsa.PrivateKey
	set  []byte
	down atomic.Bool
	hits atomic.Int64
	says func(said map[string]any) // bends the discovery document; nil leaves it
}

func newForge(t testing.TB) *forge {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &forge{key: key}
	f.set, _ = json.Marshal(map[string]any{"keys": []jwk{{
		Kty: "RSA", Kid: "k1", Alg: "RS256", Use: "sig", N: base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		E: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
	}}})
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *forge) serve(w http.ResponseWriter, r *http.Request) {
	f.hits.Add(1)
	switch {
	case f.down.Load():
		w.WriteHeader(http.StatusBadGateway)
	case r.URL.Path == "/.well-known/openid-configuration":
		said := map[string]any{"issuer": f.URL, "jwks_uri": f.URL + "/.well-known/jwks"}
		if f.says != nil {
			f.says(said)
		}
		_ = json.NewEncoder(w).Encode(said)
	case r.URL.Path == "/.well-known/jwks":
		_, _ = w.Write(f.set)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// claims are those of a pull request's pipeline, over which a test lays its own;
// a nil one is left out.
func (f *forge) claims(now time.Time, own jwt.MapClaims) jwt.MapClaims {
	all := jwt.MapClaims{
		"iss": f.URL, "aud": "roadbed", "sub": "repo:acme/orders:pull_request", "repository": "acme/orders", "repository_id": "1296269",
		"ref": "refs/pull/42/merge", "event_name": "pull_request", "actor": "octocat", "ref_protected": "false",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(all, own)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func (f *forge) token(t testing.TB, now time.Time, own jwt.MapClaims) string {
	return f.signed(t, jwt.SigningMethodRS256, f.key, map[string]any{"kid": "k1"}, f.claims(now, own))
}

func (f *forge) signed(t testing.TB, method jwt.SigningMethod, key any, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	all := map[string]any{"typ": "JWT", "alg": method.Alg()}
	maps.Copy(all, header)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	text, err := (&jwt.Token{Header: all, Method: method, Claims: claims}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + text
}

// config is a file of pipelines with this forge as its issuer.
func (f *forge) config(t testing.TB, more string) PipelineConfig {
	t.Helper()
	c, err := ParsePipelines([]byte(strings.NewReplacer("FORGE", f.URL, "MORE", more).Replace(`
issuers:
  - issuer: FORGE
    audience: roadbed
    MORE
    grants:
      - {claims: {repository: acme/orders, repository_id: "1296269", event_name: pull_request, ref: refs/heads/main}, owner: payments, any_pull_request: true}
      - {claims: {repository: acme/orders, repository_id: "1296269", event_name: pull_request}, owner: payments}
      - {claims: {repository: acme/site, self_hosted: "true"}, owner: group:default/search, any_pull_request: true}
`)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// nobody is who comes next, and knows nobody.
type nobody struct{}

func (nobody) Authenticate(context.Context, string) (provision.Principal, error) {
	return provision.Principal{}, refused("nobody knows this token")
}

func (f *forge) pipelines(t testing.TB, c *clock, next authenticator) *Pipelines {
	t.Helper()
	p, err := NewPipelines(f.config(t, ""), next, c.now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPipelineIsItsRepositorys(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newClock()
	now := c.now()
	orders := func(number int) provision.Principal {
		return provision.Principal{Subject: "ci:acme/orders", CI: &provision.CI{Repository: "acme/orders", PullRequest: number, Owner: "group:default/payments"}}
	}
	tests := map[string]struct {
		own  jwt.MapClaims
		want provision.Principal
	}{
		"a pull request's":                     {nil, orders(42)},
		"its head":                             {jwt.MapClaims{"ref": "refs/pull/7/head"}, orders(7)},
		"an audience among several":            {jwt.MapClaims{"aud": []string{"other", "roadbed"}}, orders(42)},
		"what a grant says of the main branch": {jwt.MapClaims{"ref": "refs/heads/main"}, orders(0)},
		"a claim that is a boolean": {
			jwt.MapClaims{"repository": "acme/site", "self_hosted": true},
			provision.Principal{Subject: "ci:acme/site", CI: &provision.CI{Repository: "acme/site", Owner: "group:default/search"}},
		},
	}
	p := f.pipelines(t, c, nobody{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := p.Authenticate(t.Context(), f.token(t, now, tt.own))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("principal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForgedPipelinesAreRefused(t *testing.T) {
	t.Parallel()
	f, other, c := newForge(t), newForge(t), newClock()
	now := c.now()
	own := func(claims jwt.MapClaims) string { return f.token(t, now, claims) }
	header := func(h map[string]any) string {
		return f.signed(t, jwt.SigningMethodRS256, f.key, h, f.claims(now, nil))
	}
	kid := map[string]any{"kid": "k1"}
	elliptic, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	good := strings.Split(own(nil), ".")
	changed, _ := json.Marshal(f.claims(now, jwt.MapClaims{"repository_id": "1"}))
	tests := map[string]string{
		"alg none":                         f.signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, f.claims(now, nil)),
		"HS256 with the public key":        f.signed(t, jwt.SigningMethodHS256, f.set, kid, f.claims(now, nil)),
		"an algorithm that is not listed":  f.signed(t, jwt.SigningMethodPS256, f.key, kid, f.claims(now, nil)),
		"a key of another kind":            f.signed(t, jwt.SigningMethodES256, elliptic, kid, f.claims(now, nil)),
		"an unknown kid":                   header(map[string]any{"kid": "k2"}),
		"no kid":                           header(nil),
		"a kid that is a path":             header(map[string]any{"kid": "../../etc/passwd"}),
		"an unknown critical extension":    header(map[string]any{"kid": "k1", "crit": []string{"exp"}}),
		"another issuer's key":             f.signed(t, jwt.SigningMethodRS256, other.key, kid, f.claims(now, nil)),
		"another issuer's key in a header": f.signed(t, jwt.SigningMethodRS256, other.key, map[string]any{"kid": "k1", "jku": other.URL + "/.well-known/jwks"}, f.claims(now, nil)),
		"an issuer that is not listed":     other.token(t, now, nil),
		"an issuer with a slash more":      own(jwt.MapClaims{"iss": f.URL + "/"}),
		"no issuer":                        own(jwt.MapClaims{"iss": nil}),
		"claims changed after signing":     good[0] + "." + base64.RawURLEncoding.EncodeToString(changed) + "." + good[2],
		"another audience":                 own(jwt.MapClaims{"aud": "sts.amazonaws.com"}),
		"no audience":                      own(jwt.MapClaims{"aud": nil}),
		"an audience that is an object":    own(jwt.MapClaims{"aud": map[string]any{"roadbed": true}}),
		"expired":                          own(jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}),
		"without exp":                      own(jwt.MapClaims{"exp": nil}),
		"not valid yet":                    own(jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()}),
		"issued in the future":             own(jwt.MapClaims{"iat": now.Add(time.Minute).Unix()}),
		"without iat":                      own(jwt.MapClaims{"iat": nil}),
		"without sub":                      own(jwt.MapClaims{"sub": nil}),
		"another repository":               own(jwt.MapClaims{"repository": "evil/orders"}),
		"a repository in another case":     own(jwt.MapClaims{"repository": "Acme/Orders"}),
		"the name of one that was renamed": own(jwt.MapClaims{"repository_id": "999"}),
		"a repository that is a list":      own(jwt.MapClaims{"repository": []string{"acme/orders"}}),
		"another event":                    own(jwt.MapClaims{"event_name": "pull_request_target"}),
		"a claim that is missing":          own(jwt.MapClaims{"event_name": nil}),
		"another branch":                   own(jwt.MapClaims{"ref": "refs/heads/feature"}),
		"a tag called like a pull request": own(jwt.MapClaims{"ref": "refs/tags/refs/pull/42/merge"}),
		"pull request zero":                own(jwt.MapClaims{"ref": "refs/pull/0/merge"}),
		"a number beyond all":              own(jwt.MapClaims{"ref": "refs/pull/99999999999999999999/merge"}),
		"a user's token of Backstage":      "Bearer " + token(t, elliptic, typUser, now, jwt.MapClaims{"sub": "user:default/ann"}),
		"no token":                         "",
	}
	for name, authorization := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := f.pipelines(t, c, nobody{}).Authenticate(t.Context(), authorization)
			if provision.KindOf(err) != provision.Unauthenticated {
				t.Errorf("Authenticate = %+v, %v; want Unauthenticated", got, err)
			}
		})
	}
}

func TestAUserIsLeftToWhoComesNext(t *testing.T) {
	t.Parallel()
	f, p, c := newForge(t), newPortal(t), newClock()
	both := f.pipelines(t, c, p.authenticator(t, c))
	who, err := both.Authenticate(t.Context(), "Bearer "+p.user(t, c.now()))
	if err != nil || who.Subject != "user:default/ann" || who.CI != nil {
		t.Errorf("a user is %+v (%v), want ann", who, err)
	}
	if f.hits.Load() != 0 {
		t.Errorf("the forge was asked %d times about a user's token", f.hits.Load())
	}
}

func TestAnIssuerThatIsAwayIsNoRefusal(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newClock()
	p := f.pipelines(t, c, nobody{})
	f.down.Store(true)
	if _, err := p.Authenticate(t.Context(), f.token(t, c.now(), nil)); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("while it was never reached: %v, want unavailable", err)
	}
	f.down.Store(false)
	if _, err := p.Authenticate(t.Context(), f.token(t, c.now(), nil)); provision.KindOf(err) != provision.Unavailable || f.hits.Load() != 1 {
		t.Errorf("a moment later: %v after %d askings, want unavailable and not asked again", err, f.hits.Load())
	}
	c.turn(retryAfterFail)
	if _, err := p.Authenticate(t.Context(), f.token(t, c.now(), nil)); err != nil {
		t.Fatalf("once it is back: %v", err)
	}
	f.down.Store(true)
	c.turn(30 * time.Minute)
	if _, err := p.Authenticate(t.Context(), f.token(t, c.now(), nil)); err != nil {
		t.Errorf("with its keys known: %v, want that they hold for a while", err)
	}
	c.turn(2 * time.Hour)
	if _, err := p.Authenticate(t.Context(), f.token(t, c.now(), nil)); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("with keys that are old: %v, want unavailable", err)
	}
}

// TestAnIssuerThatHangsHoldsOneCaller sends tokens that anybody can make, in the
// name of an issuer that does not answer.
func TestAnIssuerThatHangsHoldsOneCaller(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newClock()
	answers := make(chan struct{})
	f.says = func(map[string]any) { <-answers }
	p := f.pipelines(t, c, nobody{})
	raw, told := f.token(t, c.now(), nil), make(chan error)
	const callers = 50
	for range callers {
		go func() {
			_, err := p.Authenticate(context.WithoutCancel(t.Context()), raw)
			told <- err
		}()
	}
	for n := range callers - 1 {
		select {
		case err := <-told:
			if provision.KindOf(err) != provision.Unavailable {
				t.Errorf("caller %d: %v, want unavailable", n, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%d callers wait for an issuer that hangs, want one", callers-n)
		}
	}
	close(answers)
	if err := <-told; err != nil {
		t.Errorf("the one that asked: %v", err)
	}
}

func TestADiscoveryDocumentOfSomebodyElseIsNotBelieved(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newClock()
	f.says = func(said map[string]any) { said["issuer"] = "https://evil.example" }
	if _, err := f.pipelines(t, c, nobody{}).Authenticate(t.Context(), f.token(t, c.now(), nil)); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("a document of another issuer: %v, want unavailable", err)
	}
}

func TestKeysInAFileNeedNoNetwork(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newClock()
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, f.set, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := NewPipelines(f.config(t, "keys_file: "+file), nobody{}, c.now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.down.Store(true)
	if who, err := p.Authenticate(t.Context(), f.token(t, c.now(), nil)); err != nil || who.CI == nil {
		t.Errorf("by the file's key: %+v (%v), want a pipeline", who, err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := f.signed(t, jwt.SigningMethodRS256, stranger, map[string]any{"kid": "k1"}, f.claims(c.now(), nil))
	if _, err := p.Authenticate(t.Context(), forged); provision.KindOf(err) != provision.Unauthenticated {
		t.Errorf("by another key: %v, want unauthenticated", err)
	}
}

func TestAFileOfPipelinesSaysAllItsFaults(t *testing.T) {
	t.Parallel()
	_, err := ParsePipelines([]byte(`
issuers:
  - issuer: token.example
    algorithms: [HS256]
    grants:
      - {claims: {event_name: pull_request}, owner: payments}
      - {claims: {repository: acme/orders}}
  - {issuer: https://b.example, audience: roadbed}
`))
	for _, want := range []string{
		"give issuer as its tokens have it", "give audience", `"HS256" is not accepted`, "grant 1 does not name the claim repository",
		"grant 2 needs owner", "it needs grants",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the fault %q is not told: %v", want, err)
		}
	}
	if _, err := ParsePipelines([]byte("issuers: []\nissuer: x\n")); err == nil {
		t.Error("a field that nobody knows is taken")
	}
}
