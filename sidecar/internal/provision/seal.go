package provision

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// sealedKey marks a sealed parameter's value: {"sealed": "<base64 of age>"}.
const sealedKey = "sealed"

// seal replaces sensitive values by what only the pool's workers and the
// sidecar can open. While someone types nothing is kept, so nothing is sealed:
// the value is dropped.
func (s *Service) seal(o Offering, pool string, parameters Parameters, stage Stage) (Parameters, error) {
	kept := Parameters{}
	for name, value := range parameters {
		kept[name] = value
		p, ok := o.Parameter(name)
		if !ok || !p.Sensitive {
			continue
		}
		if stage == StageForm {
			kept[name] = map[string]any{sealedKey: ""}
			continue
		}
		plain, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encode parameter %s: %w", name, err)
		}
		sealed, err := s.Keys.Seal(pool, plain)
		if err != nil {
			return nil, fmt.Errorf("seal parameter %s: %w", name, err)
		}
		kept[name] = SealedValue(sealed)
	}
	return kept, nil
}

// SealedValue is a parameter's value that is ciphertext; Sealed is its inverse.
func SealedValue(sealed []byte) any {
	return map[string]any{sealedKey: base64.StdEncoding.EncodeToString(sealed)}
}

// Sealed is the ciphertext of a sealed parameter value.
func Sealed(value any) ([]byte, bool) {
	member, ok := value.(map[string]any)
	if !ok || len(member) != 1 {
		return nil, false
	}
	text, ok := member[sealedKey].(string)
	if !ok {
		return nil, false
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	return sealed, err == nil
}

// unsealed is parameters as Judge and people see them: that a sensitive value
// is set, and nothing of it.
func unsealed(parameters Parameters) Parameters {
	seen := Parameters{}
	for name, value := range parameters {
		if _, ok := Sealed(value); ok {
			value = map[string]any{"set": true}
		}
		seen[name] = value
	}
	return seen
}

// Shown is the request's parameters for people: sensitive values only as set.
func (r Request) Shown() Parameters { return unsealed(r.Parameters) }

// Shown is the instance's parameters for people: sensitive values only as set.
func (i Instance) Shown() Parameters { return unsealed(i.Parameters) }
