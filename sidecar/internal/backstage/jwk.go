package backstage

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// jwk is a public key as RFC 7517 writes it.
type jwk struct {
	Kty    string   `json:"kty"`
	Crv    string   `json:"crv,omitempty"`
	X      string   `json:"x,omitempty"`
	Y      string   `json:"y,omitempty"`
	N      string   `json:"n,omitempty"`
	E      string   `json:"e,omitempty"`
	Kid    string   `json:"kid,omitempty"`
	Alg    string   `json:"alg,omitempty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
}

// verifyKey is one key of a set, decoded.
type verifyKey struct {
	jwk
	public crypto.PublicKey
}

// families says which kind of key, and curve, an algorithm verifies with.
var families = map[string]struct{ kty, crv string }{
	"ES256": {"EC", "P-256"},
	"ES384": {"EC", "P-384"},
	"ES512": {"EC", "P-521"},
	"RS256": {"RSA", ""},
	"PS256": {"RSA", ""},
	"EdDSA": {"OKP", "Ed25519"},
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// decodeKeySet reads a key set. Keys of a kind that is not known are left out:
// another plugin's choice must not make all its tokens unreadable.
func decodeKeySet(body []byte) ([]verifyKey, error) {
	var doc struct {
		Keys *[]jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("decode key set: %w", err)
	}
	if doc.Keys == nil {
		return nil, fmt.Errorf("key set has no member keys")
	}
	keys := make([]verifyKey, 0, len(*doc.Keys))
	for _, k := range *doc.Keys {
		if public := k.public(); public != nil {
			keys = append(keys, verifyKey{k, public})
		}
	}
	return keys, nil
}

// serves reports whether the key may verify a token with this header.
func (k verifyKey) serves(alg, kid string) bool {
	family, ok := families[alg]
	return ok && k.Kty == family.kty && k.Crv == family.crv &&
		(kid == "" || k.Kid == kid) && (k.Alg == "" || k.Alg == alg) &&
		(k.Use == "" || k.Use == "sig") && (k.KeyOps == nil || slices.Contains(k.KeyOps, "verify"))
}

// public is the decoded key, nil when it is malformed, weak or of an unknown kind.
func (k jwk) public() crypto.PublicKey {
	switch k.Kty {
	case "EC":
		curve, ok := curves[k.Crv]
		if !ok {
			return nil
		}
		size := (curve.Params().BitSize + 7) / 8
		x, y := decodeSegment(k.X), decodeSegment(k.Y)
		if len(x) == 0 || len(x) > size || len(y) == 0 || len(y) > size {
			return nil
		}
		point := slices.Concat([]byte{4}, leftPad(x, size), leftPad(y, size))
		public, err := ecdsa.ParseUncompressedPublicKey(curve, point) // refuses a point off the curve
		if err != nil {
			return nil
		}
		return public
	case "RSA":
		n, e := new(big.Int).SetBytes(decodeSegment(k.N)), new(big.Int).SetBytes(decodeSegment(k.E))
		if n.BitLen() < 2048 || n.BitLen() > 8192 || !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 {
			return nil
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}
	case "OKP":
		x := decodeSegment(k.X)
		if k.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil
		}
		return ed25519.PublicKey(x)
	}
	return nil
}

// publicJWK is the JWK of an ES256 key. Its kid is the thumbprint of RFC 7638,
// so that replicas that share a key name it alike.
func publicJWK(key *ecdsa.PublicKey) (jwk, error) {
	point, err := key.Bytes()
	if err != nil || key.Curve != elliptic.P256() {
		return jwk{}, fmt.Errorf("the key is not on curve P-256")
	}
	x := base64.RawURLEncoding.EncodeToString(point[1:33])
	y := base64.RawURLEncoding.EncodeToString(point[33:])
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return jwk{Kty: "EC", Crv: "P-256", X: x, Y: y, Alg: "ES256", Kid: base64.RawURLEncoding.EncodeToString(sum[:])}, nil
}

func decodeSegment(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil
	}
	return b
}

func leftPad(b []byte, size int) []byte {
	return append(bytes.Repeat([]byte{0}, size-len(b)), b...)
}
