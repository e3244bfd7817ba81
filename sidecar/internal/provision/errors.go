package provision

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what a caller can do about an error.
type Kind int

// The kinds. The zero Kind is Internal, so that an error nobody classified is
// never shown to a person.
const (
	Internal        Kind = iota // a fault of ours; the caller sees "internal error"
	Invalid                     // the input breaks its contract; mend it and ask again
	Unauthenticated             // nobody we know is asking
	Denied                      // policy or authorisation says no
	NotFound                    // there is no such thing, or the caller may not know of it
	Conflict                    // the thing is not in a state that allows this
	Unavailable                 // something we depend on is down; ask again later
	Gone                        // a cursor or version that is no longer kept; start over
)

// String is the kind in lower case, for logs.
func (k Kind) String() string {
	switch k {
	case Invalid:
		return "invalid"
	case Unauthenticated:
		return "unauthenticated"
	case Denied:
		return "denied"
	case NotFound:
		return "not_found"
	case Conflict:
		return "conflict"
	case Unavailable:
		return "unavailable"
	case Gone:
		return "gone"
	default:
		return "internal"
	}
}

// Error is an error that may be shown to the person who asked. Message names
// the thing, the limit and the way out. Details is empty or has every fault at
// once; Findings is set on a denial, RequestID when the ask was stored.
type Error struct {
	Kind         Kind
	Message      string
	Details      []Fault
	Findings     []Finding
	Alternatives []Alternative // of a denial: what would be allowed, when that was found in time
	RequestID    string        // empty when nothing was stored
	RetryAfter   time.Duration // for Unavailable: when to ask again; 0 is the door's default
	cause        error
}

// Fault is one thing wrong with an input.
type Fault struct {
	Path    string `json:"path"` // JSON pointer into the input, "" for the whole
	Message string `json:"message"`
}

// Errorf makes an Error of a kind. A %w in format is kept as its cause.
func Errorf(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Unreachable says that a dependency is down: what is its name for a person.
// The cause is logged and never shown.
func Unreachable(what string, cause error) *Error {
	return &Error{Kind: Unavailable, Message: what + " cannot be reached right now; nothing was lost, ask again shortly", cause: cause}
}

// Error is the message and, for logs, the cause.
func (e *Error) Error() string {
	if e.cause != nil && e.Kind == Unavailable {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap is the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// KindOf is the kind of the first Error in err's chain; Internal when none is.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// withFaults is an Invalid error with more faults; of any other kind it stays
// what it is.
func withFaults(err error, more []Fault) error {
	all := &Error{Kind: Invalid}
	if err != nil {
		var shown *Error
		if !errors.As(err, &shown) || shown.Kind != Invalid {
			return err
		}
		*all = *shown
	}
	all.Details = append(slices.Clone(all.Details), more...)
	messages := []string{}
	if all.Message != "" {
		messages = append(messages, all.Message)
	}
	for _, f := range more {
		messages = append(messages, f.Message)
	}
	all.Message = strings.Join(messages, "; ")
	return all
}
