package provision

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// lasting is a duration around a median, with a long tail as provisioning has.
func lasting(random *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(0.5*random.NormFloat64()))
}

// promised replays durations one by one and says of each whether it kept what
// was promised for it; nil where nothing was.
func promised(durations []time.Duration) []*bool {
	kept, past := make([]*bool, len(durations)), []Took{}
	began := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for i, d := range durations {
		e := Expected(Request{State: Applying}, Timing{Now: began, Started: &began, Past: past})
		if e.By != nil {
			ok := !began.Add(d).After(*e.By)
			kept[i] = &ok
		}
		past = append([]Took{{Run: d}}, past[:min(len(past), LongPast-1)]...)
	}
	return kept
}

func keptShare(kept []*bool) float64 {
	n, all := 0, 0
	for _, k := range kept {
		if k != nil {
			if all++; *k {
				n++
			}
		}
	}
	return float64(n) / float64(all)
}

func TestNineInTenKeepTheirPromiseAlsoSoonAfterThePaceHasChanged(t *testing.T) {
	t.Parallel()
	const replays, before, after = 100, 300, 300
	for name, factor := range map[string]float64{"slower": 3, "faster": 1.0 / 3} {
		var all, first, soon []*bool
		for seed := range uint64(replays) {
			random := rand.New(rand.NewPCG(seed, 7))
			var durations []time.Duration
			for i := range before + after {
				median := 4 * time.Minute
				if i >= before {
					median = time.Duration(float64(median) * factor)
				}
				durations = append(durations, lasting(random, median))
			}
			kept := promised(durations)
			for i := range leastPast {
				if kept[i] != nil {
					t.Fatalf("job %d was promised something, of %d before it", i+1, i)
				}
			}
			all = append(all, kept...)
			first = append(first, kept[before:before+50]...)
			soon = append(soon, kept[before+50:before+100]...)
		}
		t.Logf("%s: %.1f %% of all kept it, %.1f %% of the first 50 after the change, %.1f %% of the next 50", name, 100*keptShare(all), 100*keptShare(first), 100*keptShare(soon))
		for what, got := range map[string]float64{"all": keptShare(all), "those from the 51st after the change": keptShare(soon)} {
			if got < 0.87 || got > 0.93 {
				t.Errorf("%s: of %s %.1f %% kept their promise, want 90 ± 3 %%", name, what, 100*got)
			}
		}
	}
}

func TestEveryPlantedHangIsNamedAndFewOthersAre(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]int{"with little history": 20, "with long history": LongPast} {
		var hangs, caught, healthy, wrong int
		for seed := range uint64(60) {
			random := rand.New(rand.NewPCG(seed, 11))
			var past []Took
			for range known {
				past = append(past, Took{Steps: []time.Duration{lasting(random, time.Minute)}})
			}
			for range 100 {
				began := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
				r := Request{State: Applying, Steps: []Step{{Step: 1, Status: StepInProgress, StartedAt: &began}}}
				took, hangs1 := lasting(random, time.Minute), random.IntN(20) == 0
				if hangs1 {
					took = 30 * time.Minute // the timeout
				}
				named := len(Stalled(r, Timing{Now: began.Add(took), Past: past})) == 1
				switch {
				case hangs1 && named:
					hangs, caught = hangs+1, caught+1
				case hangs1:
					hangs++
				default:
					if healthy++; named {
						wrong++
					}
					past = append([]Took{{Steps: []time.Duration{took}}}, past[:known-1]...)
				}
			}
		}
		precision := float64(caught) / float64(caught+wrong)
		t.Logf("%s: %d of %d hangs named, %d of %d others, precision %.2f", name, caught, hangs, wrong, healthy, precision)
		if caught != hangs {
			t.Errorf("%s: %d of %d hangs were named before their timeout, want all", name, caught, hangs)
		}
		if rate := float64(wrong) / float64(healthy); rate > 0.015 {
			t.Errorf("%s: %.1f %% of those that went on were called stalled, want at most 1.5 %%", name, 100*rate)
		}
	}
}

// waited is past with 2 h of waiting for approval.
func waited(past []Took) []Took {
	longer := slices.Clone(past)
	for i := range longer {
		longer[i].Waited = 2 * time.Hour
	}
	return longer
}

func TestWhatWaitsForPeopleIsPromisedNoTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var past []Took
	for i := range 20 {
		past = append(past, Took{Run: time.Duration(i+1) * time.Minute, InLine: time.Duration(i+31) * time.Minute})
	}
	for name, test := range map[string]struct {
		request Request
		timing  Timing
		by      string // "" for none
		message string
	}{
		"in line": {Request{State: Queued}, Timing{Now: now, InLine: now, Past: past}, "12:49", "half of the last 20 like it took 41 min, 90 % at most 49 min"},
		"running": {Request{State: Applying}, Timing{Now: now, Started: &now, Past: past}, "12:19", "half of the last 20 like it took 11 min, 90 % at most 19 min"},
		"late": {Request{State: Applying}, Timing{Now: now.Add(20 * time.Minute), Started: &now, Past: past}, "12:19",
			"it takes longer than 90 % of the last 20 like it, which took at most 19 min"},
		"awaiting approval": {Request{State: AwaitingApproval}, Timing{Now: now, InLine: now, Past: past}, "", "once it goes on, half of the last 20 like it took 11 min, 90 % at most 19 min"},
		"awaiting approval as others did": {Request{State: AwaitingApproval}, Timing{Now: now, InLine: now, Past: waited(past)}, "",
			"half of the last 20 like it waited 2 h for approval; then half took 11 min, 90 % at most 19 min"},
		"held though others waited": {Request{State: Queued, Holds: []Hold{{Kind: HoldPause}}}, Timing{Now: now, InLine: now, Past: waited(past)}, "",
			"once it goes on, half of the last 20 like it took 11 min, 90 % at most 19 min"},
		"held": {Request{State: Queued, Holds: []Hold{{Kind: HoldPause}}}, Timing{Now: now, InLine: now, Past: past}, "",
			"once it goes on, half of the last 20 like it took 11 min, 90 % at most 19 min"},
		"without history": {Request{State: Queued}, Timing{Now: now, InLine: now, Past: past[:8]}, "", "no estimate yet: it takes 9 like it that succeeded, and there are 8"},
	} {
		e := Expected(test.request, test.timing)
		by := ""
		if e.By != nil {
			by = e.By.Format("15:04")
		}
		if by != test.by || e.Message != test.message || e.Late != (name == "late") {
			t.Errorf("%s: by %q, late %t, %q; want by %q, %q", name, by, e.Late, e.Message, test.by, test.message)
		}
	}
	if e := Expected(Request{State: Succeeded}, Timing{Past: past}); e != nil {
		t.Errorf("of what has ended %+v is expected, want nothing", e)
	}
}
