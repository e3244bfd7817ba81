package provision_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// explore does every order of steps that leads to a new world, the shortest
// first, and answers what led to one with a fault, nil when none has.
func explore(without without, bounds bounds, fault func(*world) string) (trace []string, worlds int, ends map[provision.State]int) {
	type visit struct {
		world  world
		parent int
		by     string
	}
	all := steps(bounds)
	visits := []visit{{world: newWorld(without, bounds), parent: -1}}
	seen := map[string]bool{visits[0].world.key(): true}
	ends = map[provision.State]int{}
	for at := 0; at < len(visits); at++ {
		for _, s := range all {
			next := visits[at].world.clone()
			if !s.do(&next) {
				continue
			}
			key := next.key()
			if seen[key] {
				continue
			}
			seen[key] = true
			visits = append(visits, visit{next, at, s.name})
			ends[next.request.State]++
			if found := fault(&next); found != "" {
				trace = []string{found}
				for i := len(visits) - 1; i > 0; i = visits[i].parent {
					trace = slices.Insert(trace, 0, visits[i].by)
				}
				return trace, len(visits), ends
			}
		}
		visits[at].world = world{} // only its step is still needed
	}
	return nil, len(visits), ends
}

// small is what can be explored whole within seconds.
var small = bounds{runs: 2, deaths: 1, silences: 2, workers: 2}

// TestNoOrderOfEventsAppliesTwice is law 2, in every order of events within the
// bounds.
func TestNoOrderOfEventsAppliesTwice(t *testing.T) {
	t.Parallel()
	began := time.Now()
	trace, worlds, ends := explore(without{}, small, (*world).broken)
	if trace != nil {
		t.Fatalf("%s", strings.Join(trace, "\n"))
	}
	t.Logf("%d worlds in %s: %v", worlds, time.Since(began).Round(time.Millisecond), ends)
	for _, state := range []provision.State{provision.Lost, provision.Succeeded, provision.Failed, provision.Cancelled} {
		if ends[state] == 0 {
			t.Errorf("no order leads to %s: the model does not reach it", state)
		}
	}
	if worlds < 10000 {
		t.Errorf("%d worlds were explored; the model has lost some", worlds)
	}
}

// TestNoChanceOrderAppliesTwice is the same beyond the bounds: long lives of many
// runs, deaths and silences, in chance orders. A failing seed is printed and repeats.
func TestNoChanceOrderAppliesTwice(t *testing.T) {
	t.Parallel()
	large := bounds{runs: 6, deaths: 8, silences: 8, workers: 3}
	all := steps(large)
	ends, most := map[provision.State]int{}, 0
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(without{}, large)
		var trace []string
		for range 60 {
			for _, i := range random.Perm(len(all)) {
				if all[i].name == "cancel" && random.IntN(20) > 0 {
					continue // else few lives come far
				}
				if next := w.clone(); all[i].do(&next) {
					w, trace = next, append(trace, all[i].name)
					break
				}
			}
			if fault := w.broken(); fault != "" {
				t.Fatalf("seed %d: %s after\n%s", seed, fault, strings.Join(trace, "\n"))
			}
		}
		ends[w.request.State]++
		most = max(most, w.recovers)
	}
	t.Logf("ends %v, most recoveries %d", ends, most)
	if ends[provision.Succeeded] == 0 || most < 2 {
		t.Errorf("the lives do not come far: %v, at most %d recoveries", ends, most)
	}
}

// TestEachRuleIsNeeded takes away what keeps an apply single, one rule at a time:
// each time the model must find two.
func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		missing without
		finds   string
	}{
		"the fencing token":                       {without{unfenced: true}, "two Terraform processes apply at once"},
		"nobody takes a lost apply over":          {without{takeOver: true}, "two Terraform processes apply at once"},
		"an operator vouches only for what is so": {without{falseAttest: true}, "two Terraform processes apply at once"},
		"a worker started anew asks again":        {without{blindRestart: true}, "two Terraform processes apply at once"},
		"what applies is not claimed again":       {without{reclaim: true}, "it was applied more often"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace, worlds, _ := explore(tt.missing, small, (*world).broken)
			if trace == nil || !strings.HasPrefix(trace[len(trace)-1], tt.finds) {
				t.Fatalf("in %d worlds this broke: %v; want that %s", worlds, trace, tt.finds)
			}
			t.Logf("after %d worlds:\n%s", worlds, strings.Join(trace, "\n"))
		})
	}
}
