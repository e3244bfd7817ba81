package backstage

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// How long an own token is valid, and how much of that is left when a new one
// is made.
const (
	tokenFor   = time.Hour
	tokenSpare = 10 * time.Minute
)

// Signer makes the tokens with which Roadbed calls other plugins. Whoever holds
// its key may do to Backstage what any plugin may. It may be used from many
// goroutines.
type Signer struct {
	plugin string
	key    *ecdsa.PrivateKey
	kid    string
	public []byte
	now    func() time.Time

	mu     sync.Mutex
	tokens map[string]signed
}

type signed struct {
	token     string
	expiresAt time.Time
}

// NewSigner signs as plugin with key. The public halves of key and of others
// are published: to rotate, publish the next key as one of others on every
// replica before any signs with it. A key that is not ES256's is Invalid.
func NewSigner(plugin string, key *ecdsa.PrivateKey, others ...*ecdsa.PublicKey) (*Signer, error) {
	s := &Signer{plugin: plugin, key: key, now: time.Now, tokens: map[string]signed{}}
	set := struct {
		Keys []jwk `json:"keys"`
	}{}
	for _, public := range append([]*ecdsa.PublicKey{&key.PublicKey}, others...) {
		k, err := publicJWK(public)
		if err != nil {
			return nil, provision.Errorf(provision.Invalid, "the signing key cannot be used: %v", err)
		}
		set.Keys = append(set.Keys, k)
	}
	s.kid = set.Keys[0].Kid
	public, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	s.public = public
	return s, nil
}

// KeySet is the public key set as JSON, for anyone to read. Do not change it.
func (s *Signer) KeySet() []byte { return s.public }

// Token is a token for calls to the plugin called target, valid for at least
// ten minutes more. The same one is given until then.
func (s *Signer) Token(target string) (string, error) {
	if !pluginID.MatchString(target) {
		return "", provision.Errorf(provision.Invalid, "%q is not a plugin id", target)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if have, ok := s.tokens[target]; ok && have.expiresAt.Sub(now) >= tokenSpare {
		return have.token, nil
	}
	expires := now.Add(tokenFor)
	token, err := signES256(s.key, s.kid, typPlugin, jwt.MapClaims{
		"sub": s.plugin, "aud": target, "iat": now.Unix(), "exp": expires.Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("sign token for plugin %s: %w", target, err)
	}
	s.tokens[target] = signed{token, expires}
	return token, nil
}

func signES256(key *ecdsa.PrivateKey, kid, typ string, claims jwt.MapClaims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"], token.Header["kid"] = typ, kid
	return token.SignedString(key)
}

// NewKey makes a signing key.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return key, nil
}

// LoadKey reads a signing key from a PEM file, PKCS#8 or SEC 1. Another kind of
// key is Invalid.
func LoadKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	return ParseKey(text)
}

// ParseKey is LoadKey for the PEM text itself.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, provision.Errorf(provision.Invalid, "the signing key is not a PEM file")
	}
	var key *ecdsa.PrivateKey
	if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		key, _ = parsed.(*ecdsa.PrivateKey)
	} else if parsed, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		key = parsed
	}
	if key == nil || key.Curve != elliptic.P256() {
		return nil, provision.Errorf(provision.Invalid, "the signing key is not an EC key on curve P-256; make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
	}
	return key, nil
}

// LoadPublicKey reads the public half of a signing key from a PEM file, which may
// hold that half alone. Another kind of key is Invalid.
func LoadPublicKey(path string) (*ecdsa.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	if block, _ := pem.Decode(text); block != nil && block.Type == "PUBLIC KEY" {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if public, ok := parsed.(*ecdsa.PublicKey); err == nil && ok && public.Curve == elliptic.P256() {
			return public, nil
		}
		return nil, provision.Errorf(provision.Invalid, "%s is not an EC key on curve P-256", path)
	}
	key, err := ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &key.PublicKey, nil
}

// EncodeKey is the PEM text, PKCS#8, of a signing key.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
