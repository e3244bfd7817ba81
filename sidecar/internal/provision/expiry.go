package provision

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ExpirySubject is who asks for the end of what has expired.
const ExpirySubject = "system:expiry"

// ExpiryRules are what an offering says of how long its instances live.
type ExpiryRules struct {
	DefaultSeconds int64 `json:"default_seconds,omitempty"` // of what is asked for without an end; 0 is without end
	MaximumSeconds int64 `json:"maximum_seconds,omitempty"` // over its whole life, extensions included; 0 is no maximum
	GraceSeconds   int64 `json:"grace_seconds,omitempty"`   // how long what has expired is kept, and may still be extended
}

// longestWarning is how long before its end an instance's owner is told at most.
const longestWarning = 24 * time.Hour

// retryExpiry is how long after its end was asked for in vain it is asked again.
const retryExpiry = time.Hour

// ParseLifetime reads a whole number of minutes, hours or days: 90m, 24h, 7d.
// Anything else is Invalid; "" is 0.
func ParseLifetime(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	units := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	unit, known := units[text[len(text)-1:]]
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
	if !known || err != nil || n <= 0 || n > 1_000_000 {
		return 0, Errorf(Invalid, "%q is not how long something lives; give minutes, hours or days, such as 90m, 24h or 7d", text)
	}
	return time.Duration(n) * unit, nil
}

// LifetimeText is a lifetime as ParseLifetime reads it, seconds up to a minute.
func LifetimeText(d time.Duration) string {
	switch minutes := int64((d + time.Minute - 1) / time.Minute); {
	case minutes%(24*60) == 0:
		return fmt.Sprintf("%dd", minutes/(24*60))
	case minutes%60 == 0:
		return fmt.Sprintf("%dh", minutes/60)
	default:
		return fmt.Sprintf("%dm", minutes)
	}
}

// lifetime is how long an instance of the offering lives that is asked for with
// one; 0 asked is the offering's default. Above the maximum it is Invalid.
func (o Offering) lifetime(asked time.Duration) (time.Duration, error) {
	most := time.Duration(o.Expiry.MaximumSeconds) * time.Second
	if asked == 0 {
		asked = time.Duration(o.Expiry.DefaultSeconds) * time.Second
	}
	if most > 0 && asked > most {
		message := fmt.Sprintf("%s may live %s at most in all, not %s; ask for less, or for one without an end", o.Name, LifetimeText(most), LifetimeText(asked))
		return 0, &Error{Kind: Invalid, Message: message, Details: []Fault{{Path: "/expires_in", Message: message}}}
	}
	return asked, nil
}

// expire sets when an instance ends, from its beginning and its lifetime. It is
// warned of a quarter of that before, a day at most.
func (i *Instance) expire() {
	i.ExpiresAt, i.WarnAt, i.DestroyAt = nil, nil, nil
	if i.Lifetime == 0 {
		return
	}
	end := i.CreatedAt.Add(i.Lifetime)
	warn, destroy := end.Add(-min(longestWarning, i.Lifetime/4)), end.Add(i.Grace)
	i.ExpiresAt, i.WarnAt, i.DestroyAt = &end, &warn, &destroy
}

// Ended is an instance whose end is due, and its newest request.
type Ended struct{ InstanceID, RequestID uuid.UUID }

// Warn tells once that the instance nears its end.
func (r *Record) Warn() error {
	i := r.Instance
	if i == nil || i.State.Gone() || i.WarnAt == nil || i.WarnAt.After(r.now) {
		return nil
	}
	i.WarnAt = nil
	r.tell("instance", "expiring", i.ID, r.expiryData())
	return nil
}

// Expired tells that the end of an instance which has expired was asked for, or
// why it was not; without a request it is asked for again later, and so it is
// when the request fails.
func (r *Record) Expired(why string) error {
	i := r.Instance
	if i == nil || i.State.Gone() || i.DestroyAt == nil || i.DestroyAt.After(r.now) {
		return nil
	}
	again := r.now.Add(retryExpiry)
	i.DestroyAt = &again
	data := r.expiryData()
	if why != "" {
		data["reason"] = why
	}
	r.tell("instance", "expired", i.ID, data)
	return nil
}

// extend gives the instance the longer life that its request asked for.
func (r *Record) extend() {
	r.Instance.Lifetime = r.Request.Lifetime
	r.Instance.expire()
	r.tell("instance", "extended", r.Instance.ID, r.expiryData())
}

func (r *Record) expiryData() map[string]any {
	i := r.Instance
	data := map[string]any{
		"name": i.Name, "offering": i.Offering, "owner": i.Owner, "request": r.Request.ID,
		"lifetime_seconds": int64(i.Lifetime / time.Second), "expires_at": i.ExpiresAt.UTC(), "destroy_at": i.DestroyAt.UTC(),
	}
	if i.MonthlyCost != nil {
		data["monthly_cost"] = *i.MonthlyCost
	}
	return data
}

// extensionText is what an extension asks for, for its only step's name.
func extensionText(o Offering, instance Instance, by time.Duration) []StepDefinition {
	return []StepDefinition{
		{Name: "Validate request", Phase: "validate"},
		{Name: "Plan extension", Phase: "plan"},
		{Name: strings.TrimSpace("Keep " + instance.Name + " " + LifetimeText(by) + " longer"), Addresses: resourceAddresses(o)},
	}
}
