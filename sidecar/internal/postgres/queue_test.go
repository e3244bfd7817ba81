package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestOutboxForgetsOnlyWhatIsPublished(t *testing.T) {
	t.Parallel()
	store := open(t)
	var heard []provision.Event
	store.OnCommit(func(events []provision.Event) { heard = append(heard, events...) })
	bell, stop := store.Watch(uuid.Nil)
	defer stop()
	record := accept(t, store, testkit.Created("orders", nil))
	if diff := cmp.Diff(record.Events(), heard); diff != "" {
		t.Errorf("the hook heard (-told +heard):\n%s", diff)
	}
	select {
	case <-bell:
	default:
		t.Error("the watcher was not woken")
	}
	if n, err := store.Relay(t.Context(), 10, time.Hour, nil); n != 0 || err != nil {
		t.Errorf("%d events are an hour old (%v), want none", n, err)
	}
	failure := errors.New("the stream is full")
	n, err := store.Relay(t.Context(), 10, 0, func(_ context.Context, events []provision.Event) ([]uuid.UUID, error) {
		return []uuid.UUID{events[0].ID}, failure
	})
	if n != 5 || !errors.Is(err, failure) {
		t.Errorf("relayed %d (%v), want 5 and publish's error", n, err)
	}
	var rest []provision.Event
	n, err = store.Relay(t.Context(), 10, 0, func(_ context.Context, events []provision.Event) ([]uuid.UUID, error) {
		rest = events
		if left, err := store.Relay(t.Context(), 10, 0, nil); left != 0 || err != nil {
			t.Errorf("another relay saw %d locked events (%v), want none", left, err)
		}
		ids := []uuid.UUID{}
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		return ids, nil
	})
	if n != 4 || err != nil || len(rest) != 4 {
		t.Errorf("relayed %d (%v), want the 4 that are left", n, err)
	}
	if n, oldest, err := store.Unpublished(t.Context()); n != 0 || oldest != 0 || err != nil {
		t.Errorf("%d unpublished since %s (%v), want none", n, oldest, err)
	}
}

