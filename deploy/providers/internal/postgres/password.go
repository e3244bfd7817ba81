package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// passwordBytes of randomness are 32 characters of URL-safe base64, so that a
// password needs no escaping in a connection string.
const passwordBytes = 24

// scramIterations is PostgreSQL's own default (scram_iterations).
const scramIterations = 4096

func newPassword() string {
	raw := make([]byte, passwordBytes)
	_, _ = rand.Read(raw) // never returns an error: it stops the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

// verifier is what PostgreSQL stores for a password (RFC 5803, RFC 7677). It
// is computed here so that the password itself is in no statement, and so in
// no server log.
func verifier(password string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive the password's verifier: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
