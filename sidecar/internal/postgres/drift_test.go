package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// checkable is an instance that is ready and has a state.
func checkable(t *testing.T, store *postgres.Store, name string) provision.Instance {
	t.Helper()
	record := accept(t, store, testkit.Created(name, nil))
	done := ready(t, store, record.Request.ID)
	head, err := store.PushState(t.Context(), provision.StateVersion{
		InstanceID: done.Instance.ID, RunID: done.Run.ID, Fence: done.Run.Fence, Serial: 1, Lineage: "lineage", Sealed: []byte("sealed"),
	})
	if err != nil || !head {
		t.Fatalf("push state: head %v, %v", head, err)
	}
	return *done.Instance
}

func changeDrift(t *testing.T, store *postgres.Store, id uuid.UUID, decide func(*provision.DriftRecord) error) *provision.DriftRecord {
	t.Helper()
	record, err := store.ChangeDrift(t.Context(), id, decide)
	if err != nil {
		t.Fatalf("change drift of %s: %v", id, err)
	}
	return record
}

func due(t *testing.T, store *postgres.Store, f provision.DueChecks) []uuid.UUID {
	t.Helper()
	if f.Environments == nil {
		f.Environments = []string{"dev"}
	}
	f.Limit = 10
	ids, err := store.DueChecks(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func oneDifference(cause string) []provision.Difference {
	return []provision.Difference{{Address: "db.main", Type: "db", Kind: provision.DriftChanged, Attribute: "limit", Expected: int64(50), Actual: int64(7), Cause: cause}}
}

func TestCheckIsGivenToOneWorkerAndMadeAgainWhenThatOneDies(t *testing.T) {
	t.Parallel()
	store := open(t)
	i := checkable(t, store, "orders")
	if got := due(t, store, provision.DueChecks{}); len(got) > 0 {
		t.Fatalf("before anyone asked, checks are due of %v", got)
	}
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error { return r.Ask("user:default/ann") })
	if got := due(t, store, provision.DueChecks{Asked: true}); len(got) != 1 || got[0] != i.ID {
		t.Fatalf("asked for, checks are due of %v", got)
	}
	if got := due(t, store, provision.DueChecks{Late: time.Hour}); len(got) > 0 {
		t.Errorf("due for an hour are %v", got)
	}
	if got := due(t, store, provision.DueChecks{Environments: []string{"prod"}}); len(got) > 0 {
		t.Errorf("in another environment are due %v", got)
	}
	var given atomic.Int64
	var claims sync.WaitGroup
	for n := range 8 {
		claims.Go(func() {
			_, err := store.ChangeDrift(t.Context(), i.ID, func(r *provision.DriftRecord) error {
				return r.Claim(fmt.Sprintf("w%d", n), "digest", 3*time.Second)
			})
			switch {
			case err == nil:
				given.Add(1)
			case kindOf(err) != provision.Conflict:
				t.Errorf("claim: %v", err)
			}
		})
	}
	claims.Wait()
	if given.Load() != 1 {
		t.Errorf("%d workers were given one check", given.Load())
	}
	testkit.Eventually(t, minute, "the check of a worker that died is due again", func() bool {
		return len(due(t, store, provision.DueChecks{Asked: true})) == 1
	})
}

func TestDriftIsKeptAndToldWithItsInstance(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	i := checkable(t, store, "orders")
	changes, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error { return r.Claim("w1", "digest", minute) })
	done := changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error {
		r.Finish(oneDifference("one"), "", 24*time.Hour)
		return nil
	})
	again := openDSN(t, dsn) // the next process
	kept, err := again.Instance(t.Context(), i.ID)
	if err != nil || kept.Drift == nil || kept.Drift.Cause != done.Instance.Drift.Cause || kept.Sequence != i.Sequence+1 {
		t.Fatalf("kept is %+v at %d (%v)", kept.Drift, kept.Sequence, err)
	}
	if check, err := again.DriftCheck(t.Context(), i.ID); err != nil || check.CheckedAt.IsZero() || check.DueAt.IsZero() || check.Worker != "" {
		t.Errorf("the check is kept as %+v (%v)", check, err)
	}
	events, err := again.EventsAfter(t.Context(), i.ID, i.Sequence, 10)
	if err != nil || len(events) != 1 || events[0].Entity != "drift" || events[0].Verb != "detected" {
		t.Errorf("events %+v (%v)", events, err)
	}
	testkit.Eventually(t, minute, "the catalog hears of it", func() bool {
		next, err := again.Changes(t.Context(), changes.Cursor, 0)
		return err == nil && len(next.Instances) == 1 && next.Instances[0].Drift != nil
	})
	for name, owners := range map[string][]string{"everyone": nil, "its owner": {i.Owner}} {
		if list, err := again.Drifted(t.Context(), owners, 10); err != nil || len(list) != 1 {
			t.Errorf("to %s are listed %d (%v), want 1", name, len(list), err)
		}
	}
	if list, err := again.Drifted(t.Context(), []string{"group:default/others"}, 10); err != nil || len(list) != 0 {
		t.Errorf("to others are listed %d (%v)", len(list), err)
	}
}

