package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestAPauseIsInForceUntilItIsEndedAndBothAreTold(t *testing.T) {
	t.Parallel()
	store := open(t)
	asked := provision.Pause{ID: provision.NewID(), Kind: provision.PausePool, Name: "local", Reason: "the disk is full", By: pat}
	begun, err := store.BeginPause(t.Context(), asked)
	if err != nil || begun.ID != asked.ID || begun.At.IsZero() {
		t.Fatalf("begun %+v, %v; want it with the database's time", begun, err)
	}
	again := asked
	again.ID = provision.NewID()
	if repeated, err := store.BeginPause(t.Context(), again); err != nil || repeated.ID != asked.ID {
		t.Errorf("the same pause again is %+v, %v; want the first", repeated, err)
	}
	again.By = sam
	if _, err := store.BeginPause(t.Context(), again); provision.KindOf(err) != provision.Conflict {
		t.Errorf("another's pause of the same: %v, want a conflict", err)
	}
	if pauses, err := store.Pauses(t.Context()); err != nil || len(pauses) != 1 || pauses[0] != begun {
		t.Errorf("in force %+v, %v; want the one", pauses, err)
	}
	for range 2 {
		if err := store.EndPause(t.Context(), asked.ID, sam); err != nil {
			t.Errorf("end: %v, want it to be repeatable", err)
		}
	}
	if err := store.EndPause(t.Context(), uuid.New(), sam); provision.KindOf(err) != provision.NotFound {
		t.Errorf("end of an unknown pause: %v, want NotFound", err)
	}
	if pauses, err := store.Pauses(t.Context()); err != nil || len(pauses) != 0 {
		t.Errorf("in force %+v, %v; want none", pauses, err)
	}
	events, err := store.EventsAfter(t.Context(), asked.ID, 0, 10)
	if err != nil || len(events) != 2 || events[0].Verb != "begun" || events[1].Verb != "ended" || events[1].Sequence != 2 || events[1].Data["by"] != sam {
		t.Errorf("told %+v, %v; want its beginning and its end, once each", events, err)
	}
	if _, err := store.BeginPause(t.Context(), again); err != nil {
		t.Errorf("paused anew: %v", err)
	}
}

func TestWhatIsHeldIsNeitherQueuedNorOverdueAndItsTimeCountsFromItsRelease(t *testing.T) {
	t.Parallel()
	store := open(t)
	until := time.Date(2027, 1, 4, 8, 0, 0, 0, time.UTC)
	held := provision.Hold{Kind: provision.HoldFreeze, Name: "year end", Until: &until, Message: "waiting for the change freeze"}
	record := testkit.Created("orders", nil)
	record.Hold([]provision.Hold{held})
	id := accept(t, store, record).Request.ID
	other := accept(t, store, testkit.Created("other", nil)).Request.ID
	read, err := store.Request(t.Context(), id)
	if err != nil || len(read.Holds) != 1 || !read.Holds[0].Until.Equal(until) || read.Waiting != held.Message {
		t.Errorf("read back: held by %+v, waiting %q, %v", read.Holds, read.Waiting, err)
	}
	want := func(what string, got []uuid.UUID, err error, want ...uuid.UUID) {
		t.Helper()
		if err != nil || len(got) != len(want) || len(want) > 0 && got[0] != want[0] {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	dev := []string{"dev"}
	queued := func() (ids []uuid.UUID, err error) {
		line, err := store.Queued(t.Context(), dev, provision.Limits{}, 10)
		for _, next := range line {
			ids = append(ids, next.RequestID)
		}
		return ids, err
	}
	line, err := queued()
	want("queued", line, err, other)
	overdue, err := store.Overdue(t.Context(), 0, 10)
	want("overdue", overdue, err, other)
	found, err := store.Held(t.Context(), dev, uuid.Nil, 10)
	want("held", found, err, id)
	found, err = store.Held(t.Context(), dev, id, 10)
	want("held after it", found, err)
	found, err = store.Held(t.Context(), []string{"prod"}, uuid.Nil, 10)
	want("held elsewhere", found, err)

	change(t, store, id, func(r *provision.Record) error { r.Hold(nil); return nil })
	line, err = queued()
	want("queued after its release", line, err, id, other)
	released, err := store.Request(t.Context(), id)
	if err != nil || released.ReleasedAt == nil || !released.ReleasedAt.After(released.CreatedAt) {
		t.Fatalf("released at %v, %v", released.ReleasedAt, err)
	}
	overdue, err = store.Overdue(t.Context(), time.Since(*released.ReleasedAt)+time.Hour, 10)
	want("overdue soon after its release", overdue, err)
}
