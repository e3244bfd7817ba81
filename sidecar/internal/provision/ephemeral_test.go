package provision_test

import (
	"fmt"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestAnEphemeralEnvironmentIsASmallCopyOfItsBase(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.published.Preview = provision.PreviewRules{Set: provision.Parameters{"size": "small"}, AtMost: map[string]int64{"storage": 100}}
	s.published.Parameters = append(s.published.Parameters, provision.Parameter{Name: "storage", Title: "Storage", Type: "integer"})
	s.Environments["staging"] = provision.Environment{Name: "staging", Implementation: "local", Pool: "local"}
	for name, storage := range map[string]int{"orders": 500, "billing": 50} {
		sub := ask(name, "base-"+name)
		sub.Parameters["environment"], sub.Parameters["size"], sub.Parameters["storage"], sub.Parameters["secret"] = "staging", "medium", storage, "canary"
		made, err := s.Submit(t.Context(), ann, sub)
		if err != nil {
			t.Fatal(err)
		}
		s.work(t, made.ID, `{"outputs": {}}`)
	}
	want := provision.EphemeralAsk{
		PullRequest: provision.PullRequest{Repository: "acme/orders", Number: 42, Base: "staging"}, Owner: "payments", Environment: "dev", Lifetime: 24 * hour,
	}
	pull, members, err := s.MakeEphemeral(t.Context(), ann, want, "k")
	if err != nil || len(members) != 2 {
		t.Fatalf("it has %d members (%v), want the two of the base", len(members), err)
	}
	for i, storage := range map[int]string{0: "50", 1: "100"} {
		r := members[i].Request
		if members[i].Err != nil || r.Name != "pr-42-"+members[i].Of.Name || r.Environment != "dev" || r.Lifetime != 24*hour ||
			r.Parameters["size"] != "small" || text(r.Parameters["storage"]) != storage || r.Parameters["secret"] != nil {
			t.Errorf("%s is asked for as %+v (%v), want a small copy with %s GB and no secret for a day", members[i].Of.Name, r, members[i].Err, storage)
		}
	}
	if _, again, err := s.MakeEphemeral(t.Context(), ann, want, "k"); err != nil || again[0].Request.ID != members[0].Request.ID {
		t.Errorf("the same again: %v, want the same requests", err)
	}
	if _, _, err := s.MakeEphemeral(t.Context(), bob, want, "b"); provision.KindOf(err) != provision.Denied {
		t.Errorf("of another team's: %v, want denied", err)
	}
	want.Of = []string{"ledger"}
	if _, _, err := s.MakeEphemeral(t.Context(), ann, want, "o"); provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), `"ledger"`) {
		t.Errorf("of what is not there: %v, want invalid with its name", err)
	}

	for _, m := range members {
		s.work(t, m.Request.ID, `{"outputs": {}}`)
	}
	found, err := s.Ephemerals(t.Context(), ann, pull.ID)
	if err != nil || len(found) != 1 || len(found[0].Instances) != 2 || found[0].ExpiresAt() == nil || found[0].PullRequest != pull {
		t.Fatalf("found %+v (%v), want it with both", found, err)
	}
	if theirs, err := s.Ephemerals(t.Context(), bob, [16]byte{}); err != nil || len(theirs) != 0 {
		t.Errorf("another team sees %v (%v)", theirs, err)
	}
	longer, err := s.ExtendEphemeral(t.Context(), ann, pull.ID, 12*hour, "e")
	if err != nil || len(longer) != 2 || longer[0].Request.Lifetime != 36*hour || longer[1].Err != nil {
		t.Fatalf("extend: %+v (%v), want both by 12 h", longer, err)
	}
	for _, o := range longer {
		s.work(t, o.Request.ID, `{"outputs": {}}`)
	}
	gone, err := s.DestroyEphemeral(t.Context(), ann, pull.ID, "d")
	if err != nil || len(gone) != 2 || gone[0].Request.Action != provision.Destroy {
		t.Fatalf("destroy: %+v (%v), want both", gone, err)
	}
	for _, o := range gone {
		s.work(t, o.Request.ID, `{"outputs": {}}`)
	}
	if _, err := s.Ephemerals(t.Context(), ann, pull.ID); provision.KindOf(err) != provision.NotFound {
		t.Errorf("once it is gone: %v, want not found", err)
	}
	want.Of = nil
	if reopened, again, err := s.MakeEphemeral(t.Context(), ann, want, "k2"); err != nil || reopened.ID != pull.ID || again[0].Err != nil {
		t.Errorf("reopened: %+v (%v), want it again under its names", again, err)
	}
}

func text(value any) string { return fmt.Sprint(value) }
