package provision_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestMeasureWindow(t *testing.T) {
	now := time.Date(2026, 3, 1, 1, 30, 0, 0, time.FixedZone("UTC+2", 2*3600)) // 28 February, 23:30 UTC
	w, err := provision.NewMeasureWindow(2, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"it begins at midnight UTC":                        {"2026-02-27T00:00:00Z", w.From.Format(time.RFC3339)},
		"it ends now":                                      {"2026-02-28T23:30:00Z", w.Until.Format(time.RFC3339)},
		"the one before begins as many days earlier":       {"2026-02-25T00:00:00Z", w.Before().From.Format(time.RFC3339)},
		"the one before ends as far into its own last day": {"2026-02-26T23:30:00Z", w.Before().Until.Format(time.RFC3339)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", name, pair[1], pair[0])
		}
	}
	for _, days := range []int{-1, 0, 367} {
		if _, err := provision.NewMeasureWindow(days, now); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%d days: %v, want them refused", days, err)
		}
	}
}

// card is a measure by name.
func card(t *testing.T, m provision.Measures, name string) provision.Measure {
	t.Helper()
	for _, c := range append(m.Cards, m.More...) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no measure %s", name)
	return provision.Measure{}
}

func TestMeasured(t *testing.T) {
	w, err := provision.NewMeasureWindow(2, time.Date(2026, 3, 10, 15, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	five, nine := 5., 9.
	counts := provision.Counts{
		Window: provision.Tally{Created: 4, CreatedFreely: 3, Mean: &five, Median: &five, Percentile: &nine, Blocked: 2, Answered: 1, Smaller: 1500, Removed: 85_500},
		Before: provision.Tally{Created: 1, Mean: &nine, Median: &nine, Percentile: &nine, Blocked: 2, Removed: 100_000},
		Days:   map[provision.Day]provision.Tally{"2026-03-09": {Created: 4, Mean: &five, Median: &five, Percentile: &nine, Blocked: 2, Served: 4}},
		Active: 4, ActiveTagged: 3, ActiveCost: 342_005,
		Since: w.Before().From,
	}
	tests := map[string]struct{ trend, better, value string }{
		"provision_time":    {"down", "down", "5"},
		"adoption":          {"same", "up", "1"},
		"savings":           {"down", "up", "87"},
		"active":            {"", "", "4"},
		"drift":             {"", "down", "not measured"},
		"violations":        {"same", "down", "2"},
		"within_guardrails": {"up", "up", "0.75"},
		"needed_a_person":   {"up", "down", "1"},
		"tagged":            {"", "", "0.75"},
	}
	m := provision.Measured(w, counts)
	for name, want := range tests {
		c := card(t, m, name)
		value := "not measured"
		if c.Value != nil {
			value = fmt.Sprint(*c.Value)
		}
		if c.Trend() != want.trend || c.Better != want.better || value != want.value {
			t.Errorf("%s is %s, trend %q, better %q; want %s, %q, %q", name, value, c.Trend(), c.Better, want.value, want.trend, want.better)
		}
		if c.Value == nil && c.Why == "" {
			t.Errorf("%s is not measured and does not say why", name)
		}
		if c.Days != nil && (len(c.Days) != 2 || c.Days[0].Day != "2026-03-09" || c.Days[1].Day != "2026-03-10") {
			t.Errorf("%s has the days %v, want both of the window in order", name, c.Days)
		}
	}
	if quiet := card(t, m, "provision_time").Days[1]; quiet.Value != nil || quiet.Count != 0 {
		t.Errorf("a day on which nothing was created is %+v, want no value", quiet)
	}

	counts.Drift = provision.DriftCounts{Checked: true, Window: 3, Before: 1, Now: 2, Days: map[provision.Day]int{"2026-03-10": 3}}
	if d := card(t, provision.Measured(w, counts), "drift"); *d.Value != 3 || d.Before != nil || *d.Days[0].Value != 0 || *d.Days[1].Value != 3 {
		t.Errorf("drift is %+v, want 3 and nothing to compare: nobody knows whether there were checks", d)
	}
	counts.Drift.Since = w.Before().From
	if d := card(t, provision.Measured(w, counts), "drift"); d.Trend() != "up" {
		t.Errorf("drift is %+v, want it up from 1", d)
	}

	counts.Since = w.Before().From.Add(time.Microsecond)
	for _, c := range provision.Measured(w, counts).Cards {
		if c.Before != nil {
			t.Errorf("%s is compared with a window that the history does not cover", c.Name)
		}
	}
	for _, c := range provision.Measured(w, provision.Counts{}).Cards {
		if c.Trend() != "" {
			t.Errorf("%s has a trend without any history", c.Name)
		}
	}
}

func TestTicketFaults(t *testing.T) {
	got := provision.TicketFaults([]provision.TicketCount{
		{Day: "2026-03-10", Count: 0}, {Day: "2026-03-11", Count: 1}, {Day: "10.3.2026", Count: -1}, {Day: "2026-03-10", Count: 1_000_001},
		{Day: "2026-02-30"}, {Day: "1969-12-31"},
	}, "2026-03-10")
	want := []provision.Fault{
		{Path: "/items/1/date", Message: "2026-03-11 is in the future; today is 2026-03-10 (UTC)"},
		{Path: "/items/2/date", Message: `"10.3.2026" is not a date; write it as 2026-01-31`},
		{Path: "/items/2/count", Message: "-1 is not a number of tickets; it must be from 0 to 1000000"},
		{Path: "/items/3/date", Message: "2026-03-10 is there twice; give each date once"},
		{Path: "/items/3/count", Message: "1000001 is not a number of tickets; it must be from 0 to 1000000"},
		{Path: "/items/4/date", Message: `"2026-02-30" is not a date; write it as 2026-01-31`},
		{Path: "/items/5/date", Message: "1969-12-31 is before 1970"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if got := provision.TicketFaults(nil, "2026-03-10"); len(got) != 1 {
		t.Errorf("an import of nothing has the faults %v", got)
	}
	if got := provision.TicketFaults(make([]provision.TicketCount, 1001), "2026-03-10"); len(got) != 1 || !strings.Contains(got[0].Message, "at most 1000") {
		t.Errorf("an import that is too long has the faults %v", got)
	}
}

func TestTrend(t *testing.T) {
	n := func(f float64) *float64 { return &f }
	tests := map[string]struct {
		before, value *float64
		want          string
	}{
		"nothing before":             {nil, n(1), ""},
		"nothing now":                {n(1), nil, ""},
		"from nothing to something":  {n(0), n(0.001), "up"},
		"still nothing":              {n(0), n(0), "same"},
		"a hundredth more":           {n(100), n(101), "up"},
		"less than a hundredth more": {n(100), n(100.99), "same"},
		"a hundredth less":           {n(100), n(99), "down"},
		"less than a hundredth less": {n(100), n(99.01), "same"},
	}
	for name, tt := range tests {
		if got := (provision.Measure{Before: tt.before, Value: tt.value}).Trend(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
