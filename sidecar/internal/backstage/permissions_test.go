package backstage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var mayDelete = provision.Permission{Name: "roadbed.instance.delete", Action: "delete"}

// policyOf is a portal whose permission plugin answers what answer says, and
// counts how often it was asked.
type policyOf struct {
	*Permissions
	portal *portal
	clock  *clock
	asked  atomic.Int32
	answer atomic.Pointer[string]
}

func newPolicy(t testing.TB) *policyOf {
	t.Helper()
	p := &policyOf{portal: newPortal(t), clock: newClock()}
	allow := `{"items":[{"id":"1","result":"ALLOW"}]}`
	p.answer.Store(&allow)
	own := newTestKey(t)
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		// As the plugin would: whose token it is, and for whom.
		raw, err := bearerToken(r.Header.Get("Authorization"))
		if err != nil {
			t.Errorf("it came without a token: %v", err)
		}
		claims := jwt.MapClaims{}
		if _, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return &own.PublicKey, nil }); err != nil || claims["sub"] != "roadbed" || claims["aud"] != "permission" {
			t.Errorf("it came with %v: %v", claims, err)
		}
		limited, err := parse(claims["obo"].(string))
		if err != nil || limited.typ != typLimited || limited.claim("sub") != "user:default/ann" || len(limited.claims) != 3 {
			t.Errorf("it acts for %+v: %v", limited, err)
		}
		var body any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/api/permission/authorize" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		text, _ := json.Marshal(body)
		if want := `{"items":[{"id":"1","permission":{"attributes":{"action":"delete"},"name":"roadbed.instance.delete","type":"basic"}}]}`; string(text) != want {
			t.Errorf("it asks %s, want %s", text, want)
		}
		answer := *p.answer.Load()
		if answer == "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(plugin.Close)
	discovery, err := NewDiscovery(plugin.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner("roadbed", own)
	if err != nil {
		t.Fatal(err)
	}
	p.Permissions = NewPermissions(discovery, signer)
	p.Permissions.now = p.clock.now
	return p
}

func (p *policyOf) says(answer string) { p.answer.Store(&answer) }

// full is a user's token as Backstage issues it: it carries the signature of
// the limited one.
func (p *policyOf) full(t testing.TB, now time.Time) string {
	t.Helper()
	limited := strings.Split(p.portal.limited(t, now), ".")
	return token(t, p.portal.key("auth"), typUser, now, jwt.MapClaims{"sub": "user:default/ann", "uip": limited[2]})
}

func TestThePortalsPolicyIsAskedForTheUserAndBelievedBriefly(t *testing.T) {
	t.Parallel()
	p := newPolicy(t)
	now := p.clock.now()
	full := "Bearer " + p.full(t, now)
	through := "Bearer " + p.portal.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": p.portal.limited(t, now)})
	for _, who := range []string{full, full, through} {
		if err := p.Permitted(t.Context(), who, mayDelete); err != nil {
			t.Errorf("what the policy allows: %v", err)
		}
	}
	before := p.asked.Load()
	p.says(`{"items":[{"id":"1","result":"DENY"}]}`)
	if err := p.Permitted(t.Context(), full, mayDelete); err != nil || p.asked.Load() != before {
		t.Errorf("within ten seconds it was asked again: %v", err)
	}
	p.clock.turn(11 * time.Second)
	err := p.Permitted(t.Context(), full, mayDelete)
	if provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), "user:default/ann") || !strings.Contains(err.Error(), "roadbed.instance.delete") {
		t.Errorf("what the policy denies: %v", err)
	}
}

func TestAPolicyThatDoesNotAnswerAllowsNothing(t *testing.T) {
	t.Parallel()
	p := newPolicy(t)
	who := "Bearer " + p.full(t, p.clock.now())
	for name, answer := range map[string]string{
		"an error": "", "no JSON": "<h1>", "nothing": `{"items":[]}`, "another question": `{"items":[{"id":"2","result":"ALLOW"}]}`,
	} {
		p.says(answer)
		if err := p.Permitted(t.Context(), who, mayDelete); provision.KindOf(err) != provision.Unavailable {
			t.Errorf("%s: %v, want Unavailable", name, err)
		}
	}
	p.says(`{"items":[{"id":"1","result":"CONDITIONAL","conditions":{}}]}`)
	if err := p.Permitted(t.Context(), who, mayDelete); provision.KindOf(err) != provision.Denied {
		t.Errorf("conditions: %v, want a denial", err)
	}
}

func TestWhomBackstageDoesNotKnowIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	p := newPolicy(t)
	now := p.clock.now()
	identity, err := NewDevIdentity(newTestKey(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := identity.Token("user:default/ann", nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{p.portal.plugin(t, "catalog", now, nil), dev} {
		if err := p.Permitted(t.Context(), "Bearer "+who, mayDelete); err != nil || p.asked.Load() != 0 {
			t.Errorf("asked %d times: %v", p.asked.Load(), err)
		}
	}
}

// BenchmarkPermitted is what a request pays while the policy's word is fresh.
func BenchmarkPermitted(b *testing.B) {
	p := newPolicy(b)
	who := "Bearer " + p.full(b, p.clock.now())
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Permitted(b.Context(), who, mayDelete); err != nil {
			b.Fatal(err)
		}
	}
}
