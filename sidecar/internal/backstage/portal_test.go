package backstage

import (
	"crypto/ecdsa"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// portal is a Backstage as far as tokens go: key sets and userinfo over HTTP.
type portal struct {
	*httptest.Server
	mu        sync.Mutex
	keys      map[string][]*ecdsa.PrivateKey // by plugin; auth's are the users'
	groups    map[string][]string            // by user; absent is 404
	down      bool
	signedOut bool           // userinfo refuses every token
	mixedUp   bool           // userinfo answers for someone else
	hits      map[string]int // requests by path
}

func newPortal(t testing.TB) *portal {
	t.Helper()
	p := &portal{
		keys:   map[string][]*ecdsa.PrivateKey{"auth": {newTestKey(t)}, "scaffolder": {newTestKey(t)}, "catalog": {newTestKey(t)}},
		groups: map[string][]string{"user:default/ann": {"user:default/ann", "group:default/payments"}},
		hits:   map[string]int{},
	}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *portal) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hits[r.URL.Path]++
	plugin, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	switch {
	case p.down:
		w.WriteHeader(http.StatusBadGateway)
	case plugin == "auth" && path == ".well-known/jwks.json", plugin != "auth" && path == ".backstage/auth/v1/jwks.json":
		keys, ok := p.keys[plugin]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		set := map[string][]jwk{"keys": {}}
		for _, key := range keys {
			public, _ := publicJWK(&key.PublicKey)
			set["keys"] = append(set["keys"], public)
		}
		_ = json.NewEncoder(w).Encode(set)
	case plugin == "auth" && path == "v1/userinfo":
		t, err := parse(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil || p.signedOut || t.typ != typUser && t.typ != typLimited {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		refs, ok := p.groups[t.claim("sub")]
		if !ok {
			http.Error(w, "User info not found", http.StatusNotFound)
			return
		}
		if p.mixedUp {
			t.claims["sub"] = "user:default/bob"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"claims": map[string]any{"sub": t.claim("sub"), "ent": refs}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (p *portal) set(change func(*portal)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *portal) hit(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

func (p *portal) key(plugin string) *ecdsa.PrivateKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[plugin][len(p.keys[plugin])-1]
}

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (p *portal) authenticator(t testing.TB, c *clock) *Authenticator {
	t.Helper()
	discovery, err := NewDiscovery(p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{Plugin: "roadbed", Discovery: discovery, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newTestKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// token signs claims over the defaults; a nil claim is left out.
func token(t testing.TB, key *ecdsa.PrivateKey, typ string, now time.Time, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	public, err := publicJWK(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signES256(key, public.Kid, typ, all)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (p *portal) user(t testing.TB, now time.Time) string {
	return token(t, p.key("auth"), typUser, now, jwt.MapClaims{"iss": p.URL + "/api/auth", "sub": "user:default/ann", "aud": "backstage"})
}

func (p *portal) limited(t testing.TB, now time.Time) string {
	return token(t, p.key("auth"), typLimited, now, jwt.MapClaims{"sub": "user:default/ann"})
}

func (p *portal) plugin(t testing.TB, name string, now time.Time, extra jwt.MapClaims) string {
	claims := jwt.MapClaims{"sub": name, "aud": "roadbed"}
	maps.Copy(claims, extra)
	return token(t, p.key(name), typPlugin, now, claims)
}
