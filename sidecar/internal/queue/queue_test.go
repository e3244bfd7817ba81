package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const soon = 20 * time.Second

// connect is a sidecar's queue on server.
func connect(t *testing.T, server *testkit.NATSServer) *queue.Queue {
	t.Helper()
	return connectAs(t, queue.Config{URL: server.URL(), Name: "sidecar", OwnsStreams: true})
}

func connectAs(t *testing.T, cfg queue.Config) *queue.Queue {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	q, err := queue.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(q.Close)
	return q
}

// prepared is a tapped server with its streams, and a sidecar's queue on it.
func prepared(t *testing.T) (*testkit.NATSServer, *queue.Queue) {
	t.Helper()
	server := testkit.NATS(t)
	server.Tap(t)
	q := connect(t, server)
	if err := q.Ensure(t.Context()); err != nil {
		t.Fatalf("ensure: %v", err)
	}
	return server, q
}

func pool(t *testing.T, q *queue.Queue) *queue.Pool {
	t.Helper()
	p, err := q.Pool("local")
	if err != nil {
		t.Fatalf("pool: %v", err)
	}
	return p
}

// runs starts loop and waits for its end before the test's.
func runs(t *testing.T, loop func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("loop ended with: %v", err)
			}
		case <-time.After(soon):
			t.Error("loop does not end with its context")
		}
	})
	t.Cleanup(stop)
	return stop
}

// seen collects what handlers get.
type seen[T any] struct {
	sync.Mutex
	items []T
}

func (s *seen[T]) add(items ...T) {
	s.Lock()
	defer s.Unlock()
	s.items = append(s.items, items...)
}

func (s *seen[T]) all() []T {
	s.Lock()
	defer s.Unlock()
	return append([]T(nil), s.items...)
}

func (s *seen[T]) await(t *testing.T, n int) []T {
	t.Helper()
	testkit.Eventually(t, soon, "messages arrive", func() bool { return len(s.all()) >= n })
	return s.all()
}

func job() provision.Job {
	return provision.Job{RunID: provision.NewID(), RequestID: provision.NewID(), OfferingDigest: "sha256:1", DispatchedAt: time.Now()}
}

func report(run uuid.UUID, n int64) provision.Report {
	return provision.Report{
		RunID: run, Worker: "worker.example-1", Fence: 1, Sequence: n, Kind: provision.ReportAddress, At: time.Now(),
		Address: "terraform_data.x", Status: "completed",
	}
}

func line(run uuid.UUID, n int64) provision.LogLine {
	return provision.LogLine{RunID: run, Fence: 1, Number: n, At: time.Now(), Text: "made it"}
}

