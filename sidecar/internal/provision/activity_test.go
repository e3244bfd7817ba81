package provision_test

import (
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// idle is an instance whose checks measure it once a day.
type idle struct {
	t      *testing.T
	rule   provision.ActivityRule
	now    time.Time
	record *provision.DriftRecord
	told   []string
}

func newIdle(t *testing.T, rule provision.ActivityRule) *idle {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	instance := provision.Instance{ID: provision.NewID(), Name: "orders", State: provision.Ready, Owner: "group:default/shop"}
	return &idle{t, rule, now, provision.NewDriftRecord(instance, provision.DriftCheck{}, false, provision.NewID(), now), nil}
}

// read measures after a while and answers what is known then.
func (i *idle) read(after time.Duration, reading provision.Reading) provision.ActivityState {
	i.t.Helper()
	i.now = i.now.Add(after)
	known := i.record.Activity
	i.record = provision.NewDriftRecord(i.record.Instance, provision.DriftCheck{}, false, provision.NewID(), i.now)
	i.record.Activity = known
	if err := i.record.Claim("w1", "digest", time.Minute); err != nil {
		i.t.Fatal(err)
	}
	i.record.Measure(&i.rule, &reading)
	for _, e := range i.record.Events() {
		i.told = append(i.told, e.Entity+"."+e.Verb)
	}
	return i.record.Activity.State()
}

func count(total float64) provision.Reading { return provision.Reading{Total: &total, Since: "a"} }

const day = 24 * time.Hour

var connections = provision.ActivityRule{Kind: "sql", Counts: "connections", Days: 30}

func TestNoConnectionInThirtyDaysIsUnusedAndOneMakesItUsed(t *testing.T) {
	i := newIdle(t, connections)
	for n := range 30 {
		if got := i.read(day, count(5)); got != provision.Measuring {
			t.Fatalf("on day %d it is %s, want measuring: nobody can know yet", n, got)
		}
	}
	if got := i.read(day, count(5)); got != provision.Unused || i.record.Activity.Reason != "no connections in 30 days" {
		t.Fatalf("after 30 days without a connection it is %s: %q", got, i.record.Activity.Reason)
	}
	if got := i.read(day, count(6)); got != provision.Used {
		t.Errorf("after a connection it is %s", got)
	}
	for range 29 {
		if got := i.read(day, count(6)); got != provision.Used {
			t.Fatalf("%s after its last use it is %s", i.now.Sub(i.record.Activity.UsedAt), got)
		}
	}
	i.read(day, count(6))
	if got := i.read(day, count(6)); got != provision.Unused {
		t.Errorf("31 days after its last use it is %s", got)
	}
}

func TestWhatWasNotMeasuredIsNeverUnused(t *testing.T) {
	quiet := func(i *idle, days int) (last provision.ActivityState) {
		for range days {
			last = i.read(day, count(5))
		}
		return last
	}
	for name, tt := range map[string]struct {
		then func(*idle) provision.ActivityState
		want provision.ActivityState
	}{
		"a count that fell":                {func(i *idle) provision.ActivityState { return i.read(day, count(0)) }, provision.Measuring},
		"a count that began anew":          {func(i *idle) provision.ActivityState { r := count(5); r.Since = "b"; return i.read(day, r) }, provision.Measuring},
		"a try that failed":                {func(i *idle) provision.ActivityState { return i.read(day, provision.Reading{Failure: "away"}) }, provision.NotMeasured},
		"a session that stays open":        {func(i *idle) provision.ActivityState { r := count(5); r.Current = 1; return i.read(day, r) }, provision.Used},
		"a month unseen, and used in that": {func(i *idle) provision.ActivityState { return i.read(40*day, count(9)) }, provision.Used},
		"a month unseen, the count stood":  {func(i *idle) provision.ActivityState { return i.read(40*day, count(5)) }, provision.Unused},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIdle(t, connections)
			if got := quiet(i, 32); got != provision.Unused {
				t.Fatalf("before it is %s", got)
			}
			if got := tt.then(i); got != tt.want {
				t.Errorf("then it is %s, want %s", got, tt.want)
			}
		})
	}
	if got := (provision.Activity{}).State(); got != provision.NotMeasured {
		t.Errorf("what was never measured is %s", got)
	}
}

func TestAnAverageBelowTheLimitOverSevenDaysIsUnused(t *testing.T) {
	limit := 5.0
	rule := provision.ActivityRule{Kind: "prometheus", Counts: "CPU use (%)", Days: 7, Below: &limit}
	load := func(value float64) provision.Reading { return provision.Reading{Current: value} }
	i := newIdle(t, rule)
	for range 8 {
		i.read(day, load(4.5))
	}
	if got := i.read(day, load(4.5)); got != provision.Unused || i.record.Activity.Reason != "CPU use (%) averaged 4.5 over 7 days, below 5" {
		t.Errorf("at 4.5 of 5 it is %s: %q", got, i.record.Activity.Reason)
	}
	if got := i.read(day, load(12)); got != provision.Used {
		t.Errorf("with a busy day, an average of 5.4, it is %s", got)
	}
	i = newIdle(t, rule)
	for range 9 {
		i.read(day, load(5))
	}
	if got := i.record.Activity.State(); got != provision.Used {
		t.Errorf("exactly at the limit it is %s", got)
	}
	i = newIdle(t, rule)
	for range 9 {
		i.read(day, load(1))
	}
	if got := i.read(4*day, load(1)); got == provision.Unused {
		t.Error("with four days missing it is unused all the same")
	}
}

func TestAnAnswerKeepsQuietUntilItsDateAndEndsWithUse(t *testing.T) {
	i := newIdle(t, connections)
	answer := provision.ActivityAnswer{Kind: "needed", Until: i.now.Add(60 * day), By: "user:default/ann", Reason: "the sale"}
	if err := i.record.AnswerUnused(answer); provision.KindOf(err) != provision.Conflict {
		t.Errorf("an answer for what is not unused: %v, want a conflict", err)
	}
	for range 32 {
		i.read(day, count(5))
	}
	for _, until := range []time.Time{i.now, i.now.Add(367 * day)} {
		wrong := answer
		wrong.Until = until
		if err := i.record.AnswerUnused(wrong); provision.KindOf(err) != provision.Invalid {
			t.Errorf("an answer until %s: %v, want invalid", until, err)
		}
	}
	i.record.Activity.ToldAt = i.now
	if err := i.record.AnswerUnused(answer); err != nil {
		t.Fatal(err)
	}
	if a := i.record.Activity; !a.Quiet(i.now) || a.Quiet(answer.Until) || !a.ToldAt.IsZero() {
		t.Errorf("answered, it is %+v", a)
	}
	i.read(day, count(5))
	if i.record.Activity.Answer == nil || len(i.told) != 0 {
		t.Errorf("a check without use drops the answer or tells %v", i.told)
	}
	i.read(day, count(6))
	if i.record.Activity.Answer != nil || len(i.told) != 1 || i.told[0] != "unused.resolved" {
		t.Errorf("used again, the answer is %+v and was told %v", i.record.Activity.Answer, i.told)
	}
}