func TestOwnersTakeTurnsInTheQueue(t *testing.T) {
	t.Parallel()
	store := open(t)
	var ids []uuid.UUID
	for _, each := range []struct{ name, owner, environment string }{
		{"p1", "group:default/payments", "dev"}, {"p2", "group:default/payments", "dev"}, {"p3", "group:default/payments", "dev"},
		{"s1", "group:default/search", "dev"}, {"x1", "group:default/search", "prod"},
	} {
		ids = append(ids, accept(t, store, testkit.Created(each.name, func(r *provision.Request) {
			r.Owner, r.Environment = each.owner, each.environment
		})).Request.ID)
	}
	queued := func() (got []uuid.UUID) {
		t.Helper()
		line, err := store.Queued(t.Context(), []string{"dev"}, provision.Limits{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, next := range line {
			got = append(got, next.RequestID)
		}
		return got
	}
	if diff := cmp.Diff([]uuid.UUID{ids[0], ids[3], ids[1], ids[2]}, queued()); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	change(t, store, ids[0], func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	if diff := cmp.Diff([]uuid.UUID{ids[3], ids[1], ids[2]}, queued()); diff != "" {
		t.Errorf("queue once p1 is dispatched (-want +got):\n%s", diff)
	}
	inFlight, err := store.InFlight(t.Context())
	if diff := cmp.Diff(map[string]int{"local": 1}, inFlight); diff != "" || err != nil {
		t.Errorf("in flight (%v; -want +got):\n%s", err, diff)
	}
	jobs, err := store.Unclaimed(t.Context(), 0, 10)
	if err != nil || len(jobs["local"]) != 1 || jobs["local"][0].RequestID != ids[0] {
		t.Errorf("unclaimed are %v (%v), want p1's job", jobs, err)
	}
	if jobs, err := store.Unclaimed(t.Context(), time.Minute, 10); err != nil || len(jobs) != 0 {
		t.Errorf("unclaimed for a minute are %v (%v), want none", jobs, err)
	}
	overdue, err := store.Overdue(t.Context(), 0, 10)
	if err != nil || len(overdue) != 5 {
		t.Errorf("%d are overdue at once (%v), want every queued one", len(overdue), err)
	}
}

func TestExpiredLeasesAreFound(t *testing.T) {
	t.Parallel()
	store := open(t)
	request := accept(t, store, testkit.Created("orders", nil)).Request.ID
	change(t, store, request, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	run := change(t, store, request, func(r *provision.Record) error { return r.Claim("worker-1", "digest", -time.Second) }).Run
	if ids, err := store.Expired(t.Context(), 10); err != nil || len(ids) != 1 || ids[0] != run.ID {
		t.Errorf("expired are %v (%v), want %s", ids, err, run.ID)
	}
	change(t, store, request, func(r *provision.Record) error { return r.GoOn(testkit.Verdict()) })
	change(t, store, request, func(r *provision.Record) error { return r.Expire() })
	if ids, err := store.Expired(t.Context(), 10); err != nil || len(ids) != 0 {
		t.Errorf("expired are %v (%v), want none: a lost run waits for its worker", ids, err)
	}
}

func TestEveryPushedStateIsKeptAndTheNewestTokenLeads(t *testing.T) {
	t.Parallel()
	store := open(t)
	request := accept(t, store, testkit.Created("orders", nil)).Request.ID
	old := claimed(t, store, request).Run
	if _, err := store.LatestState(t.Context(), old.InstanceID); kindOf(err) != provision.NotFound {
		t.Errorf("state before any push: %v, want not found", err)
	}
	push := func(run *provision.Run, fence, serial int64, sealed string) bool {
		t.Helper()
		head, err := store.PushState(t.Context(), provision.StateVersion{
			InstanceID: run.InstanceID, RunID: run.ID, Fence: fence, Serial: serial, Lineage: "l", Sealed: []byte(sealed),
		})
		if err != nil {
			t.Fatal(err)
		}
		return head
	}
	isHead := func(sealed string) {
		t.Helper()
		head, err := store.LatestState(t.Context(), old.InstanceID)
		if err != nil || string(head.Sealed) != sealed {
			t.Errorf("the head is %q (%v), want %q", head.Sealed, err, sealed)
		}
	}
	if !push(old, 1, 1, "one") || !push(old, 1, 2, "two") || !push(old, 1, 2, "two") {
		t.Error("a push under the newest token is not head")
	}
	isHead("two")
	if push(old, 1, 1, "late one") || push(old, 1, 1, "one") {
		t.Error("a push whose serial goes back is head")
	}
	change(t, store, request, func(r *provision.Record) error { return r.Release() })
	newer := claimed(t, store, request).Run
	if push(old, 1, 9, "stale") {
		t.Error("a push under an older token is head")
	}
	isHead("two")
	if !push(newer, 2, 1, "after takeover") {
		t.Error("a push under the new token is not head though its serial is lower")
	}
	isHead("after takeover")
}

func TestLogLinesAreNumberedOnce(t *testing.T) {
	t.Parallel()
	store := open(t)
	request := accept(t, store, testkit.Created("orders", nil)).Request.ID
	run := claimed(t, store, request).Run
	line := func(number, fence int64, text string) provision.LogLine {
		return provision.LogLine{RunID: run.ID, Pool: run.Pool, Worker: run.Worker, Fence: fence, Number: number, At: time.Now(), Text: text}
	}
	by := func(pool, worker string) provision.LogLine {
		forged := line(5, 1, "another's")
		forged.Pool, forged.Worker = pool, worker
		return forged
	}
	bell, stop := store.Watch(request)
	defer stop()
	for _, lines := range [][]provision.LogLine{
		{line(1, 1, "one"), line(2, 1, "two \x00 \xff")},
		{line(2, 1, "two again"), line(3, 1, "three")},
		{line(4, 7, "of another token"), {RunID: uuid.New(), Fence: 1, Number: 1, Text: "of no run"}},
		{by("another", run.Worker), by(run.Pool, "another")},
	} {
		if err := store.AppendLog(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-bell:
	default:
		t.Error("who watches the request was not woken")
	}
	entries, err := store.LogAfter(t.Context(), request, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Text)
	}
	if diff := cmp.Diff([]string{"one", "two \ufffd \ufffd", "three"}, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	rest, err := store.LogAfter(t.Context(), request, entries[1].Position, 10)
	if err != nil || len(rest) != 1 || rest[0].Text != "three" {
		t.Errorf("after the second: %v (%v), want the third", rest, err)
	}
}
