package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// limited is a worker's queue on server, with the permissions of a worker.
func limited(t *testing.T, server *testkit.NATSServer, pool, worker string) *queue.Pool {
	t.Helper()
	q := connectAs(t, queue.Config{URL: server.WorkerURL(pool, worker), Name: worker, Inbox: queue.WorkerInbox(pool, worker)})
	p, err := q.Pool(pool, worker)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheSidecarAndAWorkerDoTheirWorkWithTheirPermissions(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t, "local.w1", "aws.w1")
	server.Tap(t)
	q := connectAs(t, queue.Config{URL: server.SidecarURL(), Name: "sidecar", OwnsStreams: true})
	reports, lines := &seen[provision.Report]{}, &seen[provision.LogLine]{}
	runs(t, func(ctx context.Context) error {
		return q.ConsumeReports(ctx, func(_ context.Context, r provision.Report) error { reports.add(r); return nil })
	})
	runs(t, func(ctx context.Context) error {
		return q.ConsumeLogs(ctx, func(_ context.Context, l []provision.LogLine) error { lines.add(l...); return nil })
	})
	worker := limited(t, server, "local", "w1")
	given := job()
	eventually(t, "the job is offered", func() error { return q.PublishJob(t.Context(), "local", given) })
	delivery, err := worker.Next(t.Context())
	if err != nil || delivery.Job.RunID != given.RunID {
		t.Fatalf("Next() = %v, %v; want the job", delivery.Job, err)
	}
	said := report(given.RunID, 1)
	said.Worker = "w1"
	eventually(t, "the report is stored", func() error { return worker.PublishReport(t.Context(), said) })
	eventually(t, "the line is stored", func() error { return worker.PublishLogs(t.Context(), []provision.LogLine{line(given.RunID, 1)}) })
	if err := delivery.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, soon, "the job is acknowledged", func() bool {
		n, err := q.WaitingJobs(t.Context(), "local")
		return err == nil && n == 0
	})
	if got := reports.await(t, 1)[0]; got.Pool != "local" || got.Worker != "w1" {
		t.Errorf("the report is of %s/%s, want local/w1", got.Pool, got.Worker)
	}
	if got := lines.await(t, 1)[0]; got.Pool != "local" || got.Worker != "w1" {
		t.Errorf("the line is of %s/%s, want local/w1", got.Pool, got.Worker)
	}
	told := event(1)
	if _, err := q.PublishEvents(t.Context(), []provision.Event{told}); err != nil {
		t.Fatal(err)
	}
	if last, ok, err := q.LastEvent(t.Context()); err != nil || !ok || last.ID != told.ID {
		t.Errorf("the newest event is %s, %t (%v); want %s", last.ID, ok, err, told.ID)
	}
	past := 0
	if err := q.PastEvents(t.Context(), func(queue.FollowedEvent) { past++ }); err != nil || past != 1 {
		t.Errorf("%d past events, %v; want one", past, err)
	}
}

// TestASidecarsUserRemovesNothing tries what a stolen sidecar's NATS user would.
func TestASidecarsUserRemovesNothing(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t)
	conn, err := nats.Connect(server.SidecarURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, subject := range []string{"$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.CREATE.OTHER", "roadbed.rpt.v1.local.w1.x", "$SYS.REQ.SERVER.PING"} {
		if err := errors.Join(conn.Publish(subject, nil), conn.Flush()); err != nil {
			t.Fatal(err)
		}
		if err := conn.LastError(); err == nil || !strings.Contains(err.Error(), subject) {
			t.Errorf("publishing on %s: %v, want a violation", subject, err)
		}
	}
}

