package provision

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
)

// DriftSubject is who asks for the checks that nobody asked for.
const DriftSubject = "system:drift"

// mostDifferences is how many differences of one instance are kept.
const mostDifferences = 50

// DriftRules are what an offering says of drift.
type DriftRules struct {
	Ignore []string          `json:"ignore,omitempty"` // "<type>.<attribute>": differences that mean nothing
	Adopt  map[string]string `json:"adopt,omitempty"`  // "<type>.<attribute>" to the parameter, or "<parameter>.<member>", whose value it is
}

// Drift is what a check found different from what was asked for. An instance
// that is as it was asked for has none.
type Drift struct {
	Cause       string       `json:"cause"`      // hash of the causes of its differences
	Generation  int64        `json:"generation"` // of the instance, when it was checked
	Differences []Difference `json:"differences"`
	More        int          `json:"more,omitempty"` // how many more there are than are kept
	FirstSeen   time.Time    `json:"first_seen"`     // of this cause
	LastSeen    time.Time    `json:"last_seen"`
	Suppressed  *Suppression `json:"suppressed,omitempty"`
}

// Suppression hides a cause from those whom it concerns until a date.
type Suppression struct {
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Hidden reports whether somebody wants to hear nothing of the drift at now.
func (d Drift) Hidden(now time.Time) bool {
	return d.Suppressed != nil && d.Suppressed.Until.After(now)
}

// DriftCheck is when an instance is checked, and the check in a worker's hands.
type DriftCheck struct {
	DueAt       time.Time // zero: no check is due
	AskedBy     string    // who wants the next check
	CheckedAt   time.Time // when one last told how the instance is; zero: never
	Failure     string    // why the newest check could not tell; "" when it could
	Worker      string    // "" when no worker is at it, as are all that follow
	TokenDigest string
	Generation  int64 // the instance's at the claim: what was found counts only while it is the same
	Fence       int64
	ExpiresAt   time.Time
}

// Running reports whether a worker is checking at now.
func (c DriftCheck) Running(now time.Time) bool { return c.Worker != "" && c.ExpiresAt.After(now) }

// release takes the check out of its worker's hands.
func (c *DriftCheck) release() {
	c.Worker, c.TokenDigest, c.ExpiresAt, c.Generation, c.Fence = "", "", time.Time{}, 0, 0
}

// DriftRecord is an instance with its check, read under a lock and written back
// whole, as a Record is for a request. A check reads only: it raises no fencing
// token and holds nothing, and what it found is dropped when a request came in
// between.
type DriftRecord struct {
	Instance  Instance
	Check     DriftCheck
	Busy      bool      // a request on the instance has not ended
	AppliedBy uuid.UUID // the request whose run left the state; zero when there is no state
	Activity  Activity  // measured by the same checks
	events    []Event
	now       time.Time
}

// NewDriftRecord is what a store has read at the database's time now.
func NewDriftRecord(instance Instance, check DriftCheck, busy bool, appliedBy uuid.UUID, now time.Time) *DriftRecord {
	return &DriftRecord{Instance: instance, Check: check, Busy: busy, AppliedBy: appliedBy, now: now.UTC()}
}

// Events are what happened to the record since it was read, in order.
func (r *DriftRecord) Events() []Event { return r.events }

// Now is the database's time of the record.
func (r *DriftRecord) Now() time.Time { return r.now }

// Checkable is nil when the instance can be checked now, else a Conflict that
// says why not.
func (r *DriftRecord) Checkable() error {
	switch i := r.Instance; {
	case i.State != Ready:
		return Errorf(Conflict, "%s is %s; only what is ready is checked for drift", i.Name, i.State)
	case r.Busy:
		return Errorf(Conflict, "request %s on %s has not ended; a check would find what it is changing", i.RequestID, i.Name)
	case r.AppliedBy == uuid.Nil:
		return Errorf(Conflict, "%s has no state to check it against", i.Name)
	}
	return nil
}

// Ask makes a check due now. Repeating it changes nothing; while one runs
// another follows it.
func (r *DriftRecord) Ask(by string) error {
	if err := r.Checkable(); err != nil {
		return err
	}
	if r.Check.DueAt.IsZero() || r.Check.DueAt.After(r.now) {
		r.Check.DueAt, r.Check.AskedBy = r.now, by
	}
	return nil
}

// Claim gives the check to a worker for lease. It is a Conflict when another
// has it or the instance cannot be checked.
func (r *DriftRecord) Claim(worker, tokenDigest string, lease time.Duration) error {
	if err := r.Checkable(); err != nil {
		return err
	}
	if r.Check.Running(r.now) {
		return Errorf(Conflict, "worker %s is checking %s", r.Check.Worker, r.Instance.Name)
	}
	c := &r.Check
	c.Worker, c.TokenDigest, c.ExpiresAt = worker, tokenDigest, r.now.Add(lease)
	c.Generation, c.Fence = r.Instance.Generation, r.Instance.Fence
	c.DueAt = time.Time{} // whoever asks from now on wants another
	return nil
}

// Postpone puts a check off by every, which is 0 for never.
func (r *DriftRecord) Postpone(every time.Duration) {
	r.Check.release()
	r.Check.AskedBy, r.Check.DueAt = DriftSubject, time.Time{}
	if every > 0 {
		r.Check.DueAt = r.now.Add(every)
	}
}

// Finish ends the check in hand: found is what it found different, failure why
// it could not tell. counted is false when a request came in between; then
// nothing is learned and the check is due again.
func (r *DriftRecord) Finish(found []Difference, failure string, every time.Duration) (counted bool) {
	c := &r.Check
	moved := r.moved()
	askedAgain := !c.DueAt.IsZero()
	c.release()
	if moved {
		c.DueAt = r.now
		return false
	}
	if !askedAgain {
		r.Postpone(every)
	}
	if c.Failure = failure; failure != "" {
		if !askedAgain && every > time.Hour {
			c.DueAt = r.now.Add(time.Hour)
		}
		return true
	}
	c.CheckedAt = r.now
	r.find(found)
	return true
}

// moved reports whether a request came in since the check was claimed.
func (r *DriftRecord) moved() bool {
	return r.Instance.Generation != r.Check.Generation || r.Instance.Fence != r.Check.Fence || r.Checkable() != nil
}

// find keeps what was found, and tells it only when its cause is another than
// before: the same drift is news once.
func (r *DriftRecord) find(found []Difference) {
	was := r.Instance.Drift
	if len(found) == 0 {
		if was != nil {
			r.Instance.Drift = nil
			r.tell("drift", "resolved", map[string]any{"cause": was.Cause, "first_seen": was.FirstSeen})
		}
		return
	}
	drift := &Drift{Cause: causeOf(found), Generation: r.Instance.Generation, Differences: found, FirstSeen: r.now, LastSeen: r.now}
	if len(found) > mostDifferences {
		drift.Differences, drift.More = found[:mostDifferences], len(found)-mostDifferences
	}
	known := was != nil && was.Cause == drift.Cause
	if known {
		drift.FirstSeen, drift.Suppressed = was.FirstSeen, was.Suppressed
	}
	ended := drift.Suppressed != nil && !drift.Hidden(r.now)
	if ended {
		drift.Suppressed = nil
	}
	r.Instance.Drift = drift
	if !known || ended {
		r.tell("drift", "detected", map[string]any{
			"cause": drift.Cause, "differences": drift.Differences, "more": drift.More, "first_seen": drift.FirstSeen,
		})
	}
}

// Suppress hides the instance's drift of cause until a date; another cause is
// told all the same. By then it is told again if it is still there.
func (r *DriftRecord) Suppress(cause string, s Suppression) error {
	drift := r.Instance.Drift
	switch {
	case drift == nil:
		return Errorf(Conflict, "%s has no drift to suppress", r.Instance.Name)
	case cause != "" && cause != drift.Cause:
		return Errorf(Conflict, "the drift of %s is another one by now; look at it again", r.Instance.Name)
	case !s.Until.After(r.now):
		return Errorf(Invalid, "until must be a time that is still to come")
	}
	s.At = r.now
	hidden := *drift
	hidden.Suppressed = &s
	r.Instance.Drift = &hidden
	r.tell("drift", "suppressed", map[string]any{"cause": drift.Cause, "until": s.Until, "by": s.By, "reason": s.Reason})
	return nil
}

func (r *DriftRecord) tell(entity, verb string, data map[string]any) {
	i := &r.Instance
	i.Sequence++
	i.UpdatedAt = r.now
	data["name"], data["offering"], data["owner"] = i.Name, i.Offering, i.Owner
	r.events = append(r.events, Event{
		ID: NewID(), Entity: entity, Verb: verb, SubjectID: i.ID, Sequence: i.Sequence,
		Environment: i.Environment, At: r.now, Data: data,
	})
}

// causeOf is the cause of all differences together, whatever their order.
func causeOf(found []Difference) string {
	causes := make([]string, len(found))
	for i, d := range found {
		causes[i] = d.Cause
	}
	slices.Sort(causes)
	return digestOf(slices.Compact(causes)...)
}

// digestOf is a short hash of texts, each apart from the next.
func digestOf(texts ...string) string {
	sum := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(sum, "%d:", len(text))
		_, _ = io.WriteString(sum, text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// byAddress orders differences for people.
func byAddress(a, b Difference) int {
	return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Attribute, b.Attribute))
}
