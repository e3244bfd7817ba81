package provision_test

import (
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestACopyTakesTheOutputsOfCopies(t *testing.T) {
	t.Parallel()
	s := based(t)
	s.published.Parameters = append(s.published.Parameters, provision.Parameter{
		Name: "upstream", Title: "Upstream", Type: "string", Takes: &provision.Taken{Offering: "postgres-database", Output: "host"},
	})
	if err := s.store.PutBundle(t.Context(), *s.published, []byte("files")); err != nil {
		t.Fatal(err)
	}
	const state = `{"outputs": {}}` // what it outputs is in the worker's word: host
	base := func(name, takes string) {
		t.Helper()
		sub := ask(name, "base-"+name)
		sub.Parameters["environment"], sub.Parameters["upstream"] = "staging", takes
		if takes == "" {
			delete(sub.Parameters, "upstream")
		}
		made, err := s.Submit(t.Context(), ann, sub)
		if err != nil {
			t.Fatal(err)
		}
		s.work(t, made.ID, state)
	}
	base("orders", "")
	base("web", "resource:staging/orders.postgres-database")

	_, first, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "push 1")
	if err != nil || first[0].Err != nil {
		t.Fatalf("asked for: %+v (%v), want the database's copy accepted", first, err)
	}
	if provision.KindOf(first[1].Err) != provision.Conflict || !strings.Contains(first[1].Err.Error(), "host of pr-42-orders, which is not ready") {
		t.Errorf("what takes from it: %v, want that it waits for the copy", first[1].Err)
	}
	s.work(t, first[0].Request.ID, state)
	_, second, err := s.MakeEphemeral(t.Context(), ann, preview("acme/orders"), "push 2")
	if err != nil || second[1].Err != nil || second[1].Request.Parameters["upstream"] != "resource:dev/pr-42-orders.postgres-database" {
		t.Errorf("asked for again: %+v (%v), want it to take from the copy", second[1], err)
	}

	alone := preview("acme/site")
	alone.Of = []string{"web"}
	_, third, err := s.MakeEphemeral(t.Context(), ann, alone, "alone")
	if err != nil || third[0].Err != nil || third[0].Request.Parameters["upstream"] != nil {
		t.Errorf("copied alone: %+v (%v), want it without what was not copied", third, err)
	}
}
