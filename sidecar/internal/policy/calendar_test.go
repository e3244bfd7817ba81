package policy_test

import (
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestHoldsAreSaidInOrderPausesFirst(t *testing.T) {
	t.Parallel()
	files := tree(t)
	replace(files, "data/calendar.yaml", "freezes: []", `freezes: [{name: year end, environments: [prod], from: 2026-12-20, until: 2027-01-04T08:00:00+01:00, reason: busy}]`)
	replace(files, "data/calendar.yaml", "windows: {}", `windows: {prod: [{days: [tue], from: "22:00", to: "04:00", timezone: Europe/Berlin}]}`)
	bundle, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	in := provision.HoldInput{
		Action: provision.Create, Subject: "user:default/ann", Offering: "postgres-database", Name: "orders", Owner: "group:default/payments",
		Environment: provision.Environment{Name: "prod", Pool: "aws"}, At: time.Date(2026, 12, 24, 12, 0, 0, 0, time.FixedZone("", 3600)),
		Pauses: []provision.Pause{{Kind: provision.PausePool, Name: "aws", Reason: "the disk is full", By: "user:default/pat"}},
	}
	holds, err := bundle.Holds(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(holds) != 3 || holds[0].Kind != provision.HoldPause || holds[1].Kind != provision.HoldFreeze || holds[2].Kind != provision.HoldWindow {
		t.Fatalf("holds %+v, want a pause, a freeze and a window", holds)
	}
	if holds[0].Until != nil || holds[0].Message != "paused by pat: the disk is full" {
		t.Errorf("the pause says %q until %v, want by whom, why and no end", holds[0].Message, holds[0].Until)
	}
	if want := time.Date(2027, 1, 4, 7, 0, 0, 0, time.UTC); holds[1].Until == nil || !holds[1].Until.Equal(want) {
		t.Errorf("the freeze is until %v, want %v", holds[1].Until, want)
	}
	in.Environment.Name, in.Environment.Pool = "dev", "local"
	if holds, err = bundle.Holds(t.Context(), in); err != nil || len(holds) > 0 {
		t.Errorf("holds in dev are %+v, %v; want none", holds, err)
	}
	entries, err := bundle.Upcoming(t.Context(), []string{"dev", "prod"}, in.At)
	if err != nil || len(entries) != 5 || entries[0].Kind != provision.HoldFreeze || !entries[1].From.Before(entries[2].From) {
		t.Errorf("upcoming %+v, %v; want the freeze and four Tuesdays by time", entries, err)
	}
}

func TestLoadRefusesACalendarThatWouldHoldNothingUnnoticed(t *testing.T) {
	t.Parallel()
	freeze := func(text string) [2]string { return [2]string{"freezes: []", "freezes: [{" + text + "}]"} }
	window := func(text string) [2]string { return [2]string{"windows: {}", "windows: {prod: [{" + text + "}]}"} }
	tests := map[string]struct {
		change [2]string
		want   string
	}{
		"a freeze without an end":         {freeze("name: x, environments: [prod], from: 2026-12-20, reason: y"), "freeze 1 needs from and until"},
		"a freeze that ends first":        {freeze("name: x, environments: [prod], from: 2026-12-20, until: 2026-12-20, reason: y"), "freeze 1 ends before it begins"},
		"a freeze without a reason":       {freeze("name: x, environments: [prod], from: 2026-12-20, until: 2026-12-21"), "freeze 1 has no reason"},
		"a freeze of no environment":      {freeze("name: x, environments: [], from: 2026-12-20, until: 2026-12-21, reason: y"), "freeze 1 has environments that must be a list of texts"},
		"a freeze with a misspelt field":  {freeze("name: x, environments: [prod], from: 2026-12-20, until: 2026-12-21, reason: y, offering: z"), `freeze 1 has the field "offering"`},
		"a window on no day":              {window(`days: [tuesday], from: "22:00", to: "04:00", timezone: UTC`), "window 1 of prod needs days"},
		"a window at no time":             {window(`days: [tue], from: "25:00", to: "04:00", timezone: UTC`), "window 1 of prod needs from"},
		"a window in no zone":             {window(`days: [tue], from: "22:00", to: "04:00", timezone: Berlin`), "window 1 of prod needs a timezone"},
		"a window without a zone":         {window(`days: [tue], from: "22:00", to: "04:00"`), "window 1 of prod needs a timezone"},
		"an environment that never opens": {[2]string{"windows: {}", "windows: {prod: []}"}, "windows of prod must be a list of at least one"},
		"no list of freezes":              {[2]string{"freezes: []", "freezes: none"}, "needs freezes, a list"},
		"actions that are no list":        {[2]string{"system_passes: [destroy]", "system_passes: destroy"}, "system_passes must be a list"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t)
			replace(files, "data/calendar.yaml", tt.change[0], tt.change[1])
			if _, err := policy.Load(files); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load with %s = %v, want an error with %q", tt.change[1], err, tt.want)
			}
		})
	}
}
