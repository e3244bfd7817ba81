package backstage

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// DevIdentity issues and accepts tokens without Backstage, for `roadbed dev`.
// An Authenticator knows nothing of it and refuses its tokens, so a service
// that is built of an Authenticator alone cannot be talked into accepting them.
type DevIdentity struct {
	key  *ecdsa.PrivateKey
	kid  string
	next authenticator
	now  func() time.Time
}

type authenticator interface {
	Authenticate(ctx context.Context, authorization string) (provision.Principal, error)
}

// NewDevIdentity accepts tokens signed by key, and leaves all others to next,
// which may be nil.
func NewDevIdentity(key *ecdsa.PrivateKey, next *Authenticator) (*DevIdentity, error) {
	public, err := publicJWK(&key.PublicKey)
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "the development key cannot be used: %v", err)
	}
	d := &DevIdentity{key: key, kid: public.Kid, now: time.Now}
	if next != nil {
		d.next = next
	}
	return d, nil
}

// Token is a token for subject, "user:default/ann" or "plugin:catalog", who
// owns through groups, valid for ttl.
func (d *DevIdentity) Token(subject string, groups []string, ttl time.Duration) (string, error) {
	now := d.now()
	token, err := signES256(d.key, d.kid, typDev, jwt.MapClaims{
		"sub": subject, "ent": groups, "iat": now.Unix(), "exp": now.Add(ttl).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("sign development token: %w", err)
	}
	return token, nil
}

// Authenticate is who sent an Authorization header. A development token that is
// not good is Unauthenticated.
func (d *DevIdentity) Authenticate(ctx context.Context, authorization string) (provision.Principal, error) {
	raw, err := bearerToken(authorization)
	if err != nil {
		return provision.Principal{}, err
	}
	t, err := parse(raw)
	if err != nil {
		return provision.Principal{}, err
	}
	if t.typ != typDev {
		if d.next == nil {
			return provision.Principal{}, refused("Illegal token")
		}
		return d.next.Authenticate(ctx, authorization)
	}
	_, err = jwt.NewParser(
		jwt.WithStrictDecoding(), jwt.WithValidMethods([]string{"ES256"}), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithTimeFunc(d.now),
	).Parse(raw, func(*jwt.Token) (any, error) { return &d.key.PublicKey, nil })
	if err != nil {
		return provision.Principal{}, refused("Failed development token verification; start `roadbed dev` again for a new one")
	}
	subject := t.claim("sub")
	if plugin, ok := strings.CutPrefix(subject, "plugin:"); ok && pluginID.MatchString(plugin) {
		return provision.Principal{Subject: subject}, nil
	}
	if !userRef.MatchString(subject) {
		return provision.Principal{}, refused("Failed development token verification: its subject is not a user or a plugin")
	}
	claimed := t.claims["ent"]
	if claimed == nil {
		claimed = []any{}
	}
	refs, err := ownership(subject, claimed)
	if err != nil {
		return provision.Principal{}, refused("Failed development token verification: %v", err)
	}
	return provision.Principal{Subject: subject, Groups: slices.Clip(refs)}, nil
}
