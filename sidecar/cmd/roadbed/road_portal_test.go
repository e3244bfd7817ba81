package main

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roadbed.dev/roadbed/sidecar/internal/backstage"
	"roadbed.dev/roadbed/sidecar/internal/client"
)

// portal stands for Backstage as far as tokens go: it signs them with keys of
// its own, publishes the public halves, and tells whose groups a user has. Its
// tokens are real ones, and the sidecar verifies them as it would Backstage's.
type portal struct {
	*httptest.Server
	keys    map[string]*ecdsa.PrivateKey // by plugin; auth's sign for users
	keySets map[string][]byte
	groups  map[string][]string
}

// Who there is.
const (
	ann = "user:default/ann" // payments
	ben = "user:default/ben" // search
	pat = "user:default/pat" // platform team
)

func newPortal(t testing.TB) *portal {
	t.Helper()
	p := &portal{keys: map[string]*ecdsa.PrivateKey{}, keySets: map[string][]byte{}, groups: map[string][]string{
		ann: {ann, "group:default/payments"}, ben: {ben, "group:default/search"}, pat: {pat, "group:default/platform-team"},
	}}
	for _, plugin := range []string{"auth", "scaffolder", "catalog"} {
		key, err := backstage.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		signer, err := backstage.NewSigner(plugin, key)
		if err != nil {
			t.Fatal(err)
		}
		p.keys[plugin], p.keySets[plugin] = key, signer.KeySet()
	}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// trusted makes a key whose tokens the portal accepts from a plugin, as PEM.
func (p *portal) trusted(t testing.TB, plugin string) string {
	t.Helper()
	key, err := backstage.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := backstage.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.keys[plugin] = key
	return string(text)
}

// members answers the catalog's query for the users of a group, to whoever has
// a token for the catalog that a trusted plugin has signed.
func (p *portal) members(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithAudience("catalog"), jwt.WithSubject("roadbed")).
		ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
			if p.keys["roadbed"] == nil {
				return nil, jwt.ErrTokenUnverifiable
			}
			return &p.keys["roadbed"].PublicKey, nil
		})
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, group, _ := strings.Cut(r.URL.Query().Get("filter"), "relations.memberof=")
	items := []map[string]any{}
	for user, groups := range p.groups {
		if slices.Contains(groups, group) {
			_, name, _ := strings.Cut(user, "/")
			items = append(items, map[string]any{"kind": "User", "metadata": map[string]any{"namespace": "default", "name": name}})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "totalItems": len(items), "pageInfo": map[string]any{}})
}

// ServeHTTP answers key sets, userinfo and who is in a group.
func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plugin, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	switch {
	case plugin == "auth" && path == ".well-known/jwks.json", plugin != "auth" && path == ".backstage/auth/v1/jwks.json" && p.keySets[plugin] != nil:
		_, _ = w.Write(p.keySets[plugin])
	case plugin == "catalog" && path == "entities/by-query":
		p.members(w, r)
	case plugin == "auth" && path == "v1/userinfo":
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), claims); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		subject, _ := claims["sub"].(string)
		_ = json.NewEncoder(w).Encode(map[string]any{"claims": map[string]any{"sub": subject, "ent": p.groups[subject]}})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (p *portal) sign(t testing.TB, plugin, typ string, claims jwt.MapClaims) string {
	t.Helper()
	var set struct {
		Keys []struct {
			Kid string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(p.keySets[plugin], &set); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	all := jwt.MapClaims{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	token := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	token.Header["typ"], token.Header["kid"] = typ, set.Keys[0].Kid
	text, err := token.SignedString(p.keys[plugin])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// user is the token that a person's browser has.
func (p *portal) user(t testing.TB, subject string) string {
	return p.sign(t, "auth", "vnd.backstage.user", jwt.MapClaims{"iss": p.URL + "/api/auth", "sub": subject, "aud": "backstage"})
}

// plugin is a plugin's token for Roadbed; it carries subject's word, "" for nobody's.
func (p *portal) plugin(t testing.TB, name, subject string) string {
	claims := jwt.MapClaims{"sub": name, "aud": "roadbed"}
	if subject != "" {
		claims["obo"] = p.sign(t, "auth", "vnd.backstage.limited-user", jwt.MapClaims{"sub": subject})
	}
	return p.sign(t, name, "vnd.backstage.plugin", claims)
}

// as is the API in the hands of a person.
func (r *road) as(subject string) *client.Client { return r.with(r.portal.user(r.t, subject)) }

func (r *road) with(token string) *client.Client {
	r.t.Helper()
	r.tokens = append(r.tokens, token)
	if claims, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1]); err == nil {
		var carried struct {
			Obo string `json:"obo"`
		}
		if json.Unmarshal(claims, &carried) == nil && carried.Obo != "" {
			r.tokens = append(r.tokens, carried.Obo)
		}
	}
	c, err := client.New(r.base(), token)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// patient is as, for one who asks again while the sidecar is away.
func (r *road) patient(subject string) *client.Client {
	r.t.Helper()
	token := r.portal.user(r.t, subject)
	c, err := client.New(r.base(), "", client.Retry(deadline), client.TokenSource(func(context.Context) (string, error) { return token, nil }))
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}
