package backstage

import (
	"encoding/json"
	"testing"

	"github.com/golang-jwt/jwt/v5"

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

// FuzzPipelineClaims signs any claims as the forge does: whoever is let in is the
// repository of the grant, for the pull request that its ref names.
func FuzzPipelineClaims(f *testing.F) {
	forge, c := newForge(f), newClock()
	p := forge.pipelines(f, c, nobody{})
	for _, own := range []map[string]any{
		{}, {"ref": "refs/heads/main"}, {"ref": "refs/pull/042/merge"}, {"ref": "refs/pull/42/merge\n"}, {"repository": []string{"acme/orders"}},
		{"aud": []any{"roadbed", 1}}, {"aud": map[string]any{"roadbed": true}}, {"exp": "1e99"}, {"exp": 1e300, "iat": -1e300}, {"iss": nil}, {"sub": nil},
		{"repository_id": 1296269}, {"repository": "acme/orders\x00"}, {"repository": "ACME/orders"},
	} {
		claims, err := json.Marshal(forge.claims(c.now(), own))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(claims))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var claims jwt.MapClaims
		if json.Unmarshal([]byte(text), &claims) != nil || claims == nil {
			return // nobody signs it
		}
		principal, err := p.Authenticate(t.Context(), forge.signed(t, jwt.SigningMethodRS256, forge.key, map[string]any{"kid": "k1"}, claims))
		if err != nil {
			if kind := provision.KindOf(err); kind != provision.Unauthenticated && kind != provision.Unavailable {
				t.Errorf("%s: %v is %s", text, err, kind)
			}
			return
		}
		ref, _ := claims["ref"].(string)
		number := pullNumber(ref)
		ci := principal.CI
		if principal.Subject != "ci:acme/orders" || ci == nil || ci.Owner != "group:default/payments" || claims["iss"] != forge.URL || principal.Groups != nil ||
			ci.PullRequest != number || number == 0 && ref != "refs/heads/main" {
			t.Errorf("%s is taken for %+v, %+v", text, principal, ci)
		}
	})
}

// FuzzPipelineFile reads any text as the file of pipelines: each grant that it
// gives names its repository and its owner.
func FuzzPipelineFile(f *testing.F) {
	f.Add("issuers:\n  - issuer: https://a.example\n    audience: roadbed\n    grants:\n      - {claims: {repository: a/b}, owner: payments}\n")
	f.Add("issuers: [{issuer: 'https://u:p@a', audience: x, grants: [{claims: {repository: ''}, owner: x}]}]")
	f.Add("issuers: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		config, err := ParsePipelines([]byte(text))
		if err != nil {
			return
		}
		for _, issuer := range config.Issuers {
			for _, grant := range issuer.Grants {
				if issuer.Audience == "" || grant.Owner == "" || grant.Claims[issuer.Claims.Repository] == "" {
					t.Errorf("%q lets in %+v of %+v", text, grant, issuer)
				}
			}
		}
	})
}
