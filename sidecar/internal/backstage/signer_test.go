package backstage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestOwnTokensOpenAnotherPlugin(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	key := newTestKey(t)
	signer, err := NewSigner("scaffolder", key) // as if another plugin called us
	if err != nil {
		t.Fatal(err)
	}
	p.set(func(p *portal) { p.keys["scaffolder"] = []*ecdsa.PrivateKey{key} })
	token, err := signer.Token("roadbed")
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.authenticator(t, c).Authenticate(t.Context(), "Bearer "+token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(provision.Principal{Subject: "plugin:scaffolder"}, got); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
	keys, err := decodeKeySet(signer.KeySet())
	if err != nil || len(keys) != 1 {
		t.Errorf("own key set: %d keys, %v; want 1", len(keys), err)
	}
}

func TestOwnTokensAreKeptForMostOfTheirLife(t *testing.T) {
	t.Parallel()
	signer, err := NewSigner("roadbed", newTestKey(t), &newTestKey(t).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	signer.now = c.now
	first, _ := signer.Token("catalog")
	c.turn(49 * time.Minute)
	if again, _ := signer.Token("catalog"); again != first {
		t.Error("after 49 minutes the token was made anew")
	}
	c.turn(2 * time.Minute)
	if again, _ := signer.Token("catalog"); again == first {
		t.Error("after 51 minutes the token was not made anew")
	}
	if other, _ := signer.Token("notifications"); other == first {
		t.Error("two plugins got one token")
	}
	if _, err := signer.Token("../auth"); provision.KindOf(err) != provision.Invalid {
		t.Errorf("a path as target: %v, want Invalid", err)
	}
	if keys, _ := decodeKeySet(signer.KeySet()); len(keys) != 2 {
		t.Errorf("%d keys are published, want this and the next", len(keys))
	}
}

func TestKeysAreReadFromFiles(t *testing.T) {
	t.Parallel()
	key := newTestKey(t)
	text, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := LoadKey(path)
	if err != nil || !got.Equal(key) {
		t.Errorf("LoadKey = %v, want the key that was written", err)
	}
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, _ = EncodeKey(large)
	for name, text := range map[string][]byte{"a key of another curve": text, "no PEM": []byte("x"), "an empty file": nil} {
		if _, err := ParseKey(text); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
	if _, err := NewSigner("roadbed", large); provision.KindOf(err) != provision.Invalid {
		t.Errorf("NewSigner with P-384: %v, want Invalid", err)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	d, err := NewDiscovery("http://backstage:7007/", []Endpoint{
		{Target: "http://all/{{ pluginId }}/", Plugins: []string{"*"}},
		{Target: "https://search.internal/api/search", Plugins: []string{"search"}},
		{Target: "http://auth:7008/api/{{pluginId}}", Plugins: []string{"auth", "permission"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for plugin, want := range map[string]string{
		"search": "https://search.internal/api/search", "auth": "http://auth:7008/api/auth", "catalog": "http://all/catalog",
	} {
		if got, err := d.URL(plugin); got != want || err != nil {
			t.Errorf("URL(%s) = %q, %v; want %q", plugin, got, err, want)
		}
	}
	for _, plugin := range []string{"", "a/b", "..", "a.b", "a%2fb"} {
		if got, err := d.URL(plugin); provision.KindOf(err) != provision.Invalid {
			t.Errorf("URL(%q) = %q, %v; want Invalid", plugin, got, err)
		}
	}
	for _, base := range []string{"", "backstage:7007", "http+srv://backstage", "file:///etc", "http://user:pass@backstage"} {
		if _, err := NewDiscovery(base, nil); provision.KindOf(err) != provision.Invalid {
			t.Errorf("NewDiscovery(%q): %v, want Invalid", base, err)
		}
	}
}

func TestDevIdentity(t *testing.T) {
	t.Parallel()
	p, c := newPortal(t), newClock()
	dev, err := NewDevIdentity(newTestKey(t), p.authenticator(t, c))
	if err != nil {
		t.Fatal(err)
	}
	token, err := dev.Token("user:default/ann", []string{"group:default/payments"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ann := provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/payments", "user:default/ann"}}
	for name, bearer := range map[string]string{"a development token": token, "a token of Backstage": p.user(t, c.now())} {
		got, err := dev.Authenticate(t.Context(), "Bearer "+bearer)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(ann, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	other, _ := NewDevIdentity(newTestKey(t), nil)
	stolen, _ := other.Token("user:default/ann", nil, time.Hour)
	expired, _ := dev.Token("user:default/ann", nil, -time.Minute)
	system, _ := dev.Token("system:expiry", nil, time.Hour)
	for name, token := range map[string]string{"another's": stolen, "expired": expired, "a system subject": system} {
		if _, err := dev.Authenticate(t.Context(), "Bearer "+token); provision.KindOf(err) != provision.Unauthenticated {
			t.Errorf("%s: %v, want Unauthenticated", name, err)
		}
	}
	if _, err := p.authenticator(t, c).Authenticate(t.Context(), "Bearer "+token); provision.KindOf(err) != provision.Unauthenticated {
		t.Errorf("an Authenticator took a development token: %v", err)
	}
	plugin, _ := dev.Token("plugin:catalog", nil, time.Hour)
	if got, err := dev.Authenticate(t.Context(), "Bearer "+plugin); err != nil || got.Subject != "plugin:catalog" || got.Groups != nil {
		t.Errorf("a development plugin = %+v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	key := newTestKey(f)
	now := time.Unix(1_800_000_000, 0)
	f.Add(token(f, key, typUser, now, nil))
	f.Add(token(f, key, typPlugin, now, map[string]any{"sub": "catalog", "aud": "roadbed", "obo": "a.b.c"}))
	f.Add("e30.e30.")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("....")
	f.Add("")
	f.Add("eyJ0eXAiOnt9LCJhbGciOiJFUzI1NiJ9.W10.AA")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parse(raw)
		switch {
		case err != nil && provision.KindOf(err) != provision.Unauthenticated:
			t.Errorf("parse(%q): %v, want Unauthenticated", raw, err)
		case err == nil && (got.raw != raw || got.claims == nil):
			t.Errorf("parse(%q) = %+v", raw, got)
		}
	})
}

func FuzzDecodeKeySet(f *testing.F) {
	signer, err := NewSigner("roadbed", newTestKey(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signer.KeySet())
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := decodeKeySet(body)
		for _, k := range keys {
			if err != nil || k.public == nil {
				t.Errorf("decodeKeySet(%q) has a key without a key", body)
			}
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	p, c := newPortal(b), newClock()
	user := "Bearer " + token(b, p.key("auth"), typUser, c.now(), map[string]any{"sub": "user:default/ann", "ent": []string{"group:default/payments"}})
	obo := "Bearer " + p.plugin(b, "scaffolder", c.now(), map[string]any{"obo": p.limited(b, c.now())})
	for name, bearer := range map[string]string{"user": user, "obo": obo} {
		b.Run(name+"/cached", func(b *testing.B) {
			a := p.authenticator(b, c)
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), bearer); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/verified", func(b *testing.B) {
			a := p.authenticator(b, c)
			for b.Loop() {
				clear(a.verified.entries)
				if _, err := a.Authenticate(b.Context(), bearer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
