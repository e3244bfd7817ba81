package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// takes makes a record take host of an instance as its parameter "database".
func takes(upstream provision.Instance) func(*provision.Request) {
	return func(r *provision.Request) {
		r.Links = []provision.Link{{Parameter: "database", InstanceID: upstream.ID, EntityRef: upstream.EntityRef(), Output: "host"}}
	}
}

// dependants are the names of those that depend on an instance.
func dependants(t *testing.T, store *postgres.Store, upstream provision.Instance) string {
	t.Helper()
	found, err := store.Dependants(t.Context(), upstream.ID)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(found))
	for i, d := range found {
		names[i] = d.Name
	}
	return strings.Join(names, " ")
}

func TestALinkHoldsWhatItTakesFromUntilItIsNoLongerSo(t *testing.T) {
	t.Parallel()
	store := open(t)
	first := *ready(t, store, accept(t, store, testkit.Created("orders", nil)).Request.ID).Instance
	second := *ready(t, store, accept(t, store, testkit.Created("billing", nil)).Request.ID).Instance
	shop := accept(t, store, testkit.Created("shop", takes(first)))
	if got := dependants(t, store, first); got != "shop" {
		t.Fatalf("while it is asked for, %q depend on orders", got)
	}
	err := store.Accept(t.Context(), testkit.Destroyed(first))
	if kindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "take an output of 'orders'") {
		t.Errorf("the end of what is taken from: %v, want a conflict", err)
	}

	made := *ready(t, store, shop.Request.ID).Instance
	if len(made.Links) != 1 || made.Links[0].InstanceID != first.ID {
		t.Errorf("once it is made it takes %+v", made.Links)
	}
	update := accept(t, store, testkit.Changed(made, provision.Update, takes(second)))
	if dependants(t, store, first) != "shop" || dependants(t, store, second) != "shop" {
		t.Error("while the change goes on, one of the two is not held")
	}
	change(t, store, update.Request.ID, func(r *provision.Record) error { return r.Cancel("not now") })
	if dependants(t, store, first) != "shop" || dependants(t, store, second) != "" {
		t.Error("once the change was cancelled, what it would have taken from is still held, or what is taken is not")
	}
	again, err := store.Instance(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	moved := *ready(t, store, accept(t, store, testkit.Changed(again, provision.Update, takes(second))).Request.ID).Instance
	if dependants(t, store, first) != "" || dependants(t, store, second) != "shop" {
		t.Error("once the change is made, it does not hold the other alone")
	}
	ready(t, store, accept(t, store, testkit.Destroyed(moved)).Request.ID)
	if got := dependants(t, store, second); got != "" {
		t.Errorf("once it is destroyed, %q still depend on billing", got)
	}
	accept(t, store, testkit.Destroyed(second))
	err = store.Accept(t.Context(), testkit.Created("late", takes(second)))
	if kindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "is being destroyed") {
		t.Errorf("a link to what is going: %v, want a conflict", err)
	}
}

// Each round one link and one end of what it takes from are asked for at once:
// exactly one may win, whichever comes first.
func TestALinkAndTheEndOfWhatItTakesFromNeverBothWin(t *testing.T) {
	t.Parallel()
	store := open(t)
	linked, destroyed := 0, 0
	for round := range 20 {
		upstream := *ready(t, store, accept(t, store, testkit.Created(fmt.Sprintf("up-%d", round), nil)).Request.ID).Instance
		var link, end error
		var both sync.WaitGroup
		both.Go(func() {
			link = store.Accept(t.Context(), testkit.Created(fmt.Sprintf("down-%d", round), takes(upstream)))
		})
		both.Go(func() { end = store.Accept(t.Context(), testkit.Destroyed(upstream)) })
		both.Wait()
		switch {
		case link == nil && kindOf(end) == provision.Conflict && end != nil:
			linked++
		case end == nil && kindOf(link) == provision.Conflict && link != nil:
			destroyed++
		default:
			t.Fatalf("round %d: the link gave %v, the end gave %v; want one conflict", round, link, end)
		}
	}
	t.Logf("%d links and %d ends came first", linked, destroyed)
}

// Each round four instances would each take from the next, at once or one after
// the other, though when each was looked at there was no circle: whichever come
// first win, and the one that would close the circle does not.
func TestLinksNeverGoRoundInACircle(t *testing.T) {
	t.Parallel()
	store := open(t)
	for round := range 10 {
		var four [4]provision.Instance
		for i := range four {
			four[i] = *ready(t, store, accept(t, store, testkit.Created(fmt.Sprintf("r%d-%d", round, i), nil)).Request.ID).Instance
		}
		link := func(i int) error {
			return store.Accept(t.Context(), testkit.Changed(four[i], provision.Update, takes(four[(i+1)%len(four)])))
		}
		var refused [4]error
		var all sync.WaitGroup
		for i := range four {
			if round == 0 {
				refused[i] = link(i)
				continue
			}
			all.Go(func() { refused[i] = link(i) })
		}
		all.Wait()
		n := 0
		for i, err := range refused {
			if err == nil {
				continue
			}
			n++
			if kindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "has begun to take one of its own") {
				t.Errorf("round %d, link %d: %v, want a conflict that says what goes round", round, i, err)
			}
		}
		if n != 1 {
			t.Fatalf("round %d: %d of four links that make a circle were refused, want one", round, n)
		}
	}
}
