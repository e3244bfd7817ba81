package backstage

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// maxCached bounds each cache of tokens.
const maxCached = 10_000

// verifiedFor is how long a verified token is believed without looking again.
const verifiedFor = time.Minute

// Config is what an Authenticator needs.
type Config struct {
	Plugin     string // own plugin id, the audience of plugin tokens: "roadbed"
	Discovery  *Discovery
	Algorithms []string         // accepted signatures; nil is ES256 alone
	GroupsFor  time.Duration    // how long groups are believed, 5 to 30 s; 0 is 10 s
	Now        func() time.Time // nil is time.Now
	Log        *slog.Logger     // nil discards
}

// Authenticator turns Backstage tokens into principals. It may be used from
// many goroutines.
type Authenticator struct {
	plugin    string
	discovery *Discovery
	userKeys  string // URL of the auth plugin's key set
	verifier  verifier
	groups    *groups
	verified  *cache[identity]
	now       func() time.Time
}

// identity is what a verified token says, with the token that opens userinfo.
type identity struct {
	subject   string
	actor     string
	user      string   // the user's own token; "" for a service
	owns      []string // the claim ent; nil when the token has none
	expiresAt time.Time
}

// New is an Authenticator. An algorithm that is not a public-key signature, or
// a time out of range, is Invalid.
func New(c Config) (*Authenticator, error) {
	if !pluginID.MatchString(c.Plugin) {
		return nil, provision.Errorf(provision.Invalid, "%q is not a plugin id", c.Plugin)
	}
	if c.Algorithms == nil {
		c.Algorithms = []string{"ES256"}
	}
	for _, alg := range c.Algorithms {
		if _, ok := families[alg]; !ok {
			return nil, provision.Errorf(provision.Invalid, "token algorithm %q is not accepted; choose among ES256, ES384, ES512, RS256, PS256 and EdDSA", alg)
		}
	}
	if c.GroupsFor == 0 {
		c.GroupsFor = 10 * time.Second
	}
	if c.GroupsFor < 5*time.Second || c.GroupsFor > groupsStale {
		return nil, provision.Errorf(provision.Invalid, "groups can be kept for 5 to 30 seconds, not %s", c.GroupsFor)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	auth, err := c.Discovery.URL("auth")
	if err != nil {
		return nil, err
	}
	client := newHTTPClient()
	return &Authenticator{
		plugin: c.Plugin, discovery: c.Discovery, userKeys: auth + "/.well-known/jwks.json", now: c.Now,
		verifier: verifier{newKeySets(client, c.Now, c.Log, "Backstage"), slices.Clone(c.Algorithms), c.Now},
		groups:   newGroups(client, auth+"/v1/userinfo", c.GroupsFor, c.Now, c.Log),
		verified: newCache[identity](maxCached),
	}, nil
}

// Authenticate is who sent an Authorization header. A token that is not good is
// Unauthenticated; when Backstage must be asked and cannot be, it is
// Unavailable. It blocks on Backstage at most some seconds, and only for a
// token, a key or a user that it has not seen lately.
func (a *Authenticator) Authenticate(ctx context.Context, authorization string) (provision.Principal, error) {
	raw, err := bearerToken(authorization)
	if err != nil {
		return provision.Principal{}, err
	}
	key := digest(sha256.Sum256([]byte(raw)))
	who, ok := a.verified.get(key, a.now())
	if !ok {
		if who, err = a.identify(ctx, raw); err != nil {
			return provision.Principal{}, err
		}
		now := a.now()
		a.verified.put(key, who, now, earlier(who.expiresAt, now.Add(verifiedFor)))
	}
	if who.user == "" {
		return provision.Principal{Subject: who.subject}, nil
	}
	owns := who.owns
	if owns == nil {
		if owns, err = a.groups.of(ctx, who); err != nil {
			return provision.Principal{}, err
		}
	}
	return provision.Principal{Subject: who.subject, Groups: owns, Actor: who.actor}, nil
}

func (a *Authenticator) identify(ctx context.Context, raw string) (identity, error) {
	t, err := parse(raw)
	if err != nil {
		return identity{}, err
	}
	switch t.typ {
	case typPlugin:
		return a.plugined(ctx, t)
	case typUser:
		return a.user(ctx, t)
	case typLimited:
		return identity{}, refused("Illegal limited user token")
	default:
		return identity{}, refused("Illegal token")
	}
}

// plugined verifies a plugin's token and the user's that it may carry.
func (a *Authenticator) plugined(ctx context.Context, t unverified) (identity, error) {
	caller := t.claim("sub")
	base, err := a.discovery.URL(caller) // refuses an id that could bend the URL
	if err != nil {
		return identity{}, refused("Failed plugin token verification")
	}
	if t.claim("aud") != a.plugin {
		return identity{}, refused("Failed plugin token verification: the token is not for %s", a.plugin)
	}
	expires, err := a.verifier.verify(ctx, t, base+"/.backstage/auth/v1/jwks.json")
	if err != nil {
		return identity{}, err
	}
	service := "plugin:" + caller
	carried, ok := t.claims["obo"]
	if !ok {
		return identity{subject: service, expiresAt: expires}, nil
	}
	raw, ok := carried.(string)
	if !ok {
		return identity{}, refused("Failed plugin token verification: obo is not a token")
	}
	behalf, err := parse(raw)
	if err != nil {
		return identity{}, err
	}
	if behalf.typ != typUser && behalf.typ != typLimited {
		return identity{}, refused("Failed plugin token verification: obo is not a user's token")
	}
	who, err := a.user(ctx, behalf)
	if err != nil {
		return identity{}, err
	}
	who.actor, who.expiresAt = service, earlier(expires, who.expiresAt)
	return who, nil
}

// user verifies a user's token, full or limited.
func (a *Authenticator) user(ctx context.Context, t unverified) (identity, error) {
	expires, err := a.verifier.verify(ctx, t, a.userKeys)
	if err != nil {
		return identity{}, err
	}
	who := identity{subject: t.claim("sub"), user: t.raw, expiresAt: expires}
	if !userRef.MatchString(who.subject) {
		return identity{}, refused("Failed user token verification: its subject is not a user")
	}
	if claimed, ok := t.claims["ent"]; ok {
		if who.owns, err = ownership(who.subject, claimed); err != nil {
			return identity{}, refused("Failed user token verification: %v", err)
		}
	}
	return who, nil
}

// ownership is a user's ownership refs, sorted, the user's own among them.
func ownership(subject string, claimed any) ([]string, error) {
	list, ok := claimed.([]any)
	if !ok {
		return nil, fmt.Errorf("ent is not a list")
	}
	refs := []string{subject}
	for _, item := range list {
		ref, ok := item.(string)
		if !ok || ref == "" {
			return nil, fmt.Errorf("ent is not a list of entity refs")
		}
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// tokenRefused reports whether Backstage refused a token, as opposed to being
// unwell.
func tokenRefused(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusBadRequest
}
