package control_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// byPauses holds while anything is paused.
func byPauses(_ *provision.Record, pauses []provision.Pause) []provision.Hold {
	var holds []provision.Hold
	for _, p := range pauses {
		holds = append(holds, provision.Hold{Kind: provision.HoldPause, Name: p.Name, Reason: p.Reason, Message: "paused by " + p.By + ": " + p.Reason})
	}
	return holds
}

func TestAPausedRequestWaitsWithItsWordsAndGoesOnAtOnceWhenResumed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.judge.holds = byPauses
	s.config.Poll = time.Hour // only being woken makes it look
	pause, err := s.store.BeginPause(t.Context(), provision.Pause{ID: provision.NewID(), Kind: provision.PauseEverything, Reason: "the disk is full", By: "user:default/pat"})
	if err != nil {
		t.Fatal(err)
	}
	var requests []provision.Request
	for i := range 25 { // more than a round looks at
		requests = append(requests, s.accept(fmt.Sprintf("orders-%d", i), nil))
	}
	_, stop := s.run(s.config)
	s.worker("local", 1)
	for _, r := range requests {
		testkit.Eventually(t, soon, "it says that it is paused", func() bool {
			return s.request(r.ID).Waiting == "paused by user:default/pat: the disk is full"
		})
	}
	stop()
	s.run(s.config) // the next process knows it too
	if n, err := s.store.InFlight(t.Context()); err != nil || len(n) != 0 {
		t.Errorf("in flight %v, %v; want nothing", n, err)
	}
	if err := s.store.EndPause(t.Context(), pause.ID, "user:default/pat"); err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		s.becomes(r.ID, provision.Succeeded)
	}
}

func TestAHoldIsReleasedWhenItsTimeIsUpAndOnlyThenDoesTheQueueTimeoutRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var open atomic.Bool // the fake clock: before and after the end of the freeze
	s.judge.holds = func(r *provision.Record, _ []provision.Pause) []provision.Hold {
		if open.Load() || r.Request.Name != "frozen" {
			return nil
		}
		return []provision.Hold{{Kind: provision.HoldFreeze, Name: "year end", Message: "waiting for the change freeze"}}
	}
	s.config.QueueTimeout = 3 * time.Second
	frozen := s.accept("frozen", nil)
	s.run(s.config)
	testkit.Eventually(t, soon, "it is held", func() bool { return s.request(frozen.ID).Waiting == "waiting for the change freeze" })
	other := s.accept("other", func(r *provision.Request) { r.Environment = "prod" }) // no worker comes
	s.becomes(other.ID, provision.Failed)                                             // its time is up, and so the frozen one's would be
	if got := s.request(frozen.ID); got.State != provision.Queued {
		t.Fatalf("the frozen request is %s, want it to wait", got.State)
	}
	open.Store(true)
	s.worker("local", 1)
	s.becomes(frozen.ID, provision.Succeeded)
}

func TestWhatIsDeniedInTheQueueDoesNotWaitForAHold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.judge.holds = func(*provision.Record, []provision.Pause) []provision.Hold {
		return []provision.Hold{{Kind: provision.HoldFreeze, Message: "waiting for the change freeze"}}
	}
	s.judge.verdict = func(*provision.Record) (provision.Verdict, error) { return testkit.Denial(), nil }
	request := s.accept("orders", nil)
	s.run(s.config)
	s.becomes(request.ID, provision.DeniedState)
}
