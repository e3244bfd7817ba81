package provision

import (
	"slices"
	"time"
)

// Ran is when a request that succeeded was given its last run, and when it
// ended.
type Ran struct {
	Kind  string // what its time is told from: offering, version, action, and whether people approved it
	Began time.Time
	Ended time.Time
}

// promises counts the requests that ended from one moment until another for
// which a time had been promised when they began, and those that kept it.
func promises(ran []Ran, from, until time.Time) (kept, made int) {
	kinds := map[string][]Ran{}
	for _, r := range ran {
		kinds[r.Kind] = append(kinds[r.Kind], r)
	}
	for _, of := range kinds {
		slices.SortFunc(of, func(a, b Ran) int { return a.Ended.Compare(b.Ended) })
		for _, r := range of {
			if r.Ended.Before(from) || !r.Ended.Before(until) {
				continue
			}
			before, _ := slices.BinarySearchFunc(of, r.Began, func(past Ran, began time.Time) int { return past.Ended.Compare(began) })
			if most, ok := bound(tookOf(of[max(0, before-recentPast):before]), 0.9); ok {
				if made++; r.Ended.Sub(r.Began) <= most {
					kept++
				}
			}
		}
	}
	return kept, made
}

func tookOf(ran []Ran) []time.Duration {
	took := make([]time.Duration, len(ran))
	for i, r := range ran {
		took[i] = r.Ended.Sub(r.Began)
	}
	return took
}

// PromiseKept is how often the times that were promised were kept.
func PromiseKept(w MeasureWindow, c Counts) Measure {
	m := Measure{
		Name: "promise_kept", Title: "Promise kept", Unit: Share, Better: betterUp,
		Definition: "Of the requests that succeeded in the window and had been given a time that nine in ten keep when they began, the share that kept it; 0.9 is promised.",
	}
	kept, made := promises(c.Ran, w.From, w.Until)
	if m.Value = share(kept, made); m.Value == nil {
		m.Why = "Nothing that succeeded in this time had been given one: it takes 9 like it."
		return m
	}
	m.Parts = []MeasurePart{{"promised", Number, float64(made)}}
	before := w.Before()
	m.Before = share(promises(c.Ran, before.From, before.Until))
	return m
}
