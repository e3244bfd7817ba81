package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

var poolsOfTest = map[string]string{"dev": "local", "prod": "aws"}

func TestNoTeamWaitsWhileAnotherWithMoreInFlightGoesAndNoLimitIsExceeded(t *testing.T) {
	t.Parallel()
	store := open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	limits := provision.Limits{Teams: map[string]int{"group:default/a": 1, "group:default/b": 3}, Team: 5}
	environments := map[string][]string{"local": {"dev"}, "aws": {"prod"}}

	type standing struct{ owner, pool string }
	waiting, live := map[uuid.UUID]standing{}, map[uuid.UUID]standing{}
	inFlight := func(owner string) (n int) {
		for _, run := range live {
			if run.owner == owner {
				n++
			}
		}
		return n
	}
	for i := range 150 {
		switch random.IntN(5) {
		case 0, 1, 2: // a burst of one team would be the worst for the others
			s := standing{"group:default/" + string("aaabcd"[random.IntN(6)]), []string{"local", "aws"}[random.IntN(2)]}
			id := accept(t, store, testkit.Created(fmt.Sprintf("orders-%d", i), func(r *provision.Request) {
				r.Owner, r.Environment = s.owner, environments[s.pool][0]
			})).Request.ID
			waiting[id] = s
		case 3:
			for id := range live {
				change(t, store, id, func(r *provision.Record) error { return r.Cancel("done") })
				delete(live, id)
				break
			}
		default:
			pool := []string{"local", "aws"}[random.IntN(2)]
			line, err := store.Queued(t.Context(), environments[pool], limits, 100)
			if err != nil {
				t.Fatal(err)
			}
			if len(line) == 0 {
				for id, s := range waiting {
					if s.pool == pool && inFlight(s.owner) < limits.OfTeam(s.owner) {
						t.Fatalf("%s of %s waits and nothing keeps it back, but the line is empty", id, s.owner)
					}
				}
				continue
			}
			next := line[0]
			places, err := store.Places(t.Context(), []uuid.UUID{next.RequestID}, poolsOfTest, limits)
			if place := places[next.RequestID]; err != nil || place.Position != 1 || place.KeptBack || place.Pool != pool {
				t.Errorf("who goes next in %s stands at %+v (%v), want 1st", pool, place, err)
			}
			if next.InFlight != inFlight(next.Owner) {
				t.Errorf("%s has %d in flight, the line says %d", next.Owner, inFlight(next.Owner), next.InFlight)
			}
			if next.InFlight >= limits.OfTeam(next.Owner) {
				t.Errorf("%s goes with %d in flight, its limit is %d", next.Owner, next.InFlight, limits.OfTeam(next.Owner))
			}
			for _, s := range waiting {
				if s.pool == pool && inFlight(s.owner) < min(next.InFlight, limits.OfTeam(s.owner)) {
					t.Errorf("%s with %d in flight goes before %s with %d", next.Owner, next.InFlight, s.owner, inFlight(s.owner))
				}
			}
			change(t, store, next.RequestID, func(r *provision.Record) error { return r.Dispatch(pool, testkit.Verdict()) })
			live[next.RequestID] = waiting[next.RequestID]
			delete(waiting, next.RequestID)
		}
	}
}

func TestAPlaceFollowsTheLineWithoutAnythingBeingStored(t *testing.T) {
	t.Parallel()
	store := open(t)
	limits := provision.Limits{Slots: 1, Teams: map[string]int{"group:default/search": 1}}
	ask := func(name, owner, environment string) uuid.UUID {
		return accept(t, store, testkit.Created(name, func(r *provision.Request) { r.Owner, r.Environment = "group:default/"+owner, environment })).Request.ID
	}
	p1, p2 := ask("p1", "payments", "dev"), ask("p2", "payments", "dev")
	s1, s2 := ask("s1", "search", "dev"), ask("s2", "search", "dev")
	x1, lost := ask("x1", "search", "prod"), ask("lost", "payments", "gone")
	all := []uuid.UUID{p1, p2, s1, s2, x1, lost}
	said := func() map[string]string {
		t.Helper()
		places, err := store.Places(t.Context(), all, poolsOfTest, limits)
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]string{}
		for id, place := range places {
			request, err := store.Request(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			words[request.Name] = place.String()
		}
		return words
	}
	want := map[string]string{
		"p1": "1st in line for pool local; 0 of 1 slots busy",
		"s1": "2nd in line for pool local; 0 of 1 slots busy",
		"p2": "3rd in line for pool local; 0 of 1 slots busy",
		"s2": "search has 0 of its 1 runs in flight; this is 2nd of its own in line for pool local",
		"x1": "1st in line for pool aws; 0 of 1 slots busy",
	}
	if diff := cmp.Diff(want, said()); diff != "" {
		t.Errorf("the line (-want +got):\n%s", diff)
	}
	change(t, store, s1, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	want = map[string]string{
		"p1": "1st in line for pool local; 1 of 1 slots busy",
		"p2": "2nd in line for pool local; 1 of 1 slots busy",
		"s2": "search has 1 of its 1 runs in flight",
		"x1": "search has 1 of its 1 runs in flight",
	}
	if diff := cmp.Diff(want, said()); diff != "" {
		t.Errorf("the line once s1 goes (-want +got):\n%s", diff)
	}
	events, err := store.EventsAfter(t.Context(), p2, 0, 100)
	if err != nil || len(events) != 4 {
		t.Errorf("%d events of a request that only stood in line (%v), want 4: submitted, its money held, its step, queued", len(events), err)
	}
}

func TestOneAtATimeGivesOutSlots(t *testing.T) {
	t.Parallel()
	store := open(t)
	try := func(do func()) bool {
		t.Helper()
		ok, err := store.Dispatching(t.Context(), func(context.Context) error { do(); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	inner := true
	if !try(func() { inner = try(func() {}) }) || inner {
		t.Errorf("the second was let in: %t, want only the first", inner)
	}
	if !try(func() {}) {
		t.Error("nobody is at it any more, and it is still refused")
	}
}
