package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// legible is nil when path and query are text: what is none the database would
// not take, and a part that cannot be read would be left out without a word.
func legible(u *url.URL) error {
	path, bad := url.PathUnescape(u.EscapedPath())
	query, err := url.ParseQuery(u.RawQuery)
	text := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	fine := bad == nil && err == nil && text(path)
	for name, values := range query {
		fine = fine && text(name) && !slices.ContainsFunc(values, func(v string) bool { return !text(v) })
	}
	if !fine {
		return provision.Errorf(provision.Invalid, "the path or the query holds what is no text: send it percent-encoded, in UTF-8 and without U+0000")
	}
	return nil
}

func parseID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 { // Parse also takes braces, urn: and no hyphens
		return uuid.Nil, provision.Errorf(provision.Invalid, "the id %s is not a UUID", quoted(text))
	}
	return id, nil
}

// idempotencyKey is the caller's name for its ask. required says what a missing
// one means.
func idempotencyKey(r *http.Request, required bool) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		if required {
			return "", provision.Errorf(provision.Invalid, "the header Idempotency-Key is missing; send a new one for each ask, and the same one to repeat it")
		}
		return "", nil
	}
	key := values[0]
	printable := func(r rune) bool { return r >= ' ' && r <= '~' }
	if len(values) > 1 || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return !printable(r) }) {
		return "", provision.Errorf(provision.Invalid, "the header Idempotency-Key must be given once, with at most 255 printable characters")
	}
	return key, nil
}

// page reads cursor and limit.
func page(q url.Values) (cursor string, limit int, err error) {
	cursor = q.Get("cursor")
	if len(cursor) > 512 {
		return "", 0, provision.Errorf(provision.Invalid, "cursor is not one that a list gave")
	}
	if !q.Has("limit") {
		return cursor, 50, nil
	}
	limit, err = strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		return "", 0, provision.Errorf(provision.Invalid, "limit is %s; it must be from 1 to 100", quoted(q.Get("limit")))
	}
	return cursor, limit, nil
}

// owners is the filter for one owner, nil when none is asked for.
func owners(q url.Values) []string {
	if owner := q.Get("owner"); owner != "" {
		return []string{provision.OwnerRef(owner)}
	}
	return nil
}

// states reads state, which may be repeated or separated by commas.
func states(q url.Values) ([]provision.State, error) {
	var wanted []provision.State
	for _, value := range q["state"] {
		for name := range strings.SplitSeq(value, ",") {
			if name == "" {
				continue
			}
			if !slices.Contains(provision.States(), provision.State(name)) {
				return nil, provision.Errorf(provision.Invalid, "there is no state %s; there are %s", quoted(name), stateNames())
			}
			wanted = append(wanted, provision.State(name))
		}
	}
	return wanted, nil
}

func stateNames() string {
	var names []string
	for _, s := range provision.States() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// after is where a stream or a page of it goes on: Last-Event-ID, else the
// parameter after, else 0.
func after(r *http.Request) (int64, error) {
	for _, text := range []string{r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")} {
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return 0, provision.Errorf(provision.Invalid, "%s is not a position in the stream", quoted(text))
		}
		return n, nil
	}
	return 0, nil
}

// prefers is the media type among offered that Accept names first, else the
// first offered. Weights are not read: no client of ours sends them.
func prefers(r *http.Request, offered ...string) string {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, _, _ := strings.Cut(part, ";")
		if kind = strings.ToLower(strings.TrimSpace(kind)); slices.Contains(offered, kind) {
			return kind
		}
	}
	return offered[0]
}
