package queue_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

func TestEvents(t *testing.T) {
	t.Parallel()

	t.Run("an event is a CloudEvent in binary mode", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		conn, err := nats.Connect(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		sub, err := conn.SubscribeSync(queue.EverySubject)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Flush(); err != nil {
			t.Fatal(err)
		}
		sent := event(7)
		publish(t, q, sent)
		msg, err := sub.NextMsg(soon)
		if err != nil {
			t.Fatal(err)
		}
		// The binary mode of HTTP differs in the case of names, and has the type
		// of the data in Content-Type alone.
		header := http.Header{}
		for name, values := range msg.Header {
			if name != "ce-datacontenttype" {
				header.Set(name, values[0])
			}
		}
		got, err := binding.ToEvent(t.Context(), cehttp.NewMessage(header, io.NopCloser(bytes.NewReader(msg.Data))))
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("the SDK refuses it: %v", err)
		}
		want := map[string]any{
			"id": sent.ID.String(), "type": "dev.roadbed.request.queued.v1", "source": "/roadbed", "subject": sent.SubjectID.String(),
			"time": sent.At.UTC(), "content": "application/json", "sequence": "00000000000000000007", "data": `{"state":"queued"}`,
		}
		have := map[string]any{
			"id": got.ID(), "type": got.Type(), "source": got.Source(), "subject": got.Subject(),
			"time": got.Time().UTC(), "content": got.DataContentType(), "sequence": got.Extensions()["sequence"], "data": string(got.Data()),
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("want(-) got(+):\n%s", diff)
		}
		if id := msg.Header[nats.MsgIdHdr]; len(id) != 1 || id[0] != sent.ID.String() {
			t.Errorf("Nats-Msg-Id is %v, want %s", id, sent.ID)
		}
	})

	t.Run("an event that is published again is stored once and counts as published", func(t *testing.T) {
		t.Parallel()
		server, q := prepared(t)
		events := []provision.Event{event(1), event(2)}
		publish(t, q, events...)
		publish(t, q, events...)
		if n := stored(t, server, "EVENTS"); n != 2 {
			t.Errorf("%d events are stored, want 2", n)
		}
	})

	t.Run("an event that can never be sent keeps no other back", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		unfit, large, fit := event(1), event(2), event(3)
		unfit.Environment = "dev.>"
		large.Data = map[string]any{"state": string(make([]byte, 100<<10))} // longer once escaped
		published, err := q.PublishEvents(t.Context(), []provision.Event{unfit, large, fit})
		if diff := cmp.Diff([]uuid.UUID{fit.ID}, published); diff != "" {
			t.Errorf("published: want(-) got(+):\n%s", diff)
		}
		if provision.KindOf(err) != provision.Invalid {
			t.Errorf("error is %v, want Invalid", err)
		}
	})

	t.Run("followers get what they ask for", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		first, second, third := event(1), event(1), event(1)
		second.Environment = "prod"
		publish(t, q, first)
		publish(t, q, second)
		tests := map[string]struct {
			follow queue.Follow
			want   []uuid.UUID
		}{
			"all":             {queue.Follow{}, []uuid.UUID{first.ID, second.ID, third.ID}},
			"after one":       {queue.Follow{After: 1}, []uuid.UUID{second.ID, third.ID}},
			"one environment": {queue.Follow{Subject: "roadbed.evt.v1.*.*.dev.>"}, []uuid.UUID{first.ID, third.ID}},
			"one subject":     {queue.Follow{Subject: first.Subject()}, []uuid.UUID{first.ID}},
			"of a lost place": {queue.Follow{After: 1000}, []uuid.UUID{first.ID, second.ID, third.ID}},
		}
		followers := map[string]*seen[queue.FollowedEvent]{}
		for name, test := range tests {
			followers[name] = follow(t, q, test.follow)
		}
		followers["all"].await(t, 2)
		publish(t, q, third)
		for name, test := range tests {
			var got []uuid.UUID
			for _, e := range followers[name].await(t, len(test.want)) {
				got = append(got, e.ID)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s: want(-) got(+):\n%s", name, diff)
			}
		}
		if diff := cmp.Diff(third, followers["all"].all()[2].Event); diff != "" {
			t.Errorf("read back: want(-) got(+):\n%s", diff)
		}
	})

	t.Run("a follower of new events sees no old one", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		publish(t, q, event(1))
		got := follow(t, q, queue.Follow{New: true})
		eventually(t, "a new event is seen", func() error {
			publish(t, q, event(2))
			if len(got.all()) == 0 {
				return context.DeadlineExceeded
			}
			return nil
		})
		for _, e := range got.all() {
			if e.Sequence != 2 {
				t.Errorf("saw event %d", e.Sequence)
			}
		}
	})

	t.Run("a subject that is none of events is refused", func(t *testing.T) {
		t.Parallel()
		_, q := prepared(t)
		for _, subject := range []string{"roadbed.job.v1.>", ">", "roadbed.evt.v1.> ", "roadbed.evt.v1..x"} {
			err := q.FollowEvents(t.Context(), queue.Follow{Subject: subject}, func(queue.FollowedEvent) {})
			if provision.KindOf(err) != provision.Invalid {
				t.Errorf("FollowEvents(%q) = %v, want Invalid", subject, err)
			}
		}
	})
}

func follow(t *testing.T, q *queue.Queue, f queue.Follow) *seen[queue.FollowedEvent] {
	t.Helper()
	got := &seen[queue.FollowedEvent]{}
	runs(t, func(ctx context.Context) error {
		return q.FollowEvents(ctx, f, func(e queue.FollowedEvent) { got.add(e) })
	})
	return got
}

// publish publishes events as their owner does: those that are not stored again.
func publish(t *testing.T, q *queue.Queue, events ...provision.Event) {
	t.Helper()
	rest := slices.Clone(events)
	eventually(t, "events are published", func() error {
		published, err := q.PublishEvents(t.Context(), rest)
		if err == nil && len(published) != len(rest) {
			t.Fatalf("PublishEvents() answers %d ids for %d events and no error", len(published), len(rest))
		}
		rest = slices.DeleteFunc(rest, func(e provision.Event) bool { return slices.Contains(published, e.ID) })
		return err
	})
}
