package queue_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// publishers are every way to publish one message.
func publishers(t *testing.T, q *queue.Queue) map[string]func(context.Context) error {
	t.Helper()
	p := pool(t, q)
	return map[string]func(context.Context) error{
		"PublishJob":    func(ctx context.Context) error { return q.PublishJob(ctx, "local", job()) },
		"PublishReport": func(ctx context.Context) error { return p.PublishReport(ctx, report(provision.NewID(), 1)) },
		"PublishLogs": func(ctx context.Context) error {
			return p.PublishLogs(ctx, []provision.LogLine{line(provision.NewID(), 1), line(provision.NewID(), 1)})
		},
		"PublishEvents": func(ctx context.Context) error {
			published, err := q.PublishEvents(ctx, []provision.Event{event(1), event(2)})
			if err != nil && len(published) > 0 {
				t.Errorf("PublishEvents() = %v, %v; want none published", published, err)
			}
			return err
		},
	}
}

// everyone is every consumer, each counting what it gets.
type everyone struct {
	jobs, reports, lines, events atomic.Int64
}

func consumeAll(t *testing.T, q *queue.Queue) *everyone {
	t.Helper()
	all, p := &everyone{}, pool(t, q)
	runs(t, func(ctx context.Context) error {
		return p.Work(ctx, func(context.Context, provision.Job) error { all.jobs.Add(1); return nil })
	})
	runs(t, func(ctx context.Context) error {
		return q.ConsumeReports(ctx, func(context.Context, provision.Report) error { all.reports.Add(1); return nil })
	})
	runs(t, func(ctx context.Context) error {
		return q.ConsumeLogs(ctx, func(_ context.Context, lines []provision.LogLine) error {
			all.lines.Add(int64(len(lines)))
			return nil
		})
	})
	runs(t, func(ctx context.Context) error {
		return q.FollowEvents(ctx, queue.Follow{}, func(queue.FollowedEvent) { all.events.Add(1) })
	})
	return all
}

// goOn publishes with every publisher until it succeeds, and waits until every
// consumer has heard of it.
func (e *everyone) goOn(t *testing.T, q *queue.Queue) {
	t.Helper()
	before := [4]int64{e.jobs.Load(), e.reports.Load(), e.lines.Load(), e.events.Load()}
	for name, publish := range publishers(t, q) {
		eventually(t, name+" goes on", func() error { return publish(t.Context()) })
	}
	testkit.Eventually(t, soon, "jobs go on", func() bool { return e.jobs.Load() > before[0] })
	testkit.Eventually(t, soon, "reports go on", func() bool { return e.reports.Load() > before[1] })
	testkit.Eventually(t, soon, "logs go on", func() bool { return e.lines.Load() > before[2] })
	testkit.Eventually(t, soon, "events go on", func() bool { return e.events.Load() > before[3] })
}

func refuse(t *testing.T, q *queue.Queue) {
	t.Helper()
	for name, publish := range publishers(t, q) {
		began := time.Now()
		err := publish(t.Context())
		if provision.KindOf(err) != provision.Unavailable {
			t.Errorf("%s = %v, want Unavailable", name, err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	if err := q.Ready(); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("Ready() = %v, want Unavailable", err)
	}
	if _, err := q.WaitingJobs(t.Context(), "local"); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("WaitingJobs() = %v, want Unavailable", err)
	}
	if err := q.Ensure(t.Context()); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("Ensure() = %v, want Unavailable", err)
	}
}

