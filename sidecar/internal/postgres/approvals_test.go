package postgres_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const pat, sam = "user:default/pat", "user:default/sam"

// planned is a request whose run was told to wait.
func planned(t testing.TB, store *postgres.Store, name string, count int) *provision.Record {
	t.Helper()
	request := accept(t, store, testkit.Created(name, nil)).Request.ID
	claimed(t, store, request)
	return change(t, store, request, func(r *provision.Record) error {
		_, err := r.Decide(provision.Planned{
			Verdict: testkit.NeedsApproval(count), People: testkit.Approvers(), Changes: []provision.Change{{Address: "a.b", Type: "a", Action: "create"}},
		})
		return err
	})
}

// waiting is a request that waits for approval with a kept plan.
func waiting(t testing.TB, store *postgres.Store, name string, count int, timeout time.Duration) *provision.Record {
	t.Helper()
	record := planned(t, store, name, count)
	if err := store.KeepPlan(t.Context(), record.Request.ID, record.Run.ID, []byte("sealed "+name)); err != nil {
		t.Fatal(err)
	}
	return change(t, store, record.Request.ID, func(r *provision.Record) error { return r.Wait("digest", timeout) })
}

func TestApprovalsAreKept(t *testing.T) {
	t.Parallel()
	store := open(t)
	first := waiting(t, store, "orders", 2, time.Hour)
	second := waiting(t, store, "invoices", 1, time.Hour)
	read, err := store.Request(t.Context(), first.Request.ID)
	if err != nil {
		t.Fatal(err)
	}
	micro := cmp.Comparer(func(a, b time.Time) bool { return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond)) })
	if diff := cmp.Diff(first.Request.Approval, read.Approval, micro); diff != "" {
		t.Errorf("approval (-written +read):\n%s", diff)
	}
	waits := func(who string, want ...uuid.UUID) {
		t.Helper()
		list, err := store.Approvals(t.Context(), who, 10)
		if err != nil {
			t.Fatal(err)
		}
		got := []uuid.UUID{}
		for _, r := range list {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(append([]uuid.UUID{}, want...), got); diff != "" {
			t.Errorf("what waits for %s (-want +got):\n%s", who, diff)
		}
	}
	waits(pat, first.Request.ID, second.Request.ID)
	waits("user:default/ann") // who asked
	waits("user:default/ben")
	change(t, store, first.Request.ID, func(r *provision.Record) error { return r.Approve(pat, "") })
	waits(pat, second.Request.ID)
	waits(sam, first.Request.ID, second.Request.ID)
	change(t, store, first.Request.ID, func(r *provision.Record) error { return r.Approve(sam, "") })
	change(t, store, second.Request.ID, func(r *provision.Record) error { return r.Reject(sam, "no") })
	waits(sam)
}

func TestOneOfAnApprovalAndACancelHappens(t *testing.T) {
	t.Parallel()
	store := open(t)
	for range 10 {
		request := waiting(t, store, "orders", 1, time.Hour).Request.ID
		answers := make(chan error, 2)
		for _, move := range []func(*provision.Record) error{
			func(r *provision.Record) error { return r.Approve(pat, "") },
			func(r *provision.Record) error { return r.Reject(sam, "no") },
		} {
			go func() { _, err := store.Change(t.Context(), request, move); answers <- err }()
		}
		one, other := <-answers, <-answers
		if (one == nil) == (other == nil) {
			t.Fatalf("an approval and a rejection at once: %v and %v, want one to be too late", one, other)
		}
		change(t, store, request, func(r *provision.Record) error {
			if r.Request.State == provision.Queued {
				return r.Cancel("next")
			}
			return nil
		})
	}
}

func TestAPlanIsKeptUntilItsRequestHasEnded(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	raw, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(raw.Close)
	record := waiting(t, store, "orders", 1, time.Hour)
	request, run := record.Request.ID, record.Run.ID
	if kept, err := store.KeptPlan(t.Context(), run); err != nil || string(kept) != "sealed orders" {
		t.Errorf("kept = %q, %v", kept, err)
	}
	if _, err := store.KeptPlan(t.Context(), uuid.New()); kindOf(err) != provision.NotFound {
		t.Errorf("a plan that nobody kept: %v, want not found", err)
	}
	if err := store.KeepPlan(t.Context(), request, run, bytes.Repeat([]byte{1}, 16<<20+1)); kindOf(err) != provision.Invalid {
		t.Errorf("a plan above the limit: %v, want invalid", err)
	}
	change(t, store, request, func(r *provision.Record) error { return r.Reject(pat, "no") })
	if err := store.KeepPlan(t.Context(), request, run, []byte("late")); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := raw.QueryRow(t.Context(), "SELECT count(*) FROM plans").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d plans are left after the end, %v", left, err)
	}
}

func TestWhatNobodyApprovesInTimeIsDue(t *testing.T) {
	t.Parallel()
	store := open(t)
	late := waiting(t, store, "orders", 1, -time.Second).Request.ID
	waiting(t, store, "invoices", 1, time.Hour)
	due, err := store.Unapproved(t.Context(), 10)
	if err != nil || len(due) != 1 || due[0] != late {
		t.Fatalf("due = %v, %v; want %s", due, err, late)
	}
	change(t, store, late, func(r *provision.Record) error { return r.ExpireApproval() })
	if due, err = store.Unapproved(t.Context(), 10); err != nil || len(due) != 0 {
		t.Errorf("due again = %v, %v", due, err)
	}
}

func TestTimeWaitedForApprovalIsNotTimeInTheQueue(t *testing.T) {
	t.Parallel()
	store := open(t)
	request := waiting(t, store, "orders", 1, time.Hour).Request.ID
	age := 300 * time.Millisecond
	testkit.Eventually(t, 10*time.Second, "it is old", func() bool {
		read, err := store.Request(t.Context(), request)
		return err == nil && time.Since(read.CreatedAt) > age
	})
	change(t, store, request, func(r *provision.Record) error { return r.Approve(pat, "") })
	if overdue, err := store.Overdue(t.Context(), age, 10); err != nil || len(overdue) != 0 {
		t.Errorf("overdue at once after its approval: %v, %v", overdue, err)
	}
	testkit.Eventually(t, 10*time.Second, "it is overdue", func() bool {
		overdue, err := store.Overdue(t.Context(), age, 10)
		return err == nil && len(overdue) == 1
	})
}

func TestHowLongAnApprovalWasWaitedForIsKnownOnceItIsDone(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	p := newPast(t, dsn)
	request := waiting(t, p.store, "orders", 1, 3*time.Hour).Request
	p.exec(`UPDATE events SET at = at - interval '2 hours' WHERE subject_id = $1 AND entity = 'approval' AND verb = 'requested'`, request.ID)
	change(t, p.store, request.ID, func(r *provision.Record) error { return r.Approve(pat, "") })
	done := ready(t, p.store, request.ID)
	timing, err := p.store.Timing(t.Context(), done.Request, 10)
	if err != nil || len(timing.Past) != 1 || timing.Past[0].Waited.Round(time.Hour) != 2*time.Hour {
		t.Errorf("it took %+v (%v), want 2 h of waiting for approval", timing.Past, err)
	}
}
