package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestALookTellsOnceWhatNoEventTells(t *testing.T) {
	t.Parallel()
	by := time.Now().Add(time.Hour)
	half := "half of the last 20 like it took 4 min, 90 % at most 6 min"
	look := api.Request{
		State: provision.Queued, Waiting: "2nd in line for pool local; 4 of 4 slots busy",
		Expected: &api.Expected{By: &by, Basis: 20, Message: half},
		Steps:    []api.Step{{Step: 1, Name: "Plan"}, {Step: 2, Name: "Create", Stalled: &api.Stalled{Message: "stalled: 99 % took 2 min", LastLine: "still creating…"}}},
	}
	w := newWatched(look)
	w.request.State, w.request.Waiting, w.request.Expected = provision.Queued, "waiting for a worker", nil
	want := []string{"queued: 2nd in line for pool local; 4 of 4 slots busy", "90 % of these finish by " + by.Local().Format("15:04") + ": " + half}
	if diff := cmp.Diff(want, w.look(look)); diff != "" {
		t.Errorf("of the first look (-want +got):\n%s", diff)
	}
	if news := w.look(look); news != nil {
		t.Errorf("the same look again says %q, want nothing", news)
	}
	w.request.State, look.State, look.Waiting = provision.Applying, provision.Applying, ""
	w.request.Steps[1].Status = provision.StepInProgress
	look.Expected = &api.Expected{By: &by, Late: true, Message: "it takes longer than 90 % of the last 20"}
	want = []string{"it takes longer than 90 % of the last 20", "step 2 of 2, Create: stalled: 99 % took 2 min: still creating…"}
	if diff := cmp.Diff(want, w.look(look)); diff != "" {
		t.Errorf("once it is late and stalls (-want +got):\n%s", diff)
	}
}
