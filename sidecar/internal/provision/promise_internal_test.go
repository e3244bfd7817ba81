package provision

import (
	"testing"
	"time"
)

func TestATimeIsKeptOrNotByWhatWasKnownWhenItWasGiven(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 10, 0, 0, 0, 0, time.UTC)
	ran := func(kind string, at, took time.Duration) Ran { return Ran{kind, day.Add(at - took), day.Add(at)} }
	var past []Ran
	for i := range 9 { // the slowest took 9 minutes, before the window
		past = append(past, ran("create", -time.Hour*time.Duration(i+1), time.Duration(i+1)*time.Minute))
	}
	for name, test := range map[string]struct {
		more       []Ran
		kept, made int
	}{
		"nothing in the window":               {nil, 0, 0},
		"as long as the bound":                {[]Ran{ran("create", time.Hour, 9*time.Minute)}, 1, 1},
		"longer":                              {[]Ran{ran("create", time.Hour, 9*time.Minute+time.Second)}, 0, 1},
		"another kind, of which none is past": {[]Ran{ran("update", time.Hour, time.Second)}, 0, 0},
		"ended when the window does":          {[]Ran{ran("create", 24*time.Hour, time.Minute)}, 0, 0},
		"after a slow one that it knew of":    {[]Ran{ran("create", time.Hour, time.Hour), ran("create", 3*time.Hour, 30*time.Minute)}, 1, 2},
		"begun before the slow one had ended": {[]Ran{ran("create", time.Hour, time.Hour), ran("create", 80*time.Minute, 30*time.Minute)}, 0, 2},
	} {
		kept, made := promises(append(test.more, past...), day, day.AddDate(0, 0, 1))
		if kept != test.kept || made != test.made {
			t.Errorf("%s: %d of %d, want %d of %d", name, kept, made, test.kept, test.made)
		}
	}
}
