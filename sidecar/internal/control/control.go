package control

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Store is what the loops need of the database. An error of kind Unavailable
// means: later.
type Store interface {
	Change(ctx context.Context, requestID uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error)
	ChangeRun(ctx context.Context, runID uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error)

	// Dispatching has do give out slots while no other process does; ok is false
	// when another is at it.
	Dispatching(ctx context.Context, do func(context.Context) error) (ok bool, err error)
	// Queued are queued requests of these environments that nothing holds,
	// without a run, of teams that may have another, in the order in which they
	// should get one.
	Queued(ctx context.Context, environments []string, l provision.Limits, limit int) ([]provision.InLine, error)
	// Held are held requests of these environments after one of them, by id.
	Held(ctx context.Context, environments []string, after uuid.UUID, limit int) ([]uuid.UUID, error)
	// Pauses are those in force.
	Pauses(ctx context.Context) ([]provision.Pause, error)
	// InFlight is how many runs of each pool have not ended.
	InFlight(ctx context.Context) (map[string]int, error)
	// Unclaimed are jobs, by pool, that no worker has claimed for age.
	Unclaimed(ctx context.Context, age time.Duration, limit int) (map[string][]provision.Job, error)
	// Expired are claimed runs whose lease has run out.
	Expired(ctx context.Context, limit int) ([]uuid.UUID, error)
	// UnderWay are requests with a step under way that was not told to have stalled.
	UnderWay(ctx context.Context, limit int) ([]uuid.UUID, error)
	Request(ctx context.Context, id uuid.UUID) (provision.Request, error)
	provision.History
	// Overdue are requests that are queued and were asked for at least age ago.
	Overdue(ctx context.Context, age time.Duration, limit int) ([]uuid.UUID, error)

	// Nearing are the newest requests of instances whose owners are to be told of their end.
	Nearing(ctx context.Context, limit int) ([]uuid.UUID, error)
	// Ended are instances whose end is due and can be asked for.
	Ended(ctx context.Context, limit int) ([]provision.Ended, error)

	// Unapproved are requests whose time to be approved is over.
	Unapproved(ctx context.Context, limit int) ([]uuid.UUID, error)

	// ScheduleDrift makes first drift checks due, and says how many.
	ScheduleDrift(ctx context.Context, every time.Duration, limit int) (int, error)

	// UntoldUnused are owners with unused instances that they were not told of, and
	// who were told of none for age.
	UntoldUnused(ctx context.Context, age time.Duration, limit int) ([]string, error)
	// TellUnused tells an owner of all that they have unused; told is false when
	// somebody else has done so.
	TellUnused(ctx context.Context, owner string, limit int) (told bool, err error)

	// OnCommit calls hook with the events of each commit of this process.
	OnCommit(hook func([]provision.Event))
	// Relay hands unpublished events of at least age to publish and forgets
	// those whose ids it returns.
	Relay(ctx context.Context, limit int, age time.Duration, publish func(context.Context, []provision.Event) ([]uuid.UUID, error)) (int, error)
	// Forget says that events are published.
	Forget(ctx context.Context, ids []uuid.UUID) error

	AppendLog(ctx context.Context, lines []provision.LogLine) error
}

// Queue is what the loops need of NATS.
type Queue interface {
	// Ready is nil while NATS can be reached.
	Ready() error
	PublishJob(ctx context.Context, pool string, job provision.Job) error
	// WaitingJobs is how many job messages wait for a pool's workers.
	WaitingJobs(ctx context.Context, pool string) (int, error)
	// PublishEvents answers the ids of those that are stored, whatever the error.
	PublishEvents(ctx context.Context, events []provision.Event) ([]uuid.UUID, error)
	// ConsumeReports gives reports in order until ctx ends; an Unavailable error
	// of handle brings the report again.
	ConsumeReports(ctx context.Context, handle func(context.Context, provision.Report) error) error
	ConsumeLogs(ctx context.Context, handle func(context.Context, []provision.LogLine) error) error
}

// Judge judges a queued request again when its turn comes, and says what holds it.
type Judge interface {
	JudgeQueued(ctx context.Context, r *provision.Record) (provision.Verdict, error)
	// Holds are what a queued request waits for besides a worker.
	Holds(ctx context.Context, r *provision.Record, pauses []provision.Pause) ([]provision.Hold, error)
}

// Ender asks for the end of what has expired.
type Ender interface {
	Expire(ctx context.Context, instanceID uuid.UUID) (provision.Request, error)
}

