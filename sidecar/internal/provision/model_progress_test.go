package provision_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// harm is what no world needs to come to its end: what breaks, and the operator
// who must be asked; one who has vouched for a worker's death goes on to recover.
var harm = []string{"cancel", "attest", "conclude", "answer is lost", "is killed", "loses its machine", "drains", "well: false"}

// helpful are the other steps, and silence apart: it makes leases run out, which
// helps only where nothing else does.
func helpful(b bounds) (help []step, silence step) {
	for _, s := range steps(b) {
		switch {
		case s.name == "silence":
			silence = s
		case !slices.ContainsFunc(harm, func(word string) bool { return strings.Contains(s.name, word) }):
			help = append(help, s)
		}
	}
	return help, silence
}

// brief is what can be led to its end from everywhere within seconds.
var brief = bounds{runs: 2, deaths: 1, silences: 1, workers: 2}

// patient is what can be done without bounds of its own.
var patient = bounds{runs: 6, deaths: 0, silences: 1000, workers: small.workers}

// neverEnds answers why a world never comes to its end though nothing breaks any
// more, "" when it does. One whose apply went with its machine waits for an
// operator, by design.
func neverEnds(help []step, silence step) func(*world) string {
	return func(from *world) string {
		if from.wiped && (from.request.State == provision.Applying || from.request.State == provision.Lost) {
			return ""
		}
		w := from.clone()
		w.bounds = patient
		for range 40 {
			if w.request.State.Terminal() {
				return ""
			}
			before := w.key()
			for _, s := range help {
				s.do(&w)
			}
			if w.key() == before && !silence.do(&w) {
				break
			}
		}
		return "it stays " + string(w.request.State)
	}
}

// TestEverythingEndsOnceNothingBreaks is law 10 in every order of events within
// the bounds: from wherever it has come to, a request ends without an operator,
// unless the machine that applied it is lost with its disk.
func TestEverythingEndsOnceNothingBreaks(t *testing.T) {
	t.Parallel()
	began := time.Now()
	trace, worlds, _ := explore(without{}, brief, neverEnds(helpful(patient)))
	if trace != nil {
		t.Fatalf("%s", strings.Join(trace, "\n"))
	}
	t.Logf("%d worlds in %s", worlds, time.Since(began).Round(time.Millisecond))
}

// TestEachHelpIsNeeded takes away what brings a request to its end, one thing at
// a time: each time the model must find one that never ends.
func TestEachHelpIsNeeded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		missing without
		finds   string
	}{
		"leases run out": {without{endlessLease: true}, "it stays planning"},
		"a go-on that was not heard is told again": {without{deafGoOn: true}, "it stays lost"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace, worlds, _ := explore(tt.missing, brief, neverEnds(helpful(patient)))
			if trace == nil || !strings.HasPrefix(trace[len(trace)-1], tt.finds) {
				t.Fatalf("in %d worlds this stayed: %v; want that %s", worlds, trace, tt.finds)
			}
			t.Logf("after %d worlds:\n%s", worlds, strings.Join(trace, "\n"))
		})
	}
}