func event(n int64) provision.Event {
	return provision.Event{
		ID: provision.NewID(), Entity: "request", Verb: "queued", SubjectID: provision.NewID(), Sequence: n,
		Environment: "dev", At: time.Now().UTC().Truncate(time.Microsecond), Data: map[string]any{"state": "queued"},
	}
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var last error
	defer func() {
		if t.Failed() {
			t.Logf("%s: %v", what, last)
		}
	}()
	testkit.Eventually(t, soon, what, func() bool {
		last = try()
		return last == nil
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()

	t.Run("a job reaches one worker of its pool, once it is acknowledged never again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		want := job()
		if err := q.PublishJob(t.Context(), "elsewhere", job()); err != nil {
			t.Fatal(err)
		}
		if err := q.PublishJob(t.Context(), "local", want); err != nil {
			t.Fatal(err)
		}
		next, err := pool(t, q).Next(t.Context())
		if err != nil || next.Job.RunID != want.RunID || next.Job.RequestID != want.RequestID || !next.Job.DispatchedAt.Equal(want.DispatchedAt) {
			t.Fatalf("Next() = %v, %v; want %v", next.Job, err, want)
		}
		if n, err := q.WaitingJobs(t.Context(), "local"); n != 1 || err != nil {
			t.Errorf("WaitingJobs() = %d, %v before the answer, want 1", n, err)
		}
		if err := next.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, soon, "the job is removed", func() bool { return stored(t, server, "JOBS") == 1 })
		if n, err := q.WaitingJobs(t.Context(), "local"); n != 0 || err != nil {
			t.Errorf("WaitingJobs() = %d, %v after the answer, want 0", n, err)
		}
	})

	t.Run("a job that could not be claimed comes again", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		want := job()
		if err := q.PublishJob(t.Context(), "local", want); err != nil {
			t.Fatal(err)
		}
		var got seen[provision.Job]
		runs(t, func(ctx context.Context) error {
			return pool(t, q).Work(ctx, func(_ context.Context, j provision.Job) error {
				got.add(j)
				if len(got.all()) == 1 {
					return provision.Unreachable("the sidecar", nil)
				}
				return nil
			})
		})
		for _, j := range got.await(t, 2) {
			if j.RunID != want.RunID {
				t.Errorf("got a job of run %s, want %s", j.RunID, want.RunID)
			}
		}
	})

	t.Run("a job that is published again while the first waits is heard, too", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		again, p := job(), pool(t, q)
		for range 2 {
			if err := q.PublishJob(t.Context(), "local", again); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			next, err := p.Next(t.Context())
			if err != nil || next.Job.RunID != again.RunID {
				t.Fatalf("Next() = %v, %v; want a job of run %s", next.Job, err, again.RunID)
			}
			if err := next.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})

	t.Run("a job that someone else has, and one that is refused, never come again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		for range 2 {
			if err := q.PublishJob(t.Context(), "local", job()); err != nil {
				t.Fatal(err)
			}
		}
		answers := make(chan error, 2)
		answers <- provision.Errorf(provision.Conflict, "someone has it")
		answers <- provision.Errorf(provision.Invalid, "it is nonsense")
		runs(t, func(ctx context.Context) error {
			return pool(t, q).Work(ctx, func(context.Context, provision.Job) error { return <-answers })
		})
		testkit.Eventually(t, soon, "both jobs are removed", func() bool { return stored(t, server, "JOBS") == 0 })
	})

	t.Run("a busy worker leaves the next job to others", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		for range 2 {
			if err := q.PublishJob(t.Context(), "local", job()); err != nil {
				t.Fatal(err)
			}
		}
		var got seen[provision.Job]
		release := make(chan struct{})
		work := func(ctx context.Context) error {
			return pool(t, q).Work(ctx, func(_ context.Context, j provision.Job) error {
				got.add(j)
				<-release
				return nil
			})
		}
		runs(t, work)
		got.await(t, 1)
		runs(t, work)
		both := got.await(t, 2)
		close(release)
		if both[0].RunID == both[1].RunID {
			t.Errorf("both workers got run %s", both[0].RunID)
		}
	})

	t.Run("a wait for a job ends with its context", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := pool(t, q).Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Next() = %v, want context.Canceled", err)
		}
	})

	t.Run("a pool whose name would reach other subjects is refused", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		for _, name := range []string{"", "a.b", "*", ">", "a b"} {
			if err := q.PublishJob(t.Context(), name, job()); provision.KindOf(err) != provision.Invalid {
				t.Errorf("PublishJob(%q) = %v, want Invalid", name, err)
			}
			if _, err := q.Pool(name); provision.KindOf(err) != provision.Invalid {
				t.Errorf("Pool(%q) = %v, want Invalid", name, err)
			}
		}
	})
}

func TestReports(t *testing.T) {
	t.Parallel()

	t.Run("reports arrive in order, each once although it is published twice", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		var got seen[int64]
		runs(t, func(ctx context.Context) error {
			return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error { got.add(r.Sequence); return nil })
		})
		for n := int64(1); n <= 20; n++ {
			for range 2 {
				if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		inOrder(t, got.await(t, 20), 20)
	})

	t.Run("a report that cannot be taken now comes again before those after it", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		for n := int64(1); n <= 5; n++ {
			if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
				t.Fatal(err)
			}
		}
		var taken seen[int64]
		var refusals int
		runs(t, func(ctx context.Context) error {
			return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error {
				if r.Sequence == 2 && refusals < 2 {
					refusals++
					return provision.Unreachable("the database", nil)
				}
				taken.add(r.Sequence)
				return nil
			})
		})
		inOrder(t, taken.await(t, 5), 5)
	})

	t.Run("two replicas take turns without shuffling", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		other := connect(t, server)
		run, p := provision.NewID(), pool(t, q)
		var taken seen[int64]
		for _, replica := range []*queue.Queue{q, other} {
			runs(t, func(ctx context.Context) error {
				return replica.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error { taken.add(r.Sequence); return nil })
			})
		}
		for n := int64(1); n <= 50; n++ {
			if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
				t.Fatal(err)
			}
		}
		inOrder(t, taken.await(t, 50), 50)
	})

	t.Run("what is no report, and a refused one, are dropped and the next is taken", func(t *testing.T) {
		t.Parallel()
		server := testkit.NATS(t) // no tap: this test publishes nonsense
		q := connect(t, server)
		if err := q.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		run, p := provision.NewID(), pool(t, q)
		js := raw(t, server)
		for subject, nonsense := range map[string]string{
			"roadbed.rpt.v1.local.w." + run.String():               "nonsense",
			"roadbed.rpt.v1.local.w." + provision.NewID().String(): `{"run_id":"` + run.String() + `"}`, // another run's
		} {
			if _, err := js.Publish(t.Context(), subject, []byte(nonsense)); err != nil {
				t.Fatal(err)
			}
		}
		for n := int64(1); n <= 2; n++ {
			if err := p.PublishReport(t.Context(), report(run, n)); err != nil {
				t.Fatal(err)
			}
		}
		var got seen[int64]
		runs(t, func(ctx context.Context) error {
			return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error {
				got.add(r.Sequence)
				if r.Sequence == 1 {
					return provision.Errorf(provision.NotFound, "there is no such run")
				}
				return nil
			})
		})
		inOrder(t, got.await(t, 2), 2)
		testkit.Eventually(t, soon, "nothing waits for an answer", func() bool { return waiting(t, server, "REPORTS", "recorder") == 0 })
	})
}