// TestAWorkersUserMayDoNothingElse tries whatever a stolen worker would.
func TestAWorkersUserMayDoNothingElse(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t, "local.w1", "aws.w1")
	q := connect(t, server)
	eventually(t, "the streams are made", func() error { return q.Ensure(t.Context()) })
	eventually(t, "the pools' consumers are made", func() error {
		return q.PublishJob(t.Context(), "local", job())
	})
	refused := make(chan error, 100)
	conn, err := nats.Connect(server.WorkerURL("aws", "w1"), nats.CustomInboxPrefix(queue.WorkerInbox("aws", "w1")),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	heard := make(chan *nats.Msg, 100)
	all, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if _, err := all.ChanSubscribe(">", heard); err != nil {
		t.Fatal(err)
	}
	if err := all.Flush(); err != nil {
		t.Fatal(err)
	}
	forged, err := json.Marshal(report(provision.NewID(), 1))
	if err != nil {
		t.Fatal(err)
	}
	for what, subject := range map[string]string{
		"a report of another pool's worker": "roadbed.rpt.v1.local.w1.01990000-0000-7000-8000-000000000001",
		"a report of its pool's other":      "roadbed.rpt.v1.aws.w2.01990000-0000-7000-8000-000000000001",
		"a line of another":                 "roadbed.log.v1.local.w1.01990000-0000-7000-8000-000000000001",
		"a job":                             "roadbed.job.v1.aws.normal",
		"an event":                          "roadbed.evt.v1.request.succeeded.prod.01990000-0000-7000-8000-000000000001",
		"to delete a stream":                "$JS.API.STREAM.DELETE.EVENTS",
		"to empty a stream":                 "$JS.API.STREAM.PURGE.REPORTS",
		"to read a stored report":           "$JS.API.STREAM.MSG.GET.REPORTS",
		"to read a stored report directly":  "$JS.API.DIRECT.GET.REPORTS",
		"to list the streams":               "$JS.API.STREAM.NAMES",
		"a consumer that delivers anywhere": "$JS.API.CONSUMER.DURABLE.CREATE.JOBS.pool-aws",
		"a consumer of reports":             "$JS.API.CONSUMER.CREATE.REPORTS.mine",
		"another pool's job":                "$JS.API.CONSUMER.MSG.NEXT.JOBS.pool-local",
		"to acknowledge another's job":      "$JS.ACK.JOBS.pool-local.1.1.1.1.1",
		"what the server says of itself":    "$SYS.REQ.SERVER.PING",
		"an answer to another worker":       queue.WorkerInbox("local", "w1") + ".x",
	} {
		if err := conn.Publish(subject, forged); err != nil {
			t.Fatal(err)
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !strings.Contains(strings.ToLower(err.Error()), "permissions violation for publish") {
			t.Errorf("%s: %v, want a violation", what, err)
		}
	}
	for what, subject := range map[string]string{
		"all":                     ">",
		"jobs":                    "roadbed.job.v1.>",
		"its own pool's jobs":     "roadbed.job.v1.aws.>",
		"events":                  "roadbed.evt.v1.>",
		"the usual inboxes":       "_INBOX.>",
		"another worker's inbox":  queue.WorkerInbox("local", "w1") + ".>",
		"what followers are sent": queue.FollowerInbox + ".>",
	} {
		if _, err := conn.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !strings.Contains(strings.ToLower(err.Error()), "permissions violation for subscription") {
			t.Errorf("listening to %s: %v, want a violation", what, err)
		}
	}
	if err := all.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case msg := <-heard:
		t.Errorf("a message on %s went through", msg.Subject)
	default:
	}
}

func TestAFollowersUserReadsEventsAlone(t *testing.T) {
	t.Parallel()
	server := testkit.NATS(t)
	q := connect(t, server)
	eventually(t, "the streams are made", func() error { return q.Ensure(t.Context()) })
	told := event(1)
	if _, err := q.PublishEvents(t.Context(), []provision.Event{told}); err != nil {
		t.Fatal(err)
	}
	follower := connectAs(t, queue.Config{URL: server.FollowerURL(), Name: "follower", Inbox: queue.FollowerInbox})
	events := &seen[queue.FollowedEvent]{}
	runs(t, func(ctx context.Context) error {
		return follower.FollowEvents(ctx, queue.Follow{}, func(e queue.FollowedEvent) { events.add(e) })
	})
	if got := events.await(t, 1)[0]; got.ID != told.ID {
		t.Errorf("followed event %s, want %s", got.ID, told.ID)
	}
	refused := make(chan error, 10)
	conn, err := nats.Connect(server.FollowerURL(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, subject := range []string{
		"roadbed.evt.v1.request.succeeded.prod.x", "roadbed.rpt.v1.local.w1.x", "$JS.API.CONSUMER.CREATE.REPORTS.mine", "$JS.API.STREAM.DELETE.EVENTS",
	} {
		if err := errors.Join(conn.Publish(subject, nil), conn.Flush()); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !strings.Contains(strings.ToLower(err.Error()), "permissions violation for publish") {
			t.Errorf("publishing on %s: %v, want a violation", subject, err)
		}
	}
}
