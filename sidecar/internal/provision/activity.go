package provision

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ActivityRule is how an offering's implementation measures whether anybody
// uses an instance.
type ActivityRule struct {
	Kind       string   `json:"kind"`                 // sql, prometheus or cloudwatch
	Connection string   `json:"connection,omitempty"` // the worker's environment variable with the server: a PostgreSQL address, or Prometheus' URL; "" for cloudwatch
	Query      string   `json:"query"`                // $1, $2, … are the arguments
	Arguments  []string `json:"arguments,omitempty"`  // "<output>", or "<output>.<member>", of the instance
	Counts     string   `json:"counts"`               // what is counted, such as "connections"
	Days       int      `json:"days"`                 // unused after so many days
	Below      *float64 `json:"below,omitempty"`      // unused when the average is below; nil: when there was none at all
}

// mostPause is how long a measure of the moment may be missing before the days
// before it count for nothing. What a counter has missed it still knows.
const mostPause = 72 * time.Hour

// Reading is what a worker has measured: a count that only grows, the value of
// the moment, or both.
type Reading struct {
	Total   *float64 `json:"total,omitempty"`
	Since   string   `json:"since,omitempty"` // from when Total counts; another text means that it began anew
	Current float64  `json:"current"`
	Failure string   `json:"failure,omitempty"` // why it could not be measured; "" when it could
}

// Sample is one day's activity.
type Sample struct {
	Day   time.Time `json:"day"` // its start, UTC
	Value float64   `json:"value"`
}

// ActivityState is what is known of an instance's use.
type ActivityState string

// The states. What cannot be measured is never unused.
const (
	NotMeasured ActivityState = "not_measured" // nothing measures it, or the newest try failed
	Measuring   ActivityState = "measuring"    // not for long enough to say
	Used        ActivityState = "used"
	Unused      ActivityState = "unused"
)

// Activity is what is known of the use of one instance. The zero value is of one
// that was never measured.
type Activity struct {
	Since       time.Time       `json:"since"`       // measured without a gap from then on
	MeasuredAt  time.Time       `json:"measured_at"` // the newest that told something
	UsedAt      time.Time       `json:"used_at"`     // when use was last seen; zero: never
	Samples     []Sample        `json:"samples"`     // of the days that count, the newest last
	Last        *Reading        `json:"last,omitempty"`
	Failure     string          `json:"failure,omitempty"`
	UnusedSince time.Time       `json:"unused_since"` // when it was found unused; zero: it is not
	Reason      string          `json:"reason,omitempty"`
	Answer      *ActivityAnswer `json:"answer,omitempty"`
	ToldAt      time.Time       `json:"told_at"` // when its owner was told; zero: not of this time
}