func TestRequestMovesACheckAside(t *testing.T) {
	t.Parallel()
	store := open(t)
	i := checkable(t, store, "orders")
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error { return r.Claim("w1", "digest", minute) })
	request := accept(t, store, testkit.Destroyed(i)).Request
	if _, err := store.ChangeDrift(t.Context(), i.ID, func(r *provision.DriftRecord) error { return r.Ask("user:default/ann") }); kindOf(err) != provision.Conflict {
		t.Errorf("a check was asked for while a request is at it: %v, want a conflict", err)
	}
	claimed(t, store, request.ID) // the check in hand stops nobody
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error {
		if r.Finish(oneDifference("one"), "", time.Hour) {
			t.Error("what the check found counted")
		}
		return nil
	})
	if got := due(t, store, provision.DueChecks{}); len(got) > 0 {
		t.Errorf("while the request is at it, checks are due of %v", got)
	}
	change(t, store, request.ID, func(r *provision.Record) error {
		if err := r.Cancel("never mind"); err != nil {
			return err
		}
		return r.Release()
	})
	if got := due(t, store, provision.DueChecks{}); len(got) != 1 {
		t.Errorf("after it, checks are due of %v, want the one that was moved aside", got)
	}
}

func TestDriftFoundBeforeARequestIsLookedAtAgainAfterIt(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	i := checkable(t, store, "orders")
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error { return r.Claim("w1", "digest", minute) })
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error {
		r.Finish(oneDifference("one"), "", 0)
		return nil
	})
	if got := due(t, store, provision.DueChecks{Asked: true}); len(got) > 0 {
		t.Errorf("without a schedule or a request are due %v", got)
	}
	if _, err := connect(t, dsn).Exec(t.Context(), `UPDATE instances SET generation = generation + 1`); err != nil {
		t.Fatal(err)
	}
	if got := due(t, store, provision.DueChecks{Asked: true}); len(got) != 1 {
		t.Errorf("after a request are due %v, want the instance that had drift", got)
	}
}

func TestFirstChecksAreSpreadOverTheirPeriod(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	const n, day = 40, 24 * time.Hour
	for i := range n {
		checkable(t, store, fmt.Sprintf("orders-%d", i))
	}
	accept(t, store, testkit.Created("not-ready", nil))
	for want := n; want > 0; want -= 25 {
		if got, err := store.ScheduleDrift(t.Context(), day, 25); err != nil || got != min(want, 25) {
			t.Fatalf("scheduled %d (%v), want %d", got, err, min(want, 25))
		}
	}
	if got, err := store.ScheduleDrift(t.Context(), day, 25); err != nil || got != 0 {
		t.Errorf("scheduled %d again (%v)", got, err)
	}
	var quarters, scheduled int
	var latest time.Duration
	err := connect(t, dsn).QueryRow(t.Context(), `
		SELECT count(DISTINCT floor(extract(epoch FROM due_at - now()) / 21600)), count(*), max(due_at - now())
		  FROM drift_checks WHERE asked_by = 'system:drift'`).Scan(&quarters, &scheduled, &latest)
	if err != nil || quarters != 4 || scheduled != n || latest > day {
		t.Errorf("%d checks in %d quarters of the day, the latest in %s (%v)", scheduled, quarters, latest, err)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func TestDriftIsNoticedWithItsEvent(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	i := checkable(t, openDSN(t, dsn), "orders")
	store, err := postgres.Open(dsn, postgres.Options{MaxConnections: 2, Notable: func(e provision.Event) bool { return e.Entity == "drift" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error { return r.Claim("w1", "digest", minute) })
	changeDrift(t, store, i.ID, func(r *provision.DriftRecord) error {
		r.Finish(oneDifference("one"), "", time.Hour)
		return nil
	})
	notices, err := store.ClaimNotices(t.Context(), "", 10, minute)
	if err != nil || len(notices) != 1 || notices[0].Event.Verb != "detected" || notices[0].Event.SubjectID != i.ID {
		t.Errorf("to be told: %+v (%v)", notices, err)
	}
}
