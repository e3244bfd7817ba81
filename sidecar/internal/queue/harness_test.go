package queue_test

import (
	"context"
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

// soon is long because test machines are busy; nothing waits for it to pass.
const soon = time.Minute

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
	p, err := q.Pool("local", "worker.example-1")
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
