package terraform

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Masked stands where a secret was.
const Masked = "(sensitive)"

// shortestSecret is the fewest bytes that are looked for inside other text.
// Shorter values would hide half of every line and still give themselves away.
const shortestSecret = 6

var (
	// urlPassword finds the password of a connection string; it reaches to the
	// last @ of the word, because drivers accept an @ in passwords.
	urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@"']*):[^\s"']*@`)
	// pairPassword finds it in the key=value form, and in what looks like it.
	pairPassword = regexp.MustCompile(`(?i)\b((?:[a-z0-9_]*_)?(?:password|passwd|pwd|secret|secret_key|access_key|api_key|auth_token|token)\s*=\s*)(?:\\?"[^"]*"|'[^']*'|[^\s,;"']+)`)
)

// Redactor hides known secrets, and the passwords of connection strings, in
// text for people. It may be used from many goroutines; secrets can be added at
// any time. The zero value knows no secret.
type Redactor struct {
	mu     sync.RWMutex
	exact  map[string]bool // whole values, of any length
	inside []string        // longest first, so that no part of one is left over
}

// Add makes every text, number and member of value a secret: the values of
// maps and lists, not their keys or booleans.
func (r *Redactor) Add(value any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.exact == nil {
		r.exact = map[string]bool{}
	}
	before := len(r.exact)
	r.add(value)
	if len(r.exact) == before {
		return
	}
	slices.SortFunc(r.inside, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	r.inside = slices.Compact(r.inside)
}

// inherit makes the secrets of another redactor ours as well.
func (r *Redactor) inherit(from *Redactor) {
	from.mu.RLock()
	defer from.mu.RUnlock()
	for secret := range from.exact {
		r.Add(secret)
	}
}

func (r *Redactor) add(value any) {
	switch v := value.(type) {
	case nil, bool:
	case string:
		r.addText(v)
	case map[string]any:
		for _, member := range v {
			r.add(member)
		}
	case []any:
		for _, member := range v {
			r.add(member)
		}
	default:
		r.addText(fmt.Sprint(v))
	}
}

func (r *Redactor) addText(secret string) {
	if secret == "" || r.exact[secret] {
		return
	}
	r.exact[secret] = true
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), quoted(secret, true), quoted(secret, false)}
	if len(secret) >= shortestSecret {
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)))
	}
	for _, form := range forms {
		if len(form) >= shortestSecret {
			r.inside = append(r.inside, form)
		}
	}
	if lines := strings.FieldsFunc(secret, func(c rune) bool { return c == '\n' || c == '\r' }); len(lines) > 1 {
		for _, line := range lines {
			r.addText(strings.TrimSpace(line)) // a log shows a key file line by line
		}
	}
	if parsed, err := url.Parse(secret); err == nil && parsed.User != nil {
		if password, ok := parsed.User.Password(); ok {
			r.addText(password)
		}
	}
}

// quoted is secret as it stands between the quotes of a JSON text.
func quoted(secret string, escapeHTML bool) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(escapeHTML)
	if encoder.Encode(secret) != nil {
		return ""
	}
	return strings.Trim(strings.TrimSpace(b.String()), `"`)
}

// Text is text without secrets.
func (r *Redactor) Text(text string) string {
	r.mu.RLock()
	for _, secret := range r.inside {
		if len(secret) <= len(text) {
			text = strings.ReplaceAll(text, secret, Masked)
		}
	}
	r.mu.RUnlock()
	text = urlPassword.ReplaceAllString(text, "${1}:"+Masked+"@")
	return pairPassword.ReplaceAllStringFunc(text, func(found string) string {
		parts := pairPassword.FindStringSubmatch(found)
		return parts[1] + Masked
	})
}

// Value is value without secrets: each text in it is treated as by Text, and a
// number of six digits or more that is a secret becomes Masked.
func (r *Redactor) Value(value any) any {
	switch v := value.(type) {
	case nil, bool:
		return v
	case string:
		return r.Text(v)
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, member := range v {
			clean[r.Text(key)] = r.Value(member)
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for i, member := range v {
			clean[i] = r.Value(member)
		}
		return clean
	default:
		if text := fmt.Sprint(v); len(text) >= shortestSecret && r.isSecret(text) {
			return Masked
		}
		return v
	}
}

// Finds reports whether a secret of at least six bytes stands anywhere in value.
func (r *Redactor) Finds(value any) bool {
	switch v := value.(type) {
	case nil, bool:
		return false
	case string:
		r.mu.RLock()
		defer r.mu.RUnlock()
		return slices.ContainsFunc(r.inside, func(secret string) bool { return strings.Contains(v, secret) })
	case map[string]any:
		for key, member := range v {
			if r.Finds(key) || r.Finds(member) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(v, r.Finds)
	default:
		return r.Finds(fmt.Sprint(v))
	}
}

func (r *Redactor) isSecret(text string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.exact[text]
}
