package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const soon = 30 * time.Second

// site is a sidecar's loops on a database and a NATS server of the test alone,
// with a worker that does what the test says.
type site struct {
	t      *testing.T
	dsn    string
	nats   *testkit.NATSServer
	store  *postgres.Store
	queue  *queue.Queue
	config control.Config
	judge  *judge

	mu   sync.Mutex
	seen []provision.Event // every message of the EVENTS stream, repeats too
}

// judge answers with a verdict that a test may replace.
type judge struct {
	mu      sync.Mutex
	verdict func(*provision.Record) (provision.Verdict, error)
	holds   func(*provision.Record, []provision.Pause) []provision.Hold // nil: nothing
}

func (j *judge) JudgeQueued(_ context.Context, r *provision.Record) (provision.Verdict, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.verdict(r)
}

// Holds are what the test says.
func (j *judge) Holds(_ context.Context, r *provision.Record, pauses []provision.Pause) ([]provision.Hold, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.holds != nil {
		return j.holds(r, pauses), nil
	}
	return nil, nil
}

func newSite(t *testing.T) *site { return newSiteOn(t, testkit.Database(t)) }

func newSiteOn(t *testing.T, dsn string) *site {
	t.Helper()
	s := &site{t: t, dsn: dsn, nats: testkit.NATS(t), judge: &judge{verdict: func(*provision.Record) (provision.Verdict, error) {
		return testkit.Verdict(), nil
	}}}
	s.store, s.queue = s.open(), s.connect()
	if err := s.store.PutBundle(t.Context(), testkit.Offering(), []byte("files")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, "the streams are made", func() bool { return s.queue.Ensure(t.Context()) == nil })
	s.nats.Tap(t)
	s.config = control.Config{
		Store: s.store, Queue: s.queue, Runs: s.judge, Limits: func() provision.Limits { return provision.Limits{Slots: 2} }, Poll: 50 * time.Millisecond, Patience: 200 * time.Millisecond,
		Log:          slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Environments: map[string]provision.Environment{"dev": {Name: "dev", Pool: "local"}, "prod": {Name: "prod", Pool: "aws"}},
	}
	return s
}

func (s *site) open() *postgres.Store {
	s.t.Helper()
	store, err := postgres.Open(s.dsn, postgres.Options{MaxConnections: 6})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(store.Close)
	return store
}

func (s *site) connect() *queue.Queue {
	s.t.Helper()
	q, err := queue.Connect(context.WithoutCancel(s.t.Context()), queue.Config{URL: s.nats.URL(), Name: "test", OwnsStreams: true, Log: slog.New(slog.NewTextHandler(s.t.Output(), nil))})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(q.Close)
	return q
}

// run starts the loops; they end with the test, or before by stop.
func (s *site) run(c control.Config) (loops *control.Control, stop func()) {
	s.t.Helper()
	loops = control.New(c)
	return loops, s.background(func(ctx context.Context) error { return loops.Run(ctx) })
}

// background runs something until the test ends, or before by stop.
func (s *site) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var done sync.WaitGroup
	done.Go(func() {
		if err := run(ctx); err != nil {
			s.t.Errorf("it ended with %v, want nil", err)
		}
	})
	stop = func() { cancel(); done.Wait() }
	s.t.Cleanup(stop)
	return stop
}

// follow collects every event that is published.
func (s *site) follow() {
	s.background(func(ctx context.Context) error {
		return s.queue.FollowEvents(ctx, queue.Follow{}, func(e queue.FollowedEvent) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.seen = append(s.seen, e.Event)
		})
	})
}

// published is how often each event id was published.
func (s *site) published() map[uuid.UUID]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := map[uuid.UUID]int{}
	for _, e := range s.seen {
		times[e.ID]++
	}
	return times
}

func (s *site) accept(name string, edit func(*provision.Request)) provision.Request {
	s.t.Helper()
	record := testkit.Created(name, edit)
	if err := s.store.Accept(s.t.Context(), record); err != nil {
		s.t.Fatalf("accept %s: %v", name, err)
	}
	return record.Request
}