// ActivityAnswer is what its owner says to an instance's being unused.
type ActivityAnswer struct {
	Kind   string    `json:"kind"` // snooze or needed
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// State is what the activity says.
func (a Activity) State() ActivityState {
	switch {
	case a.MeasuredAt.IsZero() || a.Failure != "":
		return NotMeasured
	case !a.UnusedSince.IsZero():
		return Unused
	case a.UsedAt.Before(a.Since) || a.UsedAt.IsZero():
		return Measuring
	}
	return Used
}

// Quiet reports whether an answer keeps the owner from being told at now.
func (a Activity) Quiet(now time.Time) bool { return a.Answer != nil && a.Answer.Until.After(now) }

// add takes a reading into account; used says that there was some use.
func (a *Activity) add(rule ActivityRule, r Reading, now time.Time) (used bool) {
	if a.Failure = r.Failure; r.Failure != "" {
		a.UnusedSince, a.Reason = time.Time{}, ""
		return false
	}
	value, last := r.Current, a.Last
	switch {
	case a.MeasuredAt.IsZero(), r.Total == nil && now.Sub(a.MeasuredAt) > mostPause:
		a.restart(now)
	case r.Total == nil:
	case last == nil || last.Total == nil || last.Since != r.Since || *r.Total < *last.Total:
		a.restart(now) // what the count has lost, nobody can tell
	default:
		value = max(value, *r.Total-*last.Total)
	}
	a.MeasuredAt, a.Last = now, &r
	a.sample(rule, value, now)
	a.Reason = a.idle(rule, now)
	if used = value > 0; rule.Below != nil {
		used = value >= *rule.Below && a.Reason == "" // one busy hour is no use of a week
	}
	if used {
		a.UsedAt = now
	}
	if a.Reason == "" {
		a.UnusedSince = time.Time{}
	} else if a.UnusedSince.IsZero() {
		a.UnusedSince = now
	}
	return used
}

func (a *Activity) restart(now time.Time) { a.Since, a.Samples = now, nil }

// sample keeps one value a day: the sum of a count, the most of a moment's. Days
// that have left the rule's window go.
func (a *Activity) sample(rule ActivityRule, value float64, now time.Time) {
	const day = 24 * time.Hour
	today := now.UTC().Truncate(day)
	begin := now.AddDate(0, 0, -rule.Days)
	// A copy: whoever has read the record compares it with what it was.
	a.Samples = slices.DeleteFunc(slices.Clone(a.Samples), func(s Sample) bool { return !s.Day.Add(day).After(begin) })
	last := len(a.Samples) - 1
	switch {
	case last < 0 || !a.Samples[last].Day.Equal(today):
		a.Samples = append(a.Samples, Sample{today, value})
	case rule.Below == nil:
		a.Samples[last].Value += value
	default:
		a.Samples[last].Value = max(a.Samples[last].Value, value)
	}
}

// idle is why the instance is unused, "" when it is used or when that cannot be
// told.
func (a *Activity) idle(rule ActivityRule, now time.Time) string {
	if a.Since.After(now.AddDate(0, 0, -rule.Days)) {
		return ""
	}
	sum := 0.0
	for _, s := range a.Samples {
		sum += s.Value
	}
	if rule.Below == nil {
		if sum > 0 {
			return ""
		}
		return fmt.Sprintf("no %s in %s", rule.Counts, days(rule.Days))
	}
	average := sum / float64(len(a.Samples)) // the newest is always there
	if average >= *rule.Below {
		return ""
	}
	return fmt.Sprintf("%s averaged %s over %s, below %s", rule.Counts, short(average), days(rule.Days), short(*rule.Below))
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return strconv.Itoa(n) + " days"
}

func short(f float64) string { return strconv.FormatFloat(f, 'g', 3, 64) }

// Measure takes into account what the check in hand has measured; nil is nothing
// to measure. Call it before Finish. What a request came in between is dropped.
func (r *DriftRecord) Measure(rule *ActivityRule, reading *Reading) {
	if rule == nil || reading == nil || r.moved() {
		return
	}
	told := !r.Activity.ToldAt.IsZero() || r.Activity.Answer != nil
	if !r.Activity.add(*rule, *reading, r.now) {
		return
	}
	r.Activity.ToldAt, r.Activity.Answer = time.Time{}, nil
	if told {
		r.tell("unused", "resolved", map[string]any{"used_at": r.now})
	}
}

// mostQuiet is how long an answer may keep an instance from being told of.
const mostQuiet = 366 * 24 * time.Hour

// AnswerUnused has its owner told nothing of the unused instance until a date,
// after which it is news again if it is still unused.
func (r *DriftRecord) AnswerUnused(answer ActivityAnswer) error {
	switch {
	case r.Activity.State() != Unused:
		return Errorf(Conflict, "%s is not unused; there is nothing to answer", r.Instance.Name)
	case r.Instance.State.Gone():
		return Errorf(Conflict, "%s is gone", r.Instance.Name)
	case !answer.Until.After(r.now) || answer.Until.Sub(r.now) > mostQuiet:
		return Errorf(Invalid, "until must be a time that is still to come, at most a year from now")
	}
	answer.At = r.now
	r.Activity.Answer, r.Activity.ToldAt = &answer, time.Time{}
	r.tell("unused", "answered", map[string]any{"answer": answer.Kind, "until": answer.Until, "by": answer.By, "reason": answer.Reason})
	return nil
}

// UnusedInstance is an instance that is unused, and since when and why.
type UnusedInstance struct {
	Instance Instance
	Activity Activity
}

// Saves is what destroying it saves a month; what has no known price saves
// nothing that can be promised.
func (u UnusedInstance) Saves() Money {
	if u.Instance.MonthlyCost == nil {
		return 0
	}
	return *u.Instance.MonthlyCost
}

// mostTold is how many unused instances one message lists.
const mostTold = 50

// TellUnused is the event that tells an owner of all their unused instances at
// once, with what destroying them would save. It is told on the first, whose
// sequence it takes; found has one owner and is not empty.
func TellUnused(found []UnusedInstance, now time.Time) Event {
	items := []map[string]any{}
	saving := Money(0)
	for n, f := range found {
		saving += f.Saves()
		if n < mostTold {
			items = append(items, map[string]any{
				"type": f.Instance.Offering, "id": f.Instance.ID, "name": f.Instance.Name, "environment": f.Instance.Environment,
				"reason": f.Activity.Reason, "monthly_cost": f.Saves(), "owner": f.Instance.Owner,
			})
		}
	}
	first := found[0].Instance
	return Event{
		ID: NewID(), Entity: "unused", Verb: "found", SubjectID: first.ID, Sequence: first.Sequence + 1,
		Environment: first.Environment, At: now,
		Data: map[string]any{
			"name": first.Name, "offering": first.Offering, "owner": first.Owner,
			"count": len(found), "monthly_saving": saving, "items": items,
		},
	}
}
