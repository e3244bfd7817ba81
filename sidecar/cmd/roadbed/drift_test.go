package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestUntil(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"72h":                  now.Add(72 * time.Hour),
		"2026-06-30":           time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC),
		"2026-06-30T12:00:00Z": time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC),
	} {
		if got, err := untilOf(text, now); err != nil || !got.Equal(want) {
			t.Errorf("until %s is %s (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1h", "0s", "soon", "30.6.2026"} {
		if got, err := untilOf(text, now); provision.KindOf(err) != provision.Invalid {
			t.Errorf("until %q is %s (%v), want it refused", text, got, err)
		}
	}
}

func TestDriftForTheTerminal(t *testing.T) {
	at, cause := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), "one"
	instance := api.Instance{Environment: "dev", Name: "orders"}
	differences := []provision.Difference{
		{Address: "db.main", Kind: provision.DriftChanged, Attribute: "limit", Expected: 50, Actual: 7},
		{Address: "role.monitor", Kind: provision.DriftMissing},
	}
	titles := []string{differences[0].Title(), differences[1].Title()}
	more := 2
	drifted := api.DriftAnswer{
		HasDrift: true, Cause: &cause, Differences: &differences, Titles: &titles, More: &more, DetectedAt: &at, Check: api.DriftCheck{CheckedAt: &at},
		Suppressed: &provision.Suppression{Until: at, By: "user:default/ann", Reason: "load test"},
		Adoption:   &api.DriftAdoption{Summary: "role.monitor is gone: it cannot be adopted"},
	}
	possible := drifted
	possible.Adoption = &api.DriftAdoption{Possible: true, Summary: "limit 50 → 7: it can be adopted"}
	for name, tt := range map[string]struct {
		drift api.DriftAnswer
		want  []string
	}{
		"never checked": {api.DriftAnswer{}, []string{"dev/orders was not checked yet", "roadbed drift check dev/orders"}},
		"no drift":      {api.DriftAnswer{Check: api.DriftCheck{CheckedAt: &at}}, []string{"No drift detected."}},
		"failed":        {api.DriftAnswer{Check: api.DriftCheck{CheckedAt: &at, Failure: "the server is away"}}, []string{"could not tell: the server is away"}},
		"drift": {drifted, []string{
			"limit of db.main is 7; asked for: 50", "role.monitor is gone\n", "and 2 more", "Suppressed until", ": load test",
			"roadbed drift revert dev/orders", "not possible: role.monitor is gone",
		}},
		"adoptable": {possible, []string{"roadbed drift adopt dev/orders", "limit 50 → 7"}},
	} {
		var out bytes.Buffer
		if err := printDrift(&out, instance, tt.drift, false); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the terminal lacks %q:\n%s", name, want, out.String())
			}
		}
	}
}