func (s *site) request(id uuid.UUID) provision.Request {
	s.t.Helper()
	request, err := s.store.Request(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return request
}

func (s *site) becomes(id uuid.UUID, want provision.State) {
	s.t.Helper()
	testkit.Eventually(s.t, soon, fmt.Sprintf("request %s is %s", id, want), func() bool {
		request, err := s.store.Request(s.t.Context(), id)
		return err == nil && request.State == want
	})
}

// claim does what the worker API does for a job.
func (s *site) claim(ctx context.Context, worker string, run uuid.UUID, lease time.Duration) (*provision.Record, error) {
	return s.store.ChangeRun(ctx, run, func(r *provision.Record) error { return r.Claim(worker, "digest", lease) })
}

func (s *site) goOn(ctx context.Context, run uuid.UUID) error {
	_, err := s.store.ChangeRun(ctx, run, func(r *provision.Record) error { return r.GoOn(testkit.Verdict()) })
	return err
}

// side is what a worker of a pool speaks with.
func (s *site) side(pool, worker string) *queue.Pool {
	s.t.Helper()
	side, err := s.queue.Pool(pool, worker)
	if err != nil {
		s.t.Fatal(err)
	}
	return side
}

// worker does every job of the pool: it claims, goes on, says two lines and
// reports success, each message as often as told.
func (s *site) worker(pool string, times int) {
	s.t.Helper()
	side := s.side(pool, "w1")
	s.background(func(ctx context.Context) error {
		return side.Work(ctx, func(ctx context.Context, job provision.Job) error {
			record, err := s.claim(ctx, "w1", job.RunID, time.Minute)
			if err != nil {
				return err
			}
			if err := s.goOn(ctx, job.RunID); err != nil {
				return err
			}
			for range times {
				if err := s.say(ctx, side, *record.Run); err != nil {
					s.t.Errorf("publish: %v", err)
				}
			}
			return nil
		})
	})
}

func (s *site) say(ctx context.Context, side *queue.Pool, run provision.Run) error {
	now := time.Now().UTC()
	line := provision.LogLine{RunID: run.ID, Fence: run.Fence, At: now}
	lines := []provision.LogLine{line, line}
	for i := range lines {
		lines[i].Number, lines[i].Text = int64(i)+1, fmt.Sprintf("line %d", i+1)
	}
	if err := side.PublishLogs(ctx, lines); err != nil {
		return err
	}
	for i, status := range []string{"started", "completed"} {
		if err := side.PublishReport(ctx, provision.Report{
			RunID: run.ID, Worker: run.Worker, Fence: run.Fence, Sequence: int64(i) + 1, At: now,
			Kind: provision.ReportAddress, Address: "terraform_data.database", Status: status,
		}); err != nil {
			return err
		}
	}
	return side.PublishReport(ctx, outcome(run, 3))
}

func outcome(run provision.Run, sequence int64) provision.Report {
	return provision.Report{
		RunID: run.ID, Worker: run.Worker, Fence: run.Fence, Sequence: sequence, At: time.Now().UTC(), Kind: provision.ReportOutcome,
		Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true, Outputs: map[string]any{"host": "db.local"}},
	}
}

// allPublished waits until the outbox is empty and checks that each event of
// the request is in the stream, once.
func (s *site) allPublished(requests ...provision.Request) {
	s.t.Helper()
	testkit.Eventually(s.t, soon, "the outbox is empty", func() bool {
		n, _, err := s.store.Unpublished(s.t.Context())
		return err == nil && n == 0
	})
	for _, request := range requests {
		for _, subject := range []uuid.UUID{request.ID, request.InstanceID} {
			told, err := s.store.EventsAfter(s.t.Context(), subject, 0, 1000)
			if err != nil {
				s.t.Fatal(err)
			}
			testkit.Eventually(s.t, soon, "each event is in the stream", func() bool {
				times := s.published()
				for _, e := range told {
					if times[e.ID] == 0 {
						return false
					}
				}
				return true
			})
			for _, e := range told {
				if n := s.published()[e.ID]; n != 1 {
					s.t.Errorf("event %s %d of %s was published %d times, want once", e.Type(), e.Sequence, subject, n)
				}
			}
		}
	}
}
