package provision_test

import (
	"slices"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

var (
	frozen = provision.Hold{Kind: provision.HoldFreeze, Name: "year end", Message: "waiting for the change freeze 'year end' to end"}
	paused = provision.Hold{Kind: provision.HoldPause, Message: "paused by pat: the disk is full"}
)

func hold(holds ...provision.Hold) func(*provision.Record) error {
	return func(r *provision.Record) error { r.Hold(holds); return nil }
}

func TestAHeldRequestSaysWhatForOnceForEachCauseAndIsReleased(t *testing.T) {
	t.Parallel()
	l := begin(t, testkit.Created("orders", nil)).must(hold(frozen)).must(hold(frozen)).must(hold(paused, frozen))
	if got, want := l.record.Request.Waiting, paused.Message+"; "+frozen.Message; got != want || len(l.record.Request.Holds) != 2 {
		t.Errorf("it waits for %q, want %q", got, want)
	}
	l.must(hold()).must(hold())
	if r := l.record.Request; r.Waiting != "waiting for a worker" || r.Holds != nil || r.ReleasedAt == nil || !r.ReleasedAt.Equal(l.now.Add(-time.Second)) {
		t.Errorf("released, it waits for %q, is held by %v since %v; want a worker, counted from its release", r.Waiting, r.Holds, r.ReleasedAt)
	}
	if got, want := l.tells()[3:], []string{"instance.reserved", "request.held", "request.held", "request.released"}; !slices.Equal(got[len(got)-3:], want[1:]) {
		t.Errorf("it tells %v, want each cause once and the release", l.tells())
	}
	l.must(dispatch)
	if l.record.Run == nil {
		t.Error("it has no run after its release")
	}
}

func TestWhatIsHeldCanBeCancelledAndWhatRunsIsNotHeld(t *testing.T) {
	t.Parallel()
	l := begin(t, testkit.Created("orders", nil)).must(hold(paused)).must(cancel)
	l.stands(provision.Cancelled, provision.Released)
	if l.record.Request.Holds != nil {
		t.Errorf("it has ended and is held by %v", l.record.Request.Holds)
	}
	running := begin(t, testkit.Created("other", nil)).must(dispatch).must(func(r *provision.Record) error { return r.Claim("w1", "d", time.Minute) })
	before := len(running.events)
	running.must(hold(paused))
	if running.record.Request.Holds != nil || len(running.events) != before {
		t.Error("a request that runs is held")
	}
}
