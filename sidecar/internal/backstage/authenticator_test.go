package backstage

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	a, now := p.authenticator(t, c), c.now()
	ann := provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/payments", "user:default/ann"}}
	viaScaffolder := ann
	viaScaffolder.Actor = "plugin:scaffolder"

	tests := map[string]struct {
		authorization string
		want          provision.Principal
	}{
		"a plugin without a user is a service":              {"Bearer " + p.plugin(t, "catalog", now, nil), provision.Principal{Subject: "plugin:catalog"}},
		"a plugin that carries a limited token is its user": {"Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": p.limited(t, now)}), viaScaffolder},
		"a plugin that carries a full token is its user":    {"Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": p.user(t, now)}), viaScaffolder},
		"a user without ent has the groups of userinfo":     {"Bearer " + p.user(t, now), ann},
		"a user with ent has those groups": {
			"Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"sub": "user:default/ann", "ent": []string{"group:default/z", "group:default/a"}}),
			provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/a", "group:default/z", "user:default/ann"}},
		},
		"a user who never signed in owns only as themselves": {
			"Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"sub": "user:default/new"}),
			provision.Principal{Subject: "user:default/new", Groups: []string{"user:default/new"}},
		},
		"the scheme is case-insensitive": {"bearer  " + p.user(t, now), ann},
		"a little skew is forgiven":      {"Bearer " + p.user(t, now.Add(3*time.Second)), ann},
		"a token of 40 KiB is read": {
			"Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"sub": "user:default/ann", "pad": strings.Repeat("x", 30<<10)}), ann,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // from the token, then from the cache
				got, err := a.Authenticate(t.Context(), tt.authorization)
				if err != nil {
					t.Fatalf("Authenticate: %v", err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("principal (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestForgeriesAreRefused(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	now := c.now()
	stranger := newTestKey(t)
	ann := jwt.MapClaims{"sub": "user:default/ann"}
	authKid, _ := publicJWK(&p.key("auth").PublicKey)
	with := func(claims jwt.MapClaims, extra jwt.MapClaims) jwt.MapClaims {
		all := jwt.MapClaims{}
		for k, v := range claims {
			all[k] = v
		}
		for k, v := range extra {
			all[k] = v
		}
		return all
	}
	// raw signs whatever header it is given, with auth's real key.
	raw := func(header map[string]any, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
		text := &jwt.Token{Header: header, Method: method, Claims: claims}
		signed, err := text.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	times := jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	es := func(extra map[string]any) map[string]any {
		h := map[string]any{"typ": typUser, "alg": "ES256", "kid": authKid.Kid}
		for k, v := range extra {
			if v == nil {
				delete(h, k)
				continue
			}
			h[k] = v
		}
		return h
	}
	user := with(ann, times)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pem, _ := json.Marshal(authKid)
	good := p.user(t, now)
	segments := strings.Split(good, ".")

	tests := map[string]string{
		"no token":                       "",
		"another scheme":                 "Basic " + good,
		"two tokens":                     "Bearer " + good + " " + good,
		"not a token":                    "Bearer abc",
		"two segments":                   "Bearer " + segments[0] + "." + segments[1],
		"alg none":                       "Bearer " + raw(es(map[string]any{"alg": "none"}), jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, user),
		"alg None without signature":     "Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"vnd.backstage.user","alg":"None","kid":"`+authKid.Kid+`"}`)) + "." + segments[1] + ".",
		"HS256 with the public key":      "Bearer " + raw(es(map[string]any{"alg": "HS256"}), jwt.SigningMethodHS256, pem, user),
		"an algorithm not on the list":   "Bearer " + raw(es(map[string]any{"alg": "RS256"}), jwt.SigningMethodRS256, rsaKey, user),
		"no typ":                         "Bearer " + raw(es(map[string]any{"typ": nil}), jwt.SigningMethodES256, p.key("auth"), user),
		"typ JWT with the old audience":  "Bearer " + raw(es(map[string]any{"typ": "JWT"}), jwt.SigningMethodES256, p.key("auth"), with(user, jwt.MapClaims{"aud": "backstage"})),
		"a development token":            "Bearer " + token(t, p.key("auth"), typDev, now, ann),
		"a limited token as bearer":      "Bearer " + p.limited(t, now),
		"an unknown critical extension":  "Bearer " + raw(es(map[string]any{"crit": []string{"exp"}}), jwt.SigningMethodES256, p.key("auth"), user),
		"no kid":                         "Bearer " + raw(es(map[string]any{"kid": nil}), jwt.SigningMethodES256, p.key("auth"), user),
		"a kid that is a number":         "Bearer " + raw(es(map[string]any{"kid": 7}), jwt.SigningMethodES256, p.key("auth"), user),
		"a kid that is not in the set":   "Bearer " + raw(es(map[string]any{"kid": "../../etc/passwd"}), jwt.SigningMethodES256, p.key("auth"), user),
		"a stranger's key, own kid":      "Bearer " + token(t, stranger, typUser, now, ann),
		"a stranger's key, auth's kid":   "Bearer " + raw(es(nil), jwt.SigningMethodES256, stranger, user),
		"a key of its own in the header": "Bearer " + raw(es(map[string]any{"jwk": map[string]any{"kty": "EC"}, "jku": "http://evil.example/jwks.json"}), jwt.SigningMethodES256, stranger, user),
		"claims changed after signing":   "Bearer " + segments[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"user:default/root","iat":1,"exp":9999999999}`)) + "." + segments[2],
		"expired":                        "Bearer " + token(t, p.key("auth"), typUser, now.Add(-2*time.Hour), ann),
		"issued in the future":           "Bearer " + token(t, p.key("auth"), typUser, now.Add(time.Minute), ann),
		"without iat":                    "Bearer " + token(t, p.key("auth"), typUser, now, with(ann, jwt.MapClaims{"iat": nil})),
		"without exp":                    "Bearer " + token(t, p.key("auth"), typUser, now, with(ann, jwt.MapClaims{"exp": nil})),
		"without sub":                    "Bearer " + token(t, p.key("auth"), typUser, now, nil),
		"a sub in another case":          "Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"SUB": "user:default/ann"}),
		"a sub that is a number":         "Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"sub": 7}),
		"a user called plugin":           "Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"sub": "plugin:catalog"}),
		"a user called system":           "Bearer " + token(t, p.key("auth"), typUser, now, jwt.MapClaims{"sub": "system:expiry"}),
		"ent that is text":               "Bearer " + token(t, p.key("auth"), typUser, now, with(ann, jwt.MapClaims{"ent": "group:default/all"})),
		"a user token by a plugin":       "Bearer " + token(t, p.key("catalog"), typUser, now, ann),
		"larger than 64 KiB":             "Bearer " + token(t, p.key("auth"), typUser, now, with(ann, jwt.MapClaims{"pad": strings.Repeat("x", 50<<10)})),

		"a plugin token for another plugin": "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"aud": "scaffolder"}),
		"a plugin token for several":        "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"aud": []string{"roadbed", "scaffolder"}}),
		"a plugin token without aud":        "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"aud": nil}),
		"a plugin token without sub":        "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"sub": nil}),
		"a plugin token without iat":        "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"iat": nil}),
		"a plugin token without exp":        "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"exp": nil}),
		"an expired plugin token":           "Bearer " + p.plugin(t, "catalog", now.Add(-2*time.Hour), nil),
		"a plugin that is a path":           "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"sub": "../auth/.well-known"}),
		"a plugin that is a host":           "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"sub": "catalog@evil.example"}),
		"a plugin that is a query":          "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"sub": "catalog?x"}),
		"a plugin with a line break":        "Bearer " + p.plugin(t, "catalog", now, jwt.MapClaims{"sub": "catalog\n"}),
		"a plugin in another's name":        "Bearer " + token(t, p.key("catalog"), typPlugin, now, jwt.MapClaims{"sub": "scaffolder", "aud": "roadbed"}),
		"a plugin without a key set":        "Bearer " + token(t, stranger, typPlugin, now, jwt.MapClaims{"sub": "ghost", "aud": "roadbed"}),
		"obo by another signer":             "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": token(t, stranger, typLimited, now, ann)}),
		"obo by the plugin itself":          "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": token(t, p.key("scaffolder"), typLimited, now, ann)}),
		"obo that is a plugin token":        "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": p.plugin(t, "catalog", now, nil)}),
		"obo that has expired":              "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": p.limited(t, now.Add(-2*time.Hour))}),
		"obo that is empty":                 "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": ""}),
		"obo that is an object":             "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": map[string]any{"sub": "user:default/ann"}}),
		"obo of the system in user's typ":   "Bearer " + p.plugin(t, "scaffolder", now, jwt.MapClaims{"obo": token(t, p.key("auth"), typLimited, now, jwt.MapClaims{"sub": "system:expiry"})}),
	}
	for name, authorization := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Each has an authenticator of its own: many junk kids at once would
			// use up the refetches, which is another test.
			got, err := p.authenticator(t, c).Authenticate(t.Context(), authorization)
			if provision.KindOf(err) != provision.Unauthenticated {
				t.Errorf("Authenticate = %+v, %v; want Unauthenticated", got, err)
			}
		})
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	a := p.authenticator(t, c)
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.user(t, c.now())); err != nil {
		t.Fatal(err)
	}
	next := newTestKey(t)
	p.set(func(p *portal) { p.keys["auth"] = append(p.keys["auth"], next) })
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.user(t, c.now())); err != nil {
		t.Errorf("a token by a key that appeared a moment ago: %v", err)
	}
	if got := p.hit("/api/auth/.well-known/jwks.json"); got != 2 {
		t.Errorf("the key set was fetched %d times, want 2", got)
	}

	p.set(func(p *portal) { p.keys["auth"] = p.keys["auth"][1:] })
	c.turn(keysFresh + time.Second)
	old := token(t, newTestKey(t), typUser, c.now(), jwt.MapClaims{"sub": "user:default/ann"})
	if _, err := a.Authenticate(t.Context(), "Bearer "+old); provision.KindOf(err) != provision.Unauthenticated {
		t.Errorf("a token by a key that is gone: %v, want Unauthenticated", err)
	}
}

func TestUnknownKeysCannotFloodBackstage(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	a := p.authenticator(t, c)
	var refusals, waits int
	for range 40 {
		forged := token(t, newTestKey(t), typUser, c.now(), jwt.MapClaims{"sub": "user:default/ann"})
		_, err := a.Authenticate(t.Context(), "Bearer "+forged)
		switch provision.KindOf(err) {
		case provision.Unauthenticated:
			refusals++
		case provision.Unavailable:
			waits++
		}
	}
	if got := p.hit("/api/auth/.well-known/jwks.json"); got != 11 { // the first, and a burst of ten
		t.Errorf("the key set was fetched %d times, want 11", got)
	}
	if refusals != 11 || waits != 29 {
		t.Errorf("%d refused and %d told to wait, want 11 and 29", refusals, waits)
	}
	for i := range 60 {
		name := "ghost" + strings.Repeat("x", i)
		forged := token(t, p.key("catalog"), typPlugin, c.now(), jwt.MapClaims{"sub": name, "aud": "roadbed"})
		if _, err := a.Authenticate(t.Context(), "Bearer "+forged); err == nil {
			t.Fatalf("plugin %s was believed", name)
		}
	}
	if got := len(a.verifier.keys.(*keySets).sets); got > 2 {
		t.Errorf("%d key sets are kept after unknown plugins called, want at most 2", got)
	}
}

func TestBackstageDown(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	a := p.authenticator(t, c)
	p.set(func(p *portal) { p.down = true })
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.user(t, c.now())); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("with no keys yet: %v, want Unavailable", err)
	}
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.plugin(t, "catalog", c.now(), nil)); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("a plugin, with no keys yet: %v, want Unavailable", err)
	}
	p.set(func(p *portal) { p.down = false })
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.user(t, c.now())); err != nil {
		t.Fatalf("Backstage is back: %v", err)
	}
	catalog := p.plugin(t, "catalog", c.now(), nil)
	if _, err := a.Authenticate(t.Context(), "Bearer "+catalog); err != nil {
		t.Fatal(err)
	}

	p.set(func(p *portal) { p.down = true })
	c.turn(keysFresh + time.Minute)
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.plugin(t, "catalog", c.now(), nil)); err != nil {
		t.Errorf("with old keys: %v, want them to serve", err)
	}
	before := p.hit("/api/catalog/.backstage/auth/v1/jwks.json")
	for range 5 {
		if _, err := a.Authenticate(t.Context(), "Bearer "+p.plugin(t, "catalog", c.now().Add(-time.Second), nil)); err != nil {
			t.Errorf("with old keys: %v, want them to serve", err)
		}
	}
	if got := p.hit("/api/catalog/.backstage/auth/v1/jwks.json"); got != before {
		t.Errorf("a key set that is down was asked for %d more times within seconds, want 0", got-before)
	}
	c.turn(keysStale)
	if _, err := a.Authenticate(t.Context(), "Bearer "+p.plugin(t, "catalog", c.now(), nil)); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("with keys too old to trust: %v, want Unavailable", err)
	}
}

func TestGroupsAreKeptForSeconds(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	a := p.authenticator(t, c)
	bearer := "Bearer " + p.user(t, c.now())
	owns := func() []string {
		t.Helper()
		got, err := a.Authenticate(t.Context(), bearer)
		if err != nil {
			t.Fatal(err)
		}
		return got.Groups
	}
	first := owns()
	p.set(func(p *portal) { p.groups["user:default/ann"] = []string{"group:default/search"} })
	if diff := cmp.Diff(first, owns()); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	c.turn(11 * time.Second)
	want := []string{"group:default/search", "user:default/ann"}
	if diff := cmp.Diff(want, owns()); diff != "" {
		t.Errorf("after 11 s (-want +got):\n%s", diff)
	}
	p.set(func(p *portal) { p.down = true })
	c.turn(15 * time.Second)
	if diff := cmp.Diff(want, owns()); diff != "" {
		t.Errorf("while userinfo is down (-want +got):\n%s", diff)
	}
	c.turn(16 * time.Second)
	if _, err := a.Authenticate(t.Context(), bearer); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("groups older than 30 s: %v, want Unavailable", err)
	}
}

func TestUserinfoIsNotBelievedBlindly(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	bearer := "Bearer " + p.user(t, c.now())
	p.set(func(p *portal) { p.mixedUp = true })
	if got, err := p.authenticator(t, c).Authenticate(t.Context(), bearer); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("another user's groups: %+v, %v; want Unavailable", got, err)
	}
	p.set(func(p *portal) { p.mixedUp, p.signedOut = false, true })
	if got, err := p.authenticator(t, c).Authenticate(t.Context(), bearer); provision.KindOf(err) != provision.Unauthenticated {
		t.Errorf("a token that Backstage refuses: %+v, %v; want Unauthenticated", got, err)
	}
}

func TestAnExpiredTokenIsNotServedFromTheCache(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	a := p.authenticator(t, c)
	short := token(t, p.key("auth"), typUser, c.now(), jwt.MapClaims{"sub": "user:default/ann", "exp": c.now().Add(20 * time.Second).Unix()})
	if _, err := a.Authenticate(t.Context(), "Bearer "+short); err != nil {
		t.Fatal(err)
	}
	c.turn(26 * time.Second)
	if _, err := a.Authenticate(t.Context(), "Bearer "+short); provision.KindOf(err) != provision.Unauthenticated {
		t.Errorf("after its expiry: %v, want Unauthenticated", err)
	}
}

func TestAKeySetOnAnotherHostIsNotFollowed(t *testing.T) {
	t.Parallel()
	evil := newPortal(t)
	honest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(honest.Close)
	c := newClock()
	a := (&portal{Server: honest}).authenticator(t, c)
	if got, err := a.Authenticate(t.Context(), "Bearer "+evil.user(t, c.now())); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("Authenticate = %+v, %v; want Unavailable", got, err)
	}
	if evil.hit("/api/auth/.well-known/jwks.json") != 0 {
		t.Error("the redirect to another host was followed")
	}
}

func TestAHugeKeySetIsRefused(t *testing.T) {
	t.Parallel()
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[],"pad":"` + strings.Repeat("x", maxBody) + `"}`))
	}))
	t.Cleanup(huge.Close)
	c := newClock()
	a := (&portal{Server: huge}).authenticator(t, c)
	forged := token(t, newTestKey(t), typUser, c.now(), jwt.MapClaims{"sub": "user:default/ann"})
	if _, err := a.Authenticate(t.Context(), "Bearer "+forged); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("Authenticate: %v, want Unavailable", err)
	}
}

func TestNewRefusesUnsafeSettings(t *testing.T) {
	t.Parallel()
	discovery, err := NewDiscovery("http://backstage:7007", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"none", "HS256", "HS512", "es256", ""} {
		if _, err := New(Config{Plugin: "roadbed", Discovery: discovery, Algorithms: []string{alg}}); provision.KindOf(err) != provision.Invalid {
			t.Errorf("algorithm %q: %v, want Invalid", alg, err)
		}
	}
	if _, err := New(Config{Plugin: "roadbed", Discovery: discovery, GroupsFor: time.Hour}); provision.KindOf(err) != provision.Invalid {
		t.Errorf("groups for an hour: %v, want Invalid", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, now := newCache[int](100), time.Now()
	for i := range 1000 {
		c.put(digest{byte(i), byte(i >> 8)}, i, now, now.Add(time.Minute))
	}
	if len(c.entries) > 100 {
		t.Errorf("%d entries, want at most 100", len(c.entries))
	}
}
