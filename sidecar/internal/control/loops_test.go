package control_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// stuck is a store and a queue of which one call never comes back.
type stuck struct {
	control.Store
	control.Queue
	call string
}

func (s stuck) in(ctx context.Context, call string) {
	if s.call == call {
		<-ctx.Done()
	}
}

func (s stuck) Forget(ctx context.Context, ids []uuid.UUID) error {
	s.in(ctx, "relay")
	return s.Store.Forget(ctx, ids)
}

func (s stuck) Relay(ctx context.Context, limit int, age time.Duration, publish func(context.Context, []provision.Event) ([]uuid.UUID, error)) (int, error) {
	s.in(ctx, "relay sweep")
	return s.Store.Relay(ctx, limit, age, publish)
}

func (s stuck) Dispatching(ctx context.Context, do func(context.Context) error) (bool, error) {
	s.in(ctx, "dispatcher")
	return s.Store.Dispatching(ctx, do)
}

func (s stuck) Expired(ctx context.Context, limit int) ([]uuid.UUID, error) {
	s.in(ctx, "sweep")
	return s.Store.Expired(ctx, limit)
}

func (s stuck) ScheduleDrift(ctx context.Context, every time.Duration, limit int) (int, error) {
	s.in(ctx, "drift checks")
	return s.Store.ScheduleDrift(ctx, every, limit)
}

func (s stuck) StepCampaigns(ctx context.Context) error {
	s.in(ctx, "campaigns")
	return nil
}

func (s stuck) ChangeRun(ctx context.Context, id uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	s.in(ctx, "recorder of reports")
	return s.Store.ChangeRun(ctx, id, decide)
}

func (s stuck) AppendLog(ctx context.Context, lines []provision.LogLine) error {
	s.in(ctx, "recorder of logs")
	return s.Store.AppendLog(ctx, lines)
}

// ConsumeReports and ConsumeLogs have something to give at once.
func (s stuck) ConsumeReports(ctx context.Context, handle func(context.Context, provision.Report) error) error {
	_ = handle(ctx, provision.Report{RunID: provision.NewID(), Worker: "w1", Pool: "local"}) // it is of no run
	<-ctx.Done()
	return nil
}

func (s stuck) ConsumeLogs(ctx context.Context, handle func(context.Context, []provision.LogLine) error) error {
	_ = handle(ctx, nil)
	<-ctx.Done()
	return nil
}

// TestEachLoopThatStandsStillTurnsHealthRed stalls every loop there is, each by
// the call that only it makes.
func TestEachLoopThatStandsStillTurnsHealthRed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	all := []string{"campaigns", "dispatcher", "drift checks", "recorder of logs", "recorder of reports", "relay", "relay sweep", "sweep"}
	for _, name := range append([]string{""}, all...) {
		broken := stuck{s.store, s.queue, name}
		c := s.config
		c.Store, c.Queue, c.Campaigns = broken, broken, broken
		c.DriftEvery, c.DriftLook, c.Stall = time.Hour, c.Poll, 2*time.Second
		loops, stop := s.run(c)
		s.accept("orders-"+strings.ReplaceAll(name, " ", "-"), nil) // so that there is an event to relay
		stalled := func() (names []string) {
			for _, loop := range loops.Loops() {
				if loop.Stalled {
					names = append(names, loop.Name)
				}
			}
			return names
		}
		if name == "" {
			testkit.Eventually(t, soon, "every loop is there", func() bool { return len(loops.Loops()) == len(all) })
			var names []string
			for _, loop := range loops.Loops() {
				names = append(names, loop.Name)
			}
			if diff := cmp.Diff(all, names); diff != "" {
				t.Errorf("loops (-stalled here +there are):\n%s", diff)
			}
		} else {
			testkit.Eventually(t, soon, name+" is told to have stalled", func() bool { return slices.Equal(stalled(), []string{name}) })
			if err := loops.Health(); err == nil || !strings.Contains(err.Error(), "the "+name+" has made no progress since") {
				t.Errorf("health = %v, want it to name %s", err, name)
			}
		}
		stop()
	}
}

// TestALoopThatRunsElsewhereIsWatched hangs in a round of its own.
func TestALoopThatRunsElsewhereIsWatched(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.config
	c.Stall = 50 * time.Millisecond
	loops := control.New(c)
	begin := loops.Watch("feed")
	done := begin()
	testkit.Eventually(t, soon, "the feed is told to have stalled", func() bool { return loops.Health() != nil })
	done(nil)
	if err := loops.Health(); err != nil {
		t.Errorf("health = %v once its round has ended", err)
	}
}
