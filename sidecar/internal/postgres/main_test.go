package postgres_test

import (
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// open is a store on a database of the test alone.
func open(t testing.TB) *postgres.Store {
	t.Helper()
	return openDSN(t, testkit.Database(t))
}

func openDSN(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(dsn, postgres.Options{MaxConnections: 8})
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	t.Cleanup(store.Close)
	return store
}

func accept(t testing.TB, store *postgres.Store, record *provision.Record) *provision.Record {
	t.Helper()
	if err := store.Accept(t.Context(), record); err != nil {
		t.Fatalf("accept %s: %v", record.Request.Name, err)
	}
	return record
}

func change(t testing.TB, store *postgres.Store, request uuid.UUID, decide func(*provision.Record) error) *provision.Record {
	t.Helper()
	record, err := store.Change(t.Context(), request, decide)
	if err != nil {
		t.Fatalf("change request %s: %v", request, err)
	}
	return record
}

// claimed dispatches a request and has worker claim it.
func claimed(t testing.TB, store *postgres.Store, request uuid.UUID) *provision.Record {
	t.Helper()
	change(t, store, request, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	return change(t, store, request, func(r *provision.Record) error { return r.Claim("worker-1", "digest", minute) })
}

// ready takes a request through its whole life.
func ready(t testing.TB, store *postgres.Store, request uuid.UUID) *provision.Record {
	t.Helper()
	claimed(t, store, request)
	change(t, store, request, func(r *provision.Record) error {
		verdict := testkit.Verdict()
		verdict.Estimate.MonthlyCost = *r.Request.MonthlyCost
		return r.GoOn(verdict)
	})
	return change(t, store, request, func(r *provision.Record) error {
		_, err := r.Take(provision.Report{
			RunID: r.Run.ID, Fence: r.Run.Fence, Sequence: r.Run.ReportSequence + 1, Kind: provision.ReportOutcome,
			Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true, Outputs: map[string]any{"host": "db.local"}},
		})
		return err
	})
}

func kindOf(err error) provision.Kind { return provision.KindOf(err) }