// Config is what the loops are made of. The durations have defaults.
type Config struct {
	Store        Store
	Queue        Queue
	Runs         Judge
	Ends         Ender      // nil ends nothing
	Campaigns    Campaigner // nil rolls nothing out
	Environments map[string]provision.Environment
	Log          *slog.Logger                // nil is silence
	Before       func(context.Context) error // asked before any job is offered, until it answers nil; nil is not asked

	Limits       func() provision.Limits // of runs in flight, those in force now; nil is the zero value
	QueueTimeout time.Duration           // how long a request may be queued before it fails, from when it was asked for, approved or released; 0 is 24 h
	Poll         time.Duration           // how often a loop looks by itself; 0 is 1 s
	Patience     time.Duration           // how long a job may be unclaimed before the sweep asks whether it was lost; 0 is 5 s
	DriftEvery   time.Duration           // between drift checks of an instance; 0 schedules none
	DriftLook    time.Duration           // how often instances that have no check due are looked for; 0 is 1 min
	StepLook     time.Duration           // how often steps are looked at for having stalled; 0 is 10 s
	Stall        time.Duration           // how long a loop may take for a round, or fail, before Health says so; 0 is 1 min
}

// Control is the loops of one sidecar. Several sidecars may run on one database.
type Control struct {
	relay      *relay
	dispatcher *dispatcher
	recorder   *recorder
	sweep      *sweep
	checks     *checks
	campaigns  *campaigns
	health     health
}

// New makes the loops; it starts none and needs nothing to be up. The store's
// commits wake them from now on.
func New(c Config) *Control {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Limits == nil {
		c.Limits = func() provision.Limits { return provision.Limits{} }
	}
	c.QueueTimeout = cmp.Or(c.QueueTimeout, 24*time.Hour)
	c.Poll = cmp.Or(c.Poll, time.Second)
	c.Patience = cmp.Or(c.Patience, 5*time.Second)
	c.DriftLook = cmp.Or(c.DriftLook, driftLook)
	c.StepLook = cmp.Or(c.StepLook, 10*time.Second)
	c.Stall = cmp.Or(c.Stall, time.Minute)
	g := &gate{ask: c.Before}
	control := &Control{
		relay: newRelay(c), dispatcher: newDispatcher(c, g), recorder: &recorder{store: c.Store, queue: c.Queue, log: c.Log},
		sweep: &sweep{Config: c, gate: g}, checks: &checks{Config: c}, campaigns: &campaigns{Config: c}, health: health{stall: c.Stall, now: time.Now},
	}
	c.Store.OnCommit(control.relay.offer)
	c.Store.OnCommit(control.dispatcher.wake)
	return control
}

// Run runs every loop until ctx ends and then returns nil, once each has
// finished what it had in hand.
func (c *Control) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.relay.run(ctx, c.health.loop("relay")) })
	group.Go(func() error { return c.relay.runSweep(ctx, c.health.loop("relay sweep")) })
	group.Go(func() error { return c.dispatcher.run(ctx, c.health.loop("dispatcher")) })
	group.Go(func() error { return c.sweep.run(ctx, c.health.loop("sweep")) })
	group.Go(func() error { return c.checks.run(ctx, c.health.loop("drift checks")) })
	group.Go(func() error { return c.campaigns.run(ctx, c.health.loop("campaigns")) })
	group.Go(func() error { return c.recorder.runReports(ctx, c.health.handler("recorder of reports")) })
	group.Go(func() error { return c.recorder.runLogs(ctx, c.health.handler("recorder of logs")) })
	return group.Wait()
}

// Health is nil while every loop makes progress, else an error that names those
// that have stalled and for how long. A loop that waits for a dependency which
// is down has not stalled.
func (c *Control) Health() error {
	var stalled []error
	for _, loop := range c.health.loops() {
		if loop.Stalled {
			stalled = append(stalled, provision.Errorf(provision.Unavailable, "the %s has made no progress since %s", loop.Name, loop.Progress.UTC().Format(time.RFC3339)))
		}
	}
	return errors.Join(stalled...)
}

// Watch has Health and Loops tell of a loop that runs elsewhere, too. Call begin
// when it has something to do, and done with how that ended; meanwhile it may
// wait for as long as it likes.
func (c *Control) Watch(name string) (begin func() (done func(error))) {
	return c.health.handler(name).begin
}

// Loops is how each loop fares, by name, for metrics.
func (c *Control) Loops() []LoopHealth { return c.health.loops() }

// every calls once at once, then whenever woken or interval has passed, until
// ctx ends. Errors are logged and told to b; the next round, which then waits
// for the interval, tries again.
func every(ctx context.Context, interval time.Duration, woken <-chan struct{}, b *beat, log *slog.Logger, once func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	b.paced(interval)
	for {
		done := b.begin()
		err := once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		done(err)
		wake := woken
		if err != nil {
			log.Warn("round failed; it is tried again", "loop", b.name, "err", err)
			wake = nil // whatever is down would be asked at every commit
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-tick.C:
		}
	}
}
