package postgres_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestLifeOfARequestIsKept(t *testing.T) {
	t.Parallel()
	store := open(t)
	first := accept(t, store, testkit.Created("orders", nil))
	made := ready(t, store, first.Request.ID)

	got, err := store.Request(t.Context(), first.Request.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != provision.Succeeded || got.Outputs["host"] != "db.local" || got.Sequence != made.Request.Sequence {
		t.Errorf("request is %s with outputs %v at %d, want succeeded with a host at %d", got.State, got.Outputs, got.Sequence, made.Request.Sequence)
	}
	instance, err := store.Instance(t.Context(), first.Instance.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*made.Instance, instance); diff != "" {
		t.Errorf("instance (-changed +read):\n%s", diff)
	}
	if instance.State != provision.Ready || instance.Fence != 1 {
		t.Errorf("instance is %s with fence %d, want ready with 1", instance.State, instance.Fence)
	}
	verdicts, err := store.Verdicts(t.Context(), first.Request.ID)
	if err != nil || len(verdicts) != 3 {
		t.Errorf("%d verdicts (%v), want one per stage", len(verdicts), err)
	}
	isGapless(t, store, first.Request.ID, got.Sequence)
	isGapless(t, store, first.Instance.ID, instance.Sequence)
}

func TestRefusedChangeStoresNothing(t *testing.T) {
	t.Parallel()
	store := open(t)
	first := accept(t, store, testkit.Created("orders", nil))
	refusal := errors.New("no")
	_, err := store.Change(t.Context(), first.Request.ID, func(r *provision.Record) error {
		if err := r.Cancel("a reason"); err != nil {
			return err
		}
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("change: %v, want decide's own error", err)
	}
	got, err := store.Request(t.Context(), first.Request.ID)
	if err != nil || got.State != provision.Queued || got.Sequence != first.Request.Sequence {
		t.Errorf("request is %s at %d (%v), want queued at %d as before", got.State, got.Sequence, err, first.Request.Sequence)
	}
	if _, err := store.Change(t.Context(), uuid.New(), func(*provision.Record) error { return nil }); kindOf(err) != provision.NotFound {
		t.Errorf("change of an unknown request: %v, want not found", err)
	}
	if _, err := store.ChangeRun(t.Context(), uuid.New(), func(*provision.Record) error { return nil }); kindOf(err) != provision.NotFound {
		t.Errorf("change of an unknown run: %v, want not found", err)
	}
}

func TestEventsHaveNoGapUnderContention(t *testing.T) {
	t.Parallel()
	store := open(t)
	made := ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	before := made.Instance.Sequence
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 15 {
				_, err := store.Change(t.Context(), made.Request.ID, func(r *provision.Record) error {
					r.OpenCredentials(provision.Principal{Subject: "user:default/ann"})
					return nil
				})
				if err != nil {
					t.Errorf("open credentials: %v", err)
				}
			}
		})
	}
	all.Wait()
	instance, err := store.Instance(t.Context(), made.Instance.ID)
	if err != nil || instance.Sequence != before+60 {
		t.Errorf("the instance's newest event is %d (%v), want %d", instance.Sequence, err, before+60)
	}
	isGapless(t, store, made.Instance.ID, instance.Sequence)
}

