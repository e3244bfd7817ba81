package provision_test

import (
	"context"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// people is a directory in which only search has anybody.
type people struct{}

func (people) Members(_ context.Context, group string) ([]string, error) {
	if group == bob.Groups[0] {
		return []string{bob.Subject}, nil
	}
	return nil, nil
}

var toSearch = provision.Handing{Owner: "search", CostCenter: "cc-2002"}

// teamsSpend is what payments and search have taken.
func (s *shop) teamsSpend(t *testing.T) string {
	t.Helper()
	return s.spent(t, provision.BudgetTeam, "group:default/payments").Spent().String() + ", " +
		s.spent(t, provision.BudgetTeam, "group:default/search").Spent().String()
}

func TestHandingOverGivesTheInstanceFromTheApplyOn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Directory = people{}
	made := s.provisioned(t, "orders")
	if _, err := s.HandOver(t.Context(), bob, made.InstanceID, toSearch, change("", nil)); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team takes it: %v, want a denial", err)
	}
	first, err := s.HandOver(t.Context(), ann, made.InstanceID, toSearch, change("h1", nil))
	if err != nil || first.Owner != "group:default/search" || first.CostCenter != "cc-2002" || first.Parameters["team_owner"] != "search" {
		t.Fatalf("hand over = %+v, %v", first, err)
	}
	if again, err := s.HandOver(t.Context(), ann, made.InstanceID, toSearch, change("h1", nil)); err != nil || again.ID != first.ID {
		t.Errorf("the same again is %s (%v), want %s", again.ID, err, first.ID)
	}
	if s.input.Owner != "group:default/search" || s.input.Action != provision.HandOver {
		t.Errorf("the rules saw %s for %s, want it judged as the receiver's", s.input.Action, s.input.Owner)
	}
	for _, p := range []provision.Principal{ann, bob} {
		if _, err := s.Request(t.Context(), p, first.ID); err != nil {
			t.Errorf("%s reads it: %v", p.Subject, err)
		}
	}
	if i := s.instance(t, made.InstanceID); i.Owner != "group:default/payments" {
		t.Errorf("before the apply it is owned by %s", i.Owner)
	}
	claim := s.claimed(t, first.ID)
	if claim.Owner != "group:default/search" || claim.Tags["Team"] != "group:default/search" || claim.Tags["CostCenter"] != "cc-2002" || claim.CredentialsVersion != 2 {
		t.Errorf("the worker gets %s, %v and credentials by %d; want the receiver's and new ones", claim.Owner, claim.Tags, claim.CredentialsVersion)
	}
	if got := s.teamsSpend(t); got != "$85.50, $0.00" {
		t.Errorf("before the apply they spend %s", got)
	}
	for _, move := range []func(*provision.Record) error{goOn, outcome(provision.ResultFailed, "it broke")} {
		if _, err := s.store.ChangeRun(t.Context(), claim.RunID, move); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.teamsSpend(t); got != "$0.00, $85.50" {
		t.Errorf("from the apply on they spend %s, want it moved", got)
	}
	if i := s.instance(t, made.InstanceID); i.Owner != "group:default/search" || i.CostCenter != "cc-2002" {
		t.Errorf("after an apply that broke it is owned by %s at %s, want the receiver", i.Owner, i.CostCenter)
	}
	if _, err := s.Credentials(t.Context(), ann, made.InstanceID); provision.KindOf(err) != provision.Denied {
		t.Errorf("the giver opens its credentials: %v, want a denial", err)
	}
	if created, err := s.Request(t.Context(), bob, made.ID); err != nil || created.Owner != "group:default/payments" {
		t.Errorf("the receiver reads how it was made: %v", err)
	}
	if past, err := s.Requests(t.Context(), bob, provision.RequestFilter{InstanceID: made.InstanceID}); err != nil || len(past.Items) != 2 {
		t.Errorf("the receiver sees %d requests of it (%v), want its past too", len(past.Items), err)
	}
	if others, err := s.Requests(t.Context(), bob, provision.RequestFilter{}); err != nil || len(others.Items) != 1 {
		t.Errorf("elsewhere the receiver sees %d requests (%v), want their own alone", len(others.Items), err)
	}
	if _, err := s.Cancel(t.Context(), bob, made.ID, "not mine"); provision.KindOf(err) != provision.Denied {
		t.Errorf("the receiver cancels what another team asked for: %v, want a denial", err)
	}
	retried, err := s.Retry(t.Context(), bob, first.ID, provision.Submission{})
	if err != nil {
		t.Fatalf("the receiver goes on: %v", err)
	}
	s.work(t, retried.ID, `{"outputs": {}}`)
	if i := s.instance(t, made.InstanceID); i.State != provision.Ready || i.Parameters["team_owner"] != "search" {
		t.Errorf("in the end it is %s, %v", i.State, i.Parameters)
	}
}

func TestNobodyTakesWhatWasNotGiven(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Directory = people{}
	made := s.provisioned(t, "orders")
	for what, tt := range map[string]struct {
		to   provision.Handing
		want provision.Kind
	}{
		"to a team that nobody knows": {provision.Handing{Owner: "serach"}, provision.Invalid},
		"to a person":                 {provision.Handing{Owner: "user:default/bob"}, provision.Invalid},
		"to who owns it":              {provision.Handing{Owner: "payments"}, provision.Conflict},
	} {
		if _, err := s.HandOver(t.Context(), ann, made.InstanceID, tt.to, change("", nil)); err == nil || provision.KindOf(err) != tt.want {
			t.Errorf("%s: %v, want %s", what, err, tt.want)
		}
	}
	given, err := s.HandOver(t.Context(), ann, made.InstanceID, toSearch, change("", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), ann, given.ID, "not to them"); err != nil {
		t.Errorf("the giver takes it back: %v", err)
	}
	if _, err := s.Retry(t.Context(), bob, given.ID, provision.Submission{}); provision.KindOf(err) != provision.Denied {
		t.Errorf("the receiver retries what was taken back: %v, want a denial", err)
	}
	again, err := s.HandOver(t.Context(), ann, made.InstanceID, toSearch, change("", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cancel(t.Context(), bob, again.ID, "we do not want it"); err != nil {
		t.Errorf("the receiver declines: %v", err)
	}
	if i := s.instance(t, made.InstanceID); i.Owner != "group:default/payments" || i.CredentialsVersion != 1 {
		t.Errorf("it is owned by %s with credentials %d, want as it was", i.Owner, i.CredentialsVersion)
	}
	s.Directory = nil
	if _, err := s.HandOver(t.Context(), ann, made.InstanceID, toSearch, change("", nil)); provision.KindOf(err) != provision.Invalid {
		t.Errorf("where no team can be looked up: %v, want it refused", err)
	}
}