func TestLogs(t *testing.T) {
	t.Parallel()

	t.Run("lines arrive in order and in batches", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		var lines []provision.LogLine
		for n := int64(1); n <= 1200; n++ {
			lines = append(lines, line(run, n))
		}
		for range 2 { // the second time they are repeats
			if err := p.PublishLogs(t.Context(), lines); err != nil {
				t.Fatal(err)
			}
		}
		var got seen[int64]
		var calls int
		runs(t, func(ctx context.Context) error {
			return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
				calls++
				for _, l := range lines {
					got.add(l.Number)
				}
				return nil
			})
		})
		inOrder(t, got.await(t, 1200), 1200)
		if calls > 100 {
			t.Errorf("1200 lines came in %d calls, want batches", calls)
		}
	})

	t.Run("two replicas do not shuffle a run's lines, and one goes on without the other", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		var got, first seen[int64]
		keep := func(mine *seen[int64]) func(context.Context, []provision.LogLine) error {
			return func(_ context.Context, lines []provision.LogLine) error {
				for _, l := range lines {
					got.add(l.Number)
					mine.add(l.Number)
				}
				return nil
			}
		}
		replica := connect(t, server)
		stop := runs(t, func(ctx context.Context) error { return replica.ConsumeLogs(ctx, keep(&first)) })
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1)}); err != nil {
			t.Fatal(err)
		}
		got.await(t, 1)
		runs(t, func(ctx context.Context) error { return q.ConsumeLogs(ctx, keep(&seen[int64]{})) })
		for n := int64(2); n <= 100; n++ {
			if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, n)}); err != nil {
				t.Fatal(err)
			}
		}
		inOrder(t, got.await(t, 100), 100)
		stop()
		replica.Close()
		had := len(first.all())
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 101)}); err != nil {
			t.Fatal(err)
		}
		inOrder(t, got.await(t, 101), 101)
		if len(first.all()) != had {
			t.Error("a replica that has stopped was given a line")
		}
	})

	t.Run("lines that cannot be kept now come again", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1), line(run, 2), line(run, 3)}); err != nil {
			t.Fatal(err)
		}
		var got seen[int64]
		var down bool
		runs(t, func(ctx context.Context) error {
			return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
				if !down {
					down = true
					return provision.Unreachable("the database", nil)
				}
				for _, l := range lines {
					got.add(l.Number)
				}
				return nil
			})
		})
		got.await(t, 3)
	})

	t.Run("one bad line costs no other", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		run, p := provision.NewID(), pool(t, q)
		if err := p.PublishLogs(t.Context(), []provision.LogLine{line(run, 1), line(run, 2), line(run, 3)}); err != nil {
			t.Fatal(err)
		}
		var got seen[int64]
		runs(t, func(ctx context.Context) error {
			return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
				for _, l := range lines {
					if l.Number == 2 {
						return provision.Errorf(provision.Invalid, "line 2 is bad")
					}
				}
				for _, l := range lines {
					got.add(l.Number)
				}
				return nil
			})
		})
		if all := got.await(t, 2); all[0] != 1 || all[1] != 3 {
			t.Errorf("kept lines %v, want 1 and 3", all)
		}
	})

	t.Run("a line that is too long is refused and the others are stored", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		run := provision.NewID()
		long := line(run, 1)
		long.Text = string(make([]byte, 200<<10))
		err := pool(t, q).PublishLogs(t.Context(), []provision.LogLine{long, line(run, 2)})
		if provision.KindOf(err) != provision.Invalid {
			t.Errorf("PublishLogs() = %v, want Invalid", err)
		}
		if n := stored(t, server, "LOGS"); n != 1 {
			t.Errorf("%d lines are stored, want 1", n)
		}
	})
}

// inOrder fails unless got is 1..n.
func inOrder(t *testing.T, got []int64, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("got %d messages, want %d: %v", len(got), n, got)
	}
	for i, g := range got {
		if g != int64(i+1) {
			t.Fatalf("message %d is number %d; all: %v", i+1, g, got)
		}
	}
}

// raw is JetStream beside the Queue.
func raw(t *testing.T, server *testkit.NATSServer) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func stored(t *testing.T, server *testkit.NATSServer, stream string) uint64 {
	t.Helper()
	s, err := raw(t, server).Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// waiting is how many messages of a consumer are not settled.
func waiting(t *testing.T, server *testkit.NATSServer, stream, consumer string) uint64 {
	t.Helper()
	c, err := raw(t, server).Consumer(t.Context(), stream, consumer)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(c.CachedInfo().NumAckPending) + c.CachedInfo().NumPending
}
