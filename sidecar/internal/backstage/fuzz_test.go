package backstage

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// FuzzForgery changes good tokens in every way: whatever is still taken says what
// the good one said.
func FuzzForgery(f *testing.F) {
	p, c := newPortal(f), newClock()
	good := []string{
		token(f, p.key("auth"), typUser, c.now(), map[string]any{"sub": "user:default/ann", "ent": []string{"group:default/payments"}}),
		p.plugin(f, "scaffolder", c.now(), map[string]any{"obo": p.limited(f, c.now())}),
		p.plugin(f, "catalog", c.now(), nil),
	}
	a := p.authenticator(f, c)
	subjects := map[string]bool{}
	for _, raw := range good {
		f.Add(raw)
		principal, err := a.Authenticate(f.Context(), "Bearer "+raw)
		if err != nil {
			f.Fatal(err)
		}
		subjects[principal.Subject] = true
	}
	f.Fuzz(func(t *testing.T, raw string) {
		principal, err := a.Authenticate(t.Context(), "Bearer "+raw)
		if err == nil && !subjects[principal.Subject] {
			t.Errorf("%q is taken for %s", raw, principal.Subject)
		}
		if kind := provision.KindOf(err); err != nil && kind != provision.Unauthenticated && kind != provision.Unavailable {
			t.Errorf("%q: %v is %s", raw, err, kind)
		}
	})
}