func TestAnOlderRunIsSeenAsItEnded(t *testing.T) {
	t.Parallel()
	store := open(t)
	request := accept(t, store, testkit.Created("orders", nil)).Request.ID
	old := claimed(t, store, request).Run.ID
	change(t, store, request, func(r *provision.Record) error { return r.Release() })
	newer := claimed(t, store, request).Run
	if newer.ID == old || newer.Fence != 2 {
		t.Fatalf("the second claim is run %s with fence %d, want another run with 2", newer.ID, newer.Fence)
	}
	_, err := store.ChangeRun(t.Context(), old, func(r *provision.Record) error {
		if r.Run.ID != old || r.Run.State != provision.RunEnded {
			t.Errorf("the record has run %s, %s; want the old one, ended", r.Run.ID, r.Run.State)
		}
		ok, err := r.Take(provision.Report{RunID: old, Fence: 1, Sequence: 9, Kind: provision.ReportPhase, Phase: "plan"})
		if ok {
			t.Error("a report of the old run counted")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOnlyOneRunIsLive(t *testing.T) {
	t.Parallel()
	store := open(t)
	request := accept(t, store, testkit.Created("orders", nil)).Request.ID
	dispatch := func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) }
	change(t, store, request, dispatch)
	if _, err := store.Change(t.Context(), request, dispatch); kindOf(err) != provision.Conflict {
		t.Errorf("second dispatch: %v, want a conflict", err)
	}
}

func TestChangesOfABusyPoolCanReadNewBundles(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	store := openDSN(t, dsn)
	var all sync.WaitGroup
	var busy sync.WaitGroup
	busy.Add(8) // as many as the pool has connections
	other := openDSN(t, dsn)
	if err := other.PutBundle(t.Context(), testkit.Offering(), []byte("files")); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		request := accept(t, store, testkit.Created("orders-"+string(rune('a'+i)), nil)).Request
		all.Go(func() {
			_, err := store.Change(t.Context(), request.ID, func(r *provision.Record) error {
				busy.Done()
				busy.Wait()
				_, files, err := store.Bundle(t.Context(), r.Request.OfferingDigest)
				if err == nil && string(files) != "files" {
					t.Errorf("bundle is %q", files)
				}
				return err
			})
			if err != nil {
				t.Errorf("change: %v", err)
			}
		})
	}
	all.Wait()
	if _, _, err := store.Bundle(t.Context(), "sha256:none"); kindOf(err) != provision.NotFound {
		t.Errorf("unknown digest: %v, want not found", err)
	}
	offering, _, err := store.Bundle(t.Context(), testkit.Offering().Digest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(testkit.Offering(), offering); diff != "" {
		t.Errorf("offering (-put +read):\n%s", diff)
	}
}

func TestDatabaseThatIsDownIsUnavailableAndComesBack(t *testing.T) {
	t.Parallel()
	server := testkit.NewServer(t)
	store := openDSN(t, server.DSN())
	first := accept(t, store, testkit.Created("orders", nil)).Request.ID
	snapshot, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	calls := map[string]func() error{
		"accept": func() error { return store.Accept(t.Context(), testkit.Created("billing", nil)) },
		"refuse": func() error { return store.Refuse(t.Context(), denied("billing", "")) },
		"change": func() error {
			_, err := store.Change(t.Context(), first, func(r *provision.Record) error { return r.Cancel("x") })
			return err
		},
		"request":  func() error { _, err := store.Request(t.Context(), first); return err },
		"requests": func() error { _, err := store.Requests(t.Context(), provision.RequestFilter{}); return err },
		"changes":  func() error { _, err := store.Changes(t.Context(), snapshot.Cursor, 0); return err },
		"bundle":   func() error { _, _, err := store.Bundle(t.Context(), "sha256:x"); return err },
		"queued":   func() error { _, err := store.Queued(t.Context(), []string{"dev"}, provision.Limits{}, 1); return err },
		"relay":    func() error { _, err := store.Relay(t.Context(), 1, 0, nil); return err },
		"log":      func() error { return store.AppendLog(t.Context(), []provision.LogLine{{RunID: first, Number: 1}}) },
		"push state": func() error {
			_, err := store.PushState(t.Context(), provision.StateVersion{InstanceID: first, RunID: first})
			return err
		},
		"ping":    func() error { return store.Ping(t.Context()) },
		"migrate": func() error { return postgres.Migrate(t.Context(), server.DSN()) },
	}
	for name, call := range calls {
		if err := call(); kindOf(err) != provision.Unavailable {
			t.Errorf("%s while the database is down: %v (%s), want unavailable", name, err, kindOf(err))
		}
	}
	server.Start()
	testkit.Eventually(t, 10*time.Second, "the store works again", func() bool { return store.Ping(t.Context()) == nil })
	accept(t, store, testkit.Created("billing", nil))
	if got, err := store.Request(t.Context(), first); err != nil || got.State != provision.Queued {
		t.Errorf("the first request is %s (%v), want queued as before", got.State, err)
	}
	if err := postgres.CheckSchema(t.Context(), server.DSN()); err != nil {
		t.Errorf("schema: %v", err)
	}
}

func TestEmptyDatabaseLacksMigrations(t *testing.T) {
	t.Parallel()
	dsn := testkit.EmptyDatabase(t)
	if err := postgres.CheckSchema(t.Context(), dsn); kindOf(err) != provision.Conflict {
		t.Errorf("schema of an empty database: %v, want a conflict", err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := postgres.Migrate(t.Context(), dsn); err != nil {
				t.Errorf("migrate with others at once: %v", err)
			}
		})
	}
	all.Wait()
	if err := postgres.CheckSchema(t.Context(), dsn); err != nil {
		t.Errorf("schema after migrations: %v", err)
	}
}

// isGapless checks that a subject's events are 1..newest and in time's order.
func isGapless(t *testing.T, store *postgres.Store, subject uuid.UUID, newest int64) {
	t.Helper()
	told, err := store.EventsAfter(t.Context(), subject, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range told {
		if e.Sequence != int64(i)+1 {
			t.Fatalf("event %d of %s has sequence %d", i+1, subject, e.Sequence)
		}
		if i > 0 && e.At.Before(told[i-1].At) {
			t.Errorf("event %d of %s is older than the one before it", e.Sequence, subject)
		}
	}
	if int64(len(told)) != newest {
		t.Errorf("%s has %d events, its row says %d", subject, len(told), newest)
	}
}
