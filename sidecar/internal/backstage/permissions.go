package backstage

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// permissionsFresh is how long the policy's word is believed.
const permissionsFresh = 10 * time.Second

// Permissions asks Backstage's permission policy what a user may do. It may be
// used from many goroutines.
type Permissions struct {
	caller
	now    func() time.Time
	flight singleflight.Group
	kept   *cache[ruling]
}

// ruling is what the policy has said of a user.
type ruling struct {
	allowed bool
	user    string
}

// NewPermissions finds the permission plugin by discovery and signs with signer.
func NewPermissions(discovery *Discovery, signer *Signer) *Permissions {
	return &Permissions{caller: newCaller(discovery, signer), now: time.Now, kept: newCache[ruling](maxCached)}
}

// Permitted is nil when the policy lets the sender of an Authorization header
// do something, as it said at most 10 s ago. The header must have been
// authenticated. Where the policy denies it, or answers with conditions, it is
// Denied; while it cannot be asked, Unavailable. A plugin on nobody's behalf and
// a user whom Backstage does not know are not asked about. It blocks on
// Backstage for at most some seconds.
func (s *Permissions) Permitted(ctx context.Context, authorization string, p provision.Permission) error {
	key := digest(sha256.Sum256([]byte(authorization + "\n" + p.Name)))
	said, known := s.kept.get(key, s.now())
	if !known {
		var err error
		if said, err = s.ask(ctx, key, authorization, p); err != nil {
			return err
		}
	}
	if !said.allowed {
		return provision.Errorf(provision.Denied, "the portal's permission policy does not let %s do this (%s); ask whoever runs the portal", said.user, p.Name)
	}
	return nil
}

// ask is what the policy says now; those who ask the same at once share an answer.
func (s *Permissions) ask(ctx context.Context, key digest, authorization string, p provision.Permission) (ruling, error) {
	user, expires, err := onBehalfOf(authorization)
	if err != nil || user.raw == "" {
		return ruling{allowed: err == nil}, err
	}
	answer := s.flight.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		allowed, err := s.decide(ctx, user.raw, expires, p)
		said := ruling{allowed, user.claim("sub")}
		if err == nil {
			now := s.now()
			s.kept.put(key, said, now, now.Add(permissionsFresh))
		}
		return said, err
	})
	select {
	case <-ctx.Done():
		return ruling{}, provision.Unreachable("Backstage's permission policy", ctx.Err())
	case got := <-answer:
		if got.Err != nil {
			return ruling{}, provision.Unreachable("Backstage's permission policy", got.Err)
		}
		return got.Val.(ruling), nil
	}
}

// decide asks the policy for the user whose limited token is given.
func (s *Permissions) decide(ctx context.Context, limited string, expires time.Time, p provision.Permission) (bool, error) {
	token, err := s.signer.tokenFor("permission", limited, expires)
	if err != nil {
		return false, err
	}
	attributes := map[string]string{}
	if p.Action != "" {
		attributes["action"] = p.Action
	}
	question := map[string]any{"items": []any{map[string]any{
		"id": "1", "permission": map[string]any{"type": "basic", "name": p.Name, "attributes": attributes},
	}}}
	status, body, err := s.post(ctx, "permission", "/authorize", token, question)
	if err != nil {
		return false, err
	}
	if status != http.StatusOK {
		return false, fmt.Errorf("the permission plugin answered %d", status)
	}
	var answer struct {
		Items []struct {
			ID     string `json:"id"`
			Result string `json:"result"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Items) != 1 || answer.Items[0].ID != "1" {
		return false, fmt.Errorf("the permission plugin did not answer the question: %.200s", body)
	}
	return answer.Items[0].Result == "ALLOW", nil
}

// onBehalfOf is the limited token of the user who sent an Authorization header,
// alone or through a plugin, and when it ends; the zero value for whom
// Backstage does not know as a user.
func onBehalfOf(authorization string) (limited unverified, expires time.Time, err error) {
	raw, err := bearerToken(authorization)
	if err != nil {
		return unverified{}, time.Time{}, err
	}
	t, err := parse(raw)
	if err != nil {
		return unverified{}, time.Time{}, err
	}
	if t.typ == typPlugin {
		carried, ok := t.claims["obo"].(string)
		if !ok {
			return unverified{}, time.Time{}, nil
		}
		if t, err = parse(carried); err != nil {
			return unverified{}, time.Time{}, err
		}
	}
	if t.typ != typUser && t.typ != typLimited {
		return unverified{}, time.Time{}, nil
	}
	if t, err = limit(t); err != nil {
		return unverified{}, time.Time{}, err
	}
	ends, err := t.claims.GetExpirationTime()
	if err != nil || ends == nil {
		return unverified{}, time.Time{}, refused("Illegal token")
	}
	return t, ends.Time, nil
}

// limit derives a user's limited token, which may be passed on where the user's
// own may not: three claims of it, under the signature that the claim uip
// carries. The order of the members is what was signed.
func limit(t unverified) (unverified, error) {
	proof := t.claim("uip")
	if t.typ != typUser || proof == "" {
		return t, nil
	}
	header, err := json.Marshal(struct {
		Typ string `json:"typ"`
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}{typLimited, t.alg, t.kid})
	if err != nil {
		return unverified{}, fmt.Errorf("encode the header of a limited token: %w", err)
	}
	payload, err := json.Marshal(struct {
		Sub any `json:"sub"`
		Iat any `json:"iat"`
		Exp any `json:"exp"`
	}{t.claims["sub"], t.claims["iat"], t.claims["exp"]})
	if err != nil {
		return unverified{}, fmt.Errorf("encode the claims of a limited token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return parse(encode(header) + "." + encode(payload) + "." + proof)
}
