package worker

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func event(kind, address string) string {
	return fmt.Sprintf(`{"type":%q,"hook":{"resource":{"addr":%q},"action":"create"}}`, kind, address)
}

func TestTheJournalSaysHowTerraformEndedAndWhatWasInFlight(t *testing.T) {
	t.Parallel()
	const (
		planned   = `{"type":"change_summary","changes":{"operation":"plan"}}`
		applied   = `{"type":"change_summary","changes":{"operation":"apply"}}`
		destroyed = `{"type":"change_summary","changes":{"operation":"destroy"}}`
		complaint = `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"no"}}`
		warning   = `{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"hm"}}`
	)
	tests := map[string]struct {
		events   []string
		wantCode int
		wantOpen []string
	}{
		"a closing summary is success":          {[]string{planned, event("apply_start", "a"), event("apply_complete", "a"), warning, applied}, 0, nil},
		"a destroy's closing summary too":       {[]string{planned, destroyed}, 0, nil},
		"an error is failure":                   {[]string{planned, event("apply_start", "a"), event("apply_errored", "a"), complaint}, 1, nil},
		"an error after the summary as well":    {[]string{applied, complaint}, 1, nil},
		"silence is neither":                    {[]string{planned, event("apply_start", "a"), event("apply_complete", "a"), event("apply_start", "b")}, -1, []string{"b"}},
		"a line cut short does not count":       {[]string{planned, applied[:len(applied)-4]}, -1, nil},
		"what is begun twice is in flight once": {[]string{event("apply_start", "a"), event("apply_complete", "a"), event("apply_start", "a")}, -1, []string{"a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := directory(t.TempDir())
			text := strings.Join(tt.events, "\n") + "\n"
			// It is read in two halves, by two supervisors.
			for _, upTo := range []int{len(text) / 2, len(text)} {
				if err := os.WriteFile(d.path(eventsFile), []byte(text[:upTo]), 0o600); err != nil {
					t.Fatal(err)
				}
				j, err := openJournal(d)
				if err != nil {
					t.Fatal(err)
				}
				if err := j.catchUp(); err != nil {
					t.Fatal(err)
				}
				if got := j.infer(); upTo == len(text) && got != tt.wantCode {
					t.Errorf("exit code = %d, want %d", got, tt.wantCode)
				}
				j.close()
			}
			entries, err := readJournal(d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.wantOpen, inFlight(entries), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("in flight (-want +got):\n%s", diff)
			}
			if want := strings.Count(text, "apply_"); len(entries) != want {
				t.Errorf("the journal has %d entries, want %d", len(entries), want)
			}
		})
	}
}

func TestWhatWasMadeAndNotWrittenDownIsNamed(t *testing.T) {
	t.Parallel()
	entries := []entry{
		{Kind: "apply_complete", Action: "create", Address: "kept"}, {Kind: "apply_start", Action: "create", Address: "begun"},
		{Kind: "apply_complete", Action: "delete", Address: "gone"}, {Kind: "apply_complete", Action: "create", Address: "made"},
	}
	if diff := cmp.Diff([]string{"made"}, unrecorded(entries, []string{"kept"})); diff != "" {
		t.Errorf("unrecorded (-want +got):\n%s", diff)
	}
}
