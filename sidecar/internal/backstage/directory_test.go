package backstage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// catalogOf answers by-query as the catalog does, three users a page, to whoever
// has a token that roadbed has signed for it.
type catalogOf struct {
	*httptest.Server
	members map[string][]string // names of users by group
	kind    string
	signer  *Signer
	down    atomic.Bool
	asked   atomic.Int32
}

func newCatalog(t *testing.T) (*catalogOf, *Directory, *clock) {
	t.Helper()
	key := newTestKey(t)
	signer, err := NewSigner("roadbed", key)
	if err != nil {
		t.Fatal(err)
	}
	c := &catalogOf{kind: "User", signer: signer, members: map[string][]string{
		"group:default/platform-team": {"pat", "Sam", "eve", "kim"}, "group:default/one": {"ann"},
	}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		token, err := jwt.Parse(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithAudience("catalog"), jwt.WithSubject("roadbed"))
		switch {
		case c.down.Load():
			w.WriteHeader(http.StatusBadGateway)
			return
		case err == nil && strings.HasPrefix(r.URL.Path, "/api/catalog/entities/by-name/"):
			email, known := map[string]string{"user/default/ann": "ann@example.com", "user/default/bob": ""}[strings.TrimPrefix(r.URL.Path, "/api/catalog/entities/by-name/")]
			if !known {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "User", "spec": map[string]any{"profile": map[string]any{"email": email}}})
			return
		case err != nil || token.Header["typ"] != typPlugin || r.URL.Path != "/api/catalog/entities/by-query":
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		group, from := "", 0
		if cursor := r.URL.Query().Get("cursor"); cursor != "" {
			_, _ = fmt.Sscanf(cursor, "%d %s", &from, &group)
		} else if group, _ = strings.CutPrefix(r.URL.Query().Get("filter"), "kind=user,relations.memberof="); group == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		all := c.members[group]
		page, items, next := all[from:min(from+3, len(all))], []any{}, map[string]any{}
		for _, name := range page {
			items = append(items, map[string]any{"kind": c.kind, "metadata": map[string]any{"name": name}})
		}
		if from+3 < len(all) {
			next["nextCursor"] = fmt.Sprintf("%d %s", from+3, group)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": items, "totalItems": len(all), "pageInfo": next})
	}))
	t.Cleanup(c.Close)
	discovery, err := NewDiscovery(c.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	turned := newClock()
	directory := NewDirectory(discovery, signer)
	directory.now = turned.now
	return c, directory, turned
}

func TestMembersAreWhoTheCatalogSays(t *testing.T) {
	t.Parallel()
	_, directory, _ := newCatalog(t)
	tests := map[string][]string{
		"group:default/platform-team": {"user:default/eve", "user:default/kim", "user:default/pat", "user:default/sam"},
		"group:default/Platform-Team": {"user:default/eve", "user:default/kim", "user:default/pat", "user:default/sam"},
		"group:default/one":           {"user:default/ann"},
		"group:default/nobody":        {},
	}
	for group, want := range tests {
		got, err := directory.Members(t.Context(), group)
		if err != nil {
			t.Errorf("%s: %v", group, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("members of %s (-want +got):\n%s", group, diff)
		}
	}
}

func TestMembersAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	catalog, directory, clock := newCatalog(t)
	ask := func() ([]string, error) { return directory.Members(t.Context(), "group:default/one") }
	for range 3 {
		if got, err := ask(); err != nil || len(got) != 1 {
			t.Fatalf("members = %v, %v", got, err)
		}
	}
	if n := catalog.asked.Load(); n != 1 {
		t.Errorf("the catalog was asked %d times, want once", n)
	}
	catalog.down.Store(true)
	if _, err := ask(); err != nil {
		t.Errorf("while they are fresh: %v", err)
	}
	clock.turn(membersFresh)
	if _, err := ask(); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("while the catalog is down: %v, want unavailable: who has left must not approve", err)
	}
	catalog.down.Store(false)
	if _, err := ask(); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

func TestWhatIsNoUserIsNoMember(t *testing.T) {
	t.Parallel()
	catalog, directory, _ := newCatalog(t)
	catalog.kind = "Group"
	if got, err := directory.Members(t.Context(), "group:default/one"); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("members = %v, %v; want the answer refused", got, err)
	}
}

func TestAnAddressIsThatOfTheUsersEntity(t *testing.T) {
	t.Parallel()
	c, directory, _ := newCatalog(t)
	for user, want := range map[string]string{"user:default/ann": "ann@example.com", "user:default/bob": "", "user:default/gone": ""} {
		if got, err := directory.Address(t.Context(), user); err != nil || got != want {
			t.Errorf("%s is written to at %q (%v), want %q", user, got, err, want)
		}
	}
	for _, stranger := range []string{"group:default/one", "user:default/../x", "ann"} {
		if _, err := directory.Address(t.Context(), stranger); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%s: %v, want it refused", stranger, err)
		}
	}
	c.down.Store(true)
	if _, err := directory.Address(t.Context(), "user:default/ann"); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("while the catalog is down: %v, want unavailable", err)
	}
}
