package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// unused makes an instance that nobody has used.
func unused(t *testing.T, store *postgres.Store, name string) provision.Instance {
	t.Helper()
	i := checkable(t, store, name)
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error {
		r.Activity = provision.Activity{MeasuredAt: r.Now(), UnusedSince: r.Now(), Reason: "no connections in 30 days"}
		return nil
	})
	return i
}

func TestAnOwnerIsToldOnceOfAllThatIsUnused(t *testing.T) {
	t.Parallel()
	store := open(t)
	first := unused(t, store, "orders")
	unused(t, store, "report")
	var found []provision.Event
	store.OnCommit(func(events []provision.Event) {
		for _, e := range events {
			if e.Entity == "unused" && e.Verb == "found" {
				found = append(found, e)
			}
		}
	})
	untold := func(age time.Duration) int {
		t.Helper()
		owners, err := store.UntoldUnused(t.Context(), age, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(owners)
	}
	if got := untold(24 * time.Hour); got != 1 {
		t.Fatalf("%d owners are to be told, want the one", got)
	}
	var told atomic.Int32
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if did, err := store.TellUnused(t.Context(), first.Owner, 10); err != nil {
				t.Error(err)
			} else if did {
				told.Add(1)
			}
		})
	}
	wait.Wait()
	if told.Load() != 1 || len(found) != 1 || found[0].Data["count"] != 2 {
		t.Fatalf("four sidecars told %d times: %+v", told.Load(), found)
	}
	if got := untold(0); got != 0 {
		t.Errorf("of what was told %d owners are to be told again", got)
	}
	unused(t, store, "stage")
	if got := untold(24 * time.Hour); got != 0 {
		t.Errorf("a second message is due within a day")
	}
	if got := untold(0); got != 1 {
		t.Errorf("of another that is unused %d owners are to be told", got)
	}
	changeDrift(t, store, first.ID, func(r *provision.DriftRecord) error {
		return r.AnswerUnused(provision.ActivityAnswer{Kind: "snooze", Until: r.Now().Add(time.Hour), By: "user:default/ann"})
	})
	if _, err := store.TellUnused(t.Context(), first.Owner, 10); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[1].Data["count"] != 2 {
		t.Errorf("with one of three snoozed is told %+v", found)
	}
}
