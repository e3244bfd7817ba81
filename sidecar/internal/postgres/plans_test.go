package postgres_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestEveryQueryHasItsIndex forbids scans of whole tables wherever there is
// another way, does all that a busy sidecar does, and counts those that happened
// all the same.
func TestEveryQueryHasItsIndex(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store, err := postgres.Open(dsn+"&enable_seqscan=off", postgres.Options{MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	made := ready(t, store, accept(t, store, testkit.Created("orders", func(r *provision.Request) { r.IdempotencyKey = "k" })).Request.ID)
	accept(t, store, testkit.Destroyed(*made.Instance))
	snapshot, err := store.Snapshot(ctx)
	calls := map[string]error{"snapshot": err}
	try := func(name string, err error) { calls[name] = err }
	_, err = store.Changes(ctx, snapshot.Cursor, 0)
	try("changes", err)
	_, err = store.ChangeRun(ctx, made.Run.ID, func(r *provision.Record) error { return nil })
	try("change run", err)
	_, err = store.Request(ctx, made.Request.ID)
	try("request", err)
	for name, filter := range map[string]provision.RequestFilter{
		"all requests": {}, "an owner's": {Owners: []string{"group:default/payments"}}, "a person's": {RequestedBy: "user:default/ann"},
		"an instance's": {InstanceID: made.Instance.ID},
	} {
		_, err = store.Requests(ctx, filter)
		try(name, err)
	}
	_, err = store.Instances(ctx, provision.InstanceFilter{})
	try("all instances", err)
	_, err = store.Instances(ctx, provision.InstanceFilter{Owners: []string{"group:default/payments"}})
	try("an owner's instances", err)
	_, err = store.InstanceByName(ctx, "postgres-database", "dev", "orders")
	try("instance by name", err)
	_, err = store.Verdicts(ctx, made.Request.ID)
	try("verdicts", err)
	_, err = store.Journal(ctx, made.Instance.ID)
	try("journal", err)
	_, err = store.EventsAfter(ctx, made.Request.ID, 0, 10)
	try("events", err)
	try("append log", store.AppendLog(ctx, []provision.LogLine{{RunID: made.Run.ID, Pool: made.Run.Pool, Worker: made.Run.Worker, Fence: 1, Number: 1, At: time.Now(), Text: "x"}}))
	_, err = store.LogAfter(ctx, made.Request.ID, 0, 10)
	try("log", err)
	_, err = store.PushState(ctx, provision.StateVersion{InstanceID: made.Instance.ID, RunID: made.Run.ID, Fence: 1, Serial: 1, Sealed: []byte("x")})
	try("push state", err)
	_, err = store.LatestState(ctx, made.Instance.ID)
	try("state", err)
	_, err = store.Queued(ctx, []string{"dev"}, provision.Limits{}, 10)
	try("queued", err)
	_, err = store.Places(ctx, []uuid.UUID{made.Request.ID}, map[string]string{"dev": "local"}, provision.Limits{})
	try("places", err)
	_, err = store.Timing(ctx, made.Request, 200)
	try("timing", err)
	_, err = store.LastLog(ctx, made.Request)
	try("last log", err)
	_, err = store.InFlight(ctx)
	try("in flight", err)
	_, err = store.Unclaimed(ctx, 0, 10)
	try("unclaimed", err)
	_, err = store.Expired(ctx, 10)
	try("expired", err)
	_, err = store.Overdue(ctx, 0, 10)
	try("overdue", err)
	waits := waiting(t, store, "invoices", 1, time.Hour)
	_, err = store.Unapproved(ctx, 10)
	try("unapproved", err)
	_, err = store.Approvals(ctx, pat, 10)
	try("approvals", err)
	_, err = store.KeptPlan(ctx, waits.Run.ID)
	try("kept plan", err)
	_, err = store.Change(ctx, waits.Request.ID, func(r *provision.Record) error { return r.Reject(pat, "no") })
	try("reject", err)
	_, err = store.Relay(ctx, 10, 0, func(_ context.Context, events []provision.Event) ([]uuid.UUID, error) {
		return []uuid.UUID{events[0].ID}, nil
	})
	try("relay", err)
	for name, err := range calls {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	store.Close() // its counts are told when its sessions end

	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	testkit.Eventually(t, 10*time.Second, "the counts have arrived", func() bool {
		var scans int64
		err := conn.QueryRow(ctx, `SELECT COALESCE(sum(idx_scan), 0) FROM pg_stat_user_tables WHERE relname = 'outbox'`).Scan(&scans)
		return err == nil && scans > 0
	})
	rows, _ := conn.Query(ctx, `SELECT relname FROM pg_stat_user_tables WHERE seq_scan > 0 AND relname NOT LIKE 'goose%' ORDER BY relname`)
	scanned, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{}, append([]string{}, scanned...)); diff != "" {
		t.Errorf("tables that were scanned as a whole (-want +got):\n%s", diff)
	}
}

func TestAcceptIsOneRoundTripAndChangeIsTwo(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(testkit.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := newTurnCounter(t, target.Host)
	target.Host = proxy.address
	store, err := postgres.Open(target.String(), postgres.Options{MaxConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	accept(t, store, testkit.Created("first", nil)) // prepares the statements
	record := testkit.Created("orders", nil)
	if n := proxy.turns(func() { accept(t, store, record) }); n != 1 {
		t.Errorf("accept took %d round trips, want 1", n)
	}
	change(t, store, record.Request.ID, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	claimOnce := func(r *provision.Record) error { return r.Claim("w1", "digest", minute) }
	renew := func(r *provision.Record) error { return r.Renew(minute) }
	change(t, store, record.Request.ID, claimOnce)
	change(t, store, record.Request.ID, renew)
	if n := proxy.turns(func() { change(t, store, record.Request.ID, renew) }); n != 2 {
		t.Errorf("change took %d round trips, want 2", n)
	}
}

// A network that swallows packets gives no error: only time ends such a call.
func TestDatabaseThatNoLongerAnswersIsUnavailable(t *testing.T) {
	t.Parallel()
	target, err := url.Parse(testkit.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := newTurnCounter(t, target.Host)
	target.Host = proxy.address
	store, err := postgres.Open(target.String(), postgres.Options{MaxConnections: 2, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	// The first connections of a busy machine may take their time.
	testkit.Eventually(t, 20*time.Second, "the store works", func() bool { return store.Ping(t.Context()) == nil })
	request := uuid.New()
	proxy.deaf.Store(true)
	for name, call := range map[string]func() error{
		"accept": func() error { return store.Accept(t.Context(), testkit.Created("orders", nil)) },
		"change": func() error {
			_, err := store.Change(t.Context(), request, func(r *provision.Record) error { return nil })
			return err
		},
		"queued": func() error { _, err := store.Queued(t.Context(), []string{"dev"}, provision.Limits{}, 1); return err },
		"log":    func() error { return store.AppendLog(t.Context(), []provision.LogLine{{RunID: request, Number: 1}}) },
	} {
		began := time.Now()
		if err := call(); kindOf(err) != provision.Unavailable {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	proxy.deaf.Store(false)
	testkit.Eventually(t, 20*time.Second, "the store works again", func() bool { return store.Ping(t.Context()) == nil })
}

// turnCounter is a proxy before Postgres that counts how often the client speaks
// after the server has.
type turnCounter struct {
	address string
	n       atomic.Int64
	server  atomic.Bool // the server spoke last
	deaf    atomic.Bool // nothing gets through any more
}

func newTurnCounter(t *testing.T, target string) *turnCounter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c := &turnCounter{address: strings.Replace(listener.Addr().String(), "[::]", "127.0.0.1", 1)}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			go c.copy(server, client, func() {
				if c.server.CompareAndSwap(true, false) {
					c.n.Add(1)
				}
			})
			go c.copy(client, server, func() { c.server.Store(true) })
		}
	}()
	return c
}

func (c *turnCounter) copy(to io.WriteCloser, from io.Reader, spoke func()) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			spoke()
			if c.deaf.Load() {
				continue
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// turns is how many round trips do takes.
func (c *turnCounter) turns(do func()) int64 {
	before := c.n.Load()
	do()
	return c.n.Load() - before
}