func TestOutages(t *testing.T) {
	t.Parallel()

	t.Run("a queue may connect before there is a server", func(t *testing.T) {
		t.Parallel()
		server := testkit.NATS(t)
		server.Tap(t)
		server.Stop()
		q := connect(t, server)
		all := consumeAll(t, q)
		refuse(t, q)
		server.Start()
		all.goOn(t, q)
	})

	t.Run("a server that was away is used again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		all := consumeAll(t, q)
		all.goOn(t, q)
		server.Stop()
		testkit.Eventually(t, soon, "the loss is noticed", func() bool { return q.Ready() != nil })
		refuse(t, q)
		server.Start()
		all.goOn(t, q)
	})

	t.Run("what is stored when a server goes is delivered when it is back", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		for name, publish := range publishers(t, q) {
			if err := publish(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		server.Stop()
		all := consumeAll(t, q)
		server.Start()
		testkit.Eventually(t, soon, "everything arrives", func() bool {
			return all.jobs.Load() == 1 && all.reports.Load() == 1 && all.lines.Load() == 2 && all.events.Load() == 2
		})
	})

	t.Run("a server that lost its data is furnished again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		all := consumeAll(t, q)
		for range 3 {
			all.goOn(t, q)
		}
		server.Stop()
		server.WipeData()
		server.Start()
		all.goOn(t, q)
	})

	t.Run("a stream that is deleted is made again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		all := consumeAll(t, q)
		all.goOn(t, q)
		js := raw(t, server)
		for _, stream := range []string{"JOBS", "REPORTS", "LOGS", "EVENTS"} {
			if err := js.DeleteStream(t.Context(), stream); err != nil {
				t.Fatal(err)
			}
		}
		all.goOn(t, q)
	})

	t.Run("a consumer that is deleted is made again", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		all := consumeAll(t, q)
		all.goOn(t, q)
		js := raw(t, server)
		for _, stream := range []string{"JOBS", "REPORTS", "LOGS", "EVENTS"} {
			s, err := js.Stream(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			for name := range s.ConsumerNames(t.Context()).Name() {
				if err := s.DeleteConsumer(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
		}
		all.goOn(t, q)
	})

	t.Run("a worker makes no streams and waits for the sidecar's", func(t *testing.T) {
		t.Parallel()
		server := testkit.NATS(t)
		server.Tap(t)
		worker := connectAs(t, queue.Config{URL: server.URL(), Name: "worker"})
		got := make(chan provision.Job, 1)
		runs(t, func(ctx context.Context) error {
			return pool(t, worker).Work(ctx, func(_ context.Context, j provision.Job) error { got <- j; return nil })
		})
		if err := pool(t, worker).PublishReport(t.Context(), report(provision.NewID(), 1)); provision.KindOf(err) != provision.Unavailable {
			t.Errorf("PublishReport() = %v, want Unavailable", err)
		}
		want := job()
		eventually(t, "the sidecar publishes", func() error { return connect(t, server).PublishJob(t.Context(), "local", want) })
		select {
		case j := <-got:
			if j.RunID != want.RunID {
				t.Errorf("got run %s, want %s", j.RunID, want.RunID)
			}
		case <-time.After(soon):
			t.Error("the job does not arrive")
		}
	})

	t.Run("a server that no longer answers is down after the caller's time", func(t *testing.T) {
		t.Parallel()
		server := testkit.NATS(t)
		wire := newWire(t, strings.TrimPrefix(server.URL(), "nats://"))
		q := connectAs(t, queue.Config{URL: "nats://" + wire.address, Name: "sidecar", OwnsStreams: true})
		eventually(t, "the streams are made", func() error { return q.Ensure(t.Context()) })
		wire.cut.Store(true)
		for name, publish := range publishers(t, q) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			began := time.Now()
			if err := publish(ctx); provision.KindOf(err) != provision.Unavailable {
				t.Errorf("%s = %v, want Unavailable", name, err)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%s took %s with 200 ms to spend", name, took)
			}
			cancel()
		}
	})
}

// wire carries bytes to a server until it is cut; then it swallows them.
type wire struct {
	address string
	cut     atomic.Bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	w := &wire{address: listener.Addr().String()}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go w.carry(near, far)
			go w.carry(far, near)
		}
	}()
	return w
}

func (w *wire) carry(to io.WriteCloser, from io.Reader) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if w.cut.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
