package backstage

import (
	"context"
	"crypto"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The types of token, as their header names them.
const (
	typUser    = "vnd.backstage.user"
	typLimited = "vnd.backstage.limited-user"
	typPlugin  = "vnd.backstage.plugin"
	typDev     = "vnd.roadbed.dev"
)

// leeway is the clock skew that is forgiven; Backstage itself forgives none.
const leeway = 5 * time.Second

// maxToken is the longest Authorization header that is read, in bytes. A user
// token may reach 32 KiB, and a plugin's carries one in base64.
const maxToken = 64 << 10

// userRef is an entity ref of a user. A user's token whose subject is anything
// else is refused, so that it can never pass for a plugin.
var userRef = regexp.MustCompile(`^user:[A-Za-z0-9._-]{1,63}/[A-Za-z0-9._-]{1,63}$`)

func refused(format string, args ...any) error {
	return provision.Errorf(provision.Unauthenticated, format, args...)
}

// bearerToken is the token of an Authorization header.
func bearerToken(authorization string) (string, error) {
	if authorization == "" {
		return "", refused("Missing credentials")
	}
	if len(authorization) > maxToken {
		return "", refused("the token is longer than %d KiB", maxToken>>10)
	}
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t\r\n\f\v") {
		return "", refused("the Authorization header is not a bearer token")
	}
	return token, nil
}

// unverified is a token as it says it is, before anything is checked.
type unverified struct {
	raw      string
	typ      string
	alg, kid string
	claims   jwt.MapClaims
}

// parse reads a token without trusting it. Any fault is Unauthenticated.
func parse(raw string) (unverified, error) {
	token, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(raw, jwt.MapClaims{})
	if err != nil {
		return unverified{}, refused("Illegal token")
	}
	t := unverified{raw: raw, claims: token.Claims.(jwt.MapClaims)}
	t.typ, _ = token.Header["typ"].(string)
	t.alg, _ = token.Header["alg"].(string)
	if kid, ok := token.Header["kid"]; ok {
		if t.kid, ok = kid.(string); !ok {
			return unverified{}, refused("Illegal token")
		}
	}
	// An extension that must be understood and is not: RFC 7515, section 4.1.11.
	if _, ok := token.Header["crit"]; ok {
		return unverified{}, refused("Illegal token")
	}
	return t, nil
}

// claim is a string claim, "" when it is absent or something else.
func (t unverified) claim(name string) string {
	s, _ := t.claims[name].(string)
	return s
}

// keySource has the keys at a URL.
type keySource interface {
	key(ctx context.Context, url, alg, kid string) (crypto.PublicKey, error)
}

// verifier checks signatures and times.
type verifier struct {
	keys       keySource
	algorithms []string
	now        func() time.Time
}

// verify is the expiry of a token whose signature is by a key at url and which
// is valid now. Every fault of the token is Unauthenticated.
func (v verifier) verify(ctx context.Context, t unverified, url string) (time.Time, error) {
	parser := jwt.NewParser(
		jwt.WithStrictDecoding(), jwt.WithValidMethods(v.algorithms), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(v.now),
	)
	token, err := parser.Parse(t.raw, func(token *jwt.Token) (any, error) {
		if t.kid == "" {
			return nil, errNoKey
		}
		return v.keys.key(ctx, url, token.Method.Alg(), t.kid)
	})
	if provision.KindOf(err) == provision.Unavailable {
		var unavailable *provision.Error
		errors.As(err, &unavailable)
		return time.Time{}, unavailable
	}
	if err != nil {
		return time.Time{}, refused("Failed token verification")
	}
	issued, err := token.Claims.GetIssuedAt()
	if err != nil || issued == nil || t.claim("sub") == "" {
		return time.Time{}, refused("Failed token verification")
	}
	expires, err := token.Claims.GetExpirationTime()
	if err != nil || expires == nil {
		return time.Time{}, refused("Failed token verification")
	}
	return expires.Time, nil
}
