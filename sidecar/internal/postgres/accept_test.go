package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const minute = time.Minute

func TestAcceptedRecordReadsBackAsItWas(t *testing.T) {
	t.Parallel()
	store := open(t)
	record := testkit.Created("orders", func(r *provision.Request) {
		r.IdempotencyKey, r.Task = "key-1", "task-1"
		r.Parameters["note"] = "nul \x00 and a look-alike \\u0000"
	})
	before := time.Now().Add(-time.Second)
	accept(t, store, record)

	got, err := store.Request(t.Context(), record.Request.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := record.Request
	want.Verdict.Input = nil // kept beside the request
	want.Parameters["note"] = "nul \ufffd and a look-alike \\u0000"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-accepted +read):\n%s", diff)
	}
	if got.CreatedAt.Before(before) || got.CreatedAt.Location() != time.UTC {
		t.Errorf("created at %s, want the database's now, in UTC", got.CreatedAt)
	}
	instance, err := store.Instance(t.Context(), record.Instance.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantInstance := *record.Instance
	wantInstance.Parameters = want.Parameters
	if diff := cmp.Diff(wantInstance, instance); diff != "" {
		t.Errorf("instance (-accepted +read):\n%s", diff)
	}
	verdicts, err := store.Verdicts(t.Context(), record.Request.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != 1 || verdicts[0].Stage != provision.StageSubmit || !strings.Contains(string(verdicts[0].Verdict.Input), "85500") {
		t.Errorf("verdicts = %+v, want the submit's with its input", verdicts)
	}
	told, err := store.EventsAfter(t.Context(), record.Request.ID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var verbs []string
	for _, e := range told {
		verbs = append(verbs, e.Entity+"."+e.Verb)
		if !e.At.Equal(got.CreatedAt) {
			t.Errorf("event %d at %s, want the transaction's time %s", e.Sequence, e.At, got.CreatedAt)
		}
	}
	if diff := cmp.Diff([]string{"request.submitted", "reservation.held", "step.completed", "request.queued"}, verbs); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNamesAreUniqueAmongTheLiving(t *testing.T) {
	t.Parallel()
	store := open(t)
	if err := store.PutBundle(t.Context(), testkit.Offering(), []byte("files")); err != nil {
		t.Fatal(err)
	}
	first := accept(t, store, testkit.Created("orders", nil))
	err := store.Accept(t.Context(), testkit.Created("orders", nil))
	if want := "PostgreSQL Database 'orders' already exists in dev; choose another name"; kindOf(err) != provision.Conflict || err.Error() != want {
		t.Errorf("second accept: %v, want a conflict %q", err, want)
	}
	accept(t, store, testkit.Created("orders", func(r *provision.Request) { r.Environment = "staging" }))

	change(t, store, first.Request.ID, func(r *provision.Record) error { return r.Cancel("changed my mind") })
	again := accept(t, store, testkit.Created("orders", nil))
	found, err := store.InstanceByName(t.Context(), again.Instance.Offering, "dev", "orders")
	if err != nil || found.ID != again.Instance.ID {
		t.Errorf("the living orders is %s (%v), want %s", found.ID, err, again.Instance.ID)
	}
}

func TestOneOfFiftyGetsTheName(t *testing.T) {
	t.Parallel()
	store := open(t)
	var accepted, refused atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			switch err := store.Accept(t.Context(), testkit.Created("orders", nil)); {
			case err == nil:
				accepted.Add(1)
			case kindOf(err) == provision.Conflict:
				refused.Add(1)
			default:
				t.Errorf("accept: %v", err)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 1 || refused.Load() != 49 {
		t.Errorf("%d accepted and %d refused, want 1 and 49", accepted.Load(), refused.Load())
	}
	page, err := store.Requests(t.Context(), provision.RequestFilter{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d requests are stored (%v), want 1: a refused accept leaves nothing", len(page.Items), err)
	}
}

func TestSameKeyIsReplayed(t *testing.T) {
	t.Parallel()
	store := open(t)
	keyed := func(r *provision.Request) { r.IdempotencyKey = "key-1" }
	first := accept(t, store, testkit.Created("orders", keyed))
	tests := map[string]func() error{
		"the same create again":        func() error { return store.Accept(t.Context(), testkit.Created("orders", keyed)) },
		"another name with the key":    func() error { return store.Accept(t.Context(), testkit.Created("billing", keyed)) },
		"a denial of the repeated ask": func() error { return store.Refuse(t.Context(), denied("orders", "key-1")) },
		"fifty repeats at once, one of": func() error {
			return repeats(t, 50, func() error { return store.Accept(t.Context(), testkit.Created("orders", keyed)) })
		},
	}
	for name, again := range tests {
		t.Run(name, func(t *testing.T) {
			var replay *provision.Replay
			if err := again(); !errors.As(err, &replay) || replay.Request.ID != first.Request.ID {
				t.Errorf("got %v, want a replay of %s", err, first.Request.ID)
			}
		})
	}
	other := testkit.Created("billing", func(r *provision.Request) { r.IdempotencyKey, r.RequestedBy = "key-1", "user:default/bob" })
	accept(t, store, other)
}

func TestDenialIsStoredAndReplayed(t *testing.T) {
	t.Parallel()
	store := open(t)
	record := denied("orders", "key-1")
	if err := store.Refuse(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	var replay *provision.Replay
	if err := store.Refuse(t.Context(), denied("orders", "key-1")); !errors.As(err, &replay) {
		t.Fatalf("second refusal: %v, want a replay", err)
	}
	got := replay.Request
	if got.ID != record.Request.ID || got.State != provision.DeniedState || len(got.Verdict.Findings) != 2 || got.Error == nil {
		t.Errorf("replayed %+v, want the stored denial with both findings", got)
	}
}

func TestDestroyTakesTheInstanceOnce(t *testing.T) {
	t.Parallel()
	store := open(t)
	made := ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	accept(t, store, testkit.Destroyed(*made.Instance))

	for name, record := range map[string]*provision.Record{
		"made from an instance that has moved on": testkit.Destroyed(*made.Instance),
		"while another is live":                   destroyedAt(*made.Instance, 2),
	} {
		if err := store.Accept(t.Context(), record); kindOf(err) != provision.Conflict {
			t.Errorf("a destroy %s: %v, want a conflict", name, err)
		}
	}
	instance, err := store.Instance(t.Context(), made.Instance.ID)
	if err != nil || instance.Generation != 2 || instance.State != provision.Ready {
		t.Errorf("instance is %s at generation %d (%v), want ready at 2", instance.State, instance.Generation, err)
	}
}

func TestAnUpdateIsKeptAsItsRequestSaysOnceItSucceeds(t *testing.T) {
	t.Parallel()
	store := open(t)
	made := ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID)
	cost := 99 * provision.Dollar
	update := accept(t, store, testkit.Changed(*made.Instance, provision.Update, func(r *provision.Request) {
		r.Parameters = provision.Parameters{"name": "orders", "environment": "dev", "size": "medium"}
		r.MonthlyCost, r.CostCenter, r.OfferingVersion, r.OfferingDigest = &cost, "cc-2002", "1.1.0", "sha256:1fff3a"
		r.IdempotencyKey = "key-1"
	}))
	before, err := store.Instance(t.Context(), made.Instance.ID)
	if err != nil || before.Parameters["size"] != "small" || before.Generation != 2 || before.CostCenter != "cc-1001" {
		t.Errorf("once it is accepted the instance is %v of %s at generation %d (%v), want as it was at 2", before.Parameters, before.CostCenter, before.Generation, err)
	}
	ready(t, store, update.Request.ID)
	after, err := store.Instance(t.Context(), made.Instance.ID)
	if err != nil {
		t.Fatal(err)
	}
	if after.Parameters["size"] != "medium" || *after.MonthlyCost != cost || after.CostCenter != "cc-2002" ||
		after.OfferingVersion != "1.1.0" || after.OfferingDigest != "sha256:1fff3a" || after.State != provision.Ready {
		t.Errorf("once it has succeeded the instance is %+v, want what was asked for", after)
	}
	found, err := store.RequestByKey(t.Context(), "user:default/ann", "key-1")
	if err != nil || found.ID != update.Request.ID {
		t.Errorf("by its key: %s (%v), want %s", found.ID, err, update.Request.ID)
	}
	for _, key := range []string{"", "key-2"} {
		if _, err := store.RequestByKey(t.Context(), "user:default/ann", key); kindOf(err) != provision.NotFound {
			t.Errorf("by the key %q: %v, want not found", key, err)
		}
	}
}

func denied(name, key string) *provision.Record {
	request := testkit.NewRequest(name)
	request.IdempotencyKey, request.Verdict = key, testkit.Denial()
	return provision.Refused(request, "", time.Now())
}

func destroyedAt(instance provision.Instance, generation int64) *provision.Record {
	instance.Generation = generation
	return testkit.Destroyed(instance)
}

// repeats calls do n times at once and answers one error, having checked that
// all are replays.
func repeats(t *testing.T, n int, do func() error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do() })
	}
	all.Wait()
	var replay *provision.Replay
	if i := slices.IndexFunc(errs, func(err error) bool { return !errors.As(err, &replay) }); i >= 0 {
		return fmt.Errorf("repeat %d: %w", i, errs[i])
	}
	return errs[0]
}
