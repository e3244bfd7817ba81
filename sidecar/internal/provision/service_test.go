package provision_test

import (
	"errors"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	ann = provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/payments", "user:default/ann"}, Actor: "plugin:scaffolder"}
	bob = provision.Principal{Subject: "user:default/bob", Groups: []string{"group:default/search", "user:default/bob"}}
)

func TestSubmitAnswersTheSameKeyAlike(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	first, err := s.Submit(t.Context(), ann, ask("orders", "k1"))
	if err != nil || first.State != provision.Queued || first.MonthlyCost.String() != "$85.50" {
		t.Fatalf("submit: %s at %v (%v), want queued at $85.50", first.State, first.MonthlyCost, err)
	}
	again, err := s.Submit(t.Context(), ann, ask("orders", "k1"))
	if err != nil || again.ID != first.ID {
		t.Errorf("the same again: %s (%v), want %s", again.ID, err, first.ID)
	}
	if _, err := s.Submit(t.Context(), ann, ask("billing", "k1")); provision.KindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "Idempotency-Key") {
		t.Errorf("another body under the key: %v, want a conflict about the key", err)
	}
	for range 2 {
		_, err = s.Submit(t.Context(), ann, ask("orders", "k2"))
		var shown *provision.Error
		if !errors.As(err, &shown) || shown.Kind != provision.Conflict || shown.RequestID == "" || !strings.Contains(shown.Message, "already exists in dev") {
			t.Errorf("a taken name: %v, want a stored conflict", err)
		}
	}
	s.deny = "dev"
	ids := map[string]bool{}
	for range 2 {
		_, err = s.Submit(t.Context(), ann, ask("billing", "k3"))
		var shown *provision.Error
		if !errors.As(err, &shown) || shown.Kind != provision.Denied || len(shown.Findings) != 2 {
			t.Fatalf("a denied ask: %v, want a denial with findings", err)
		}
		ids[shown.RequestID] = true
	}
	if len(ids) != 1 {
		t.Errorf("a denial and its repeat are requests %v, want one", ids)
	}
	again, err = s.Submit(t.Context(), ann, ask("orders", "k1"))
	if err != nil || again.ID != first.ID {
		t.Errorf("an accepted ask repeated under stricter rules: %s (%v), want %s", again.ID, err, first.ID)
	}
}

func TestSubmitRefusesWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	with := func(name string, value any) provision.Submission {
		sub := ask("orders", "")
		sub.Parameters[name] = value
		return sub
	}
	tests := map[string]struct {
		principal provision.Principal
		sub       provision.Submission
		want      provision.Kind
	}{
		"another team's":                  {bob, ask("orders", ""), provision.Denied},
		"a plugin on nobody's behalf":     {provision.Principal{Subject: "plugin:scaffolder"}, ask("orders", ""), provision.Denied},
		"an unknown offering":             {ann, provision.Submission{Offering: "x"}, provision.NotFound},
		"a missing parameter":             {ann, with("name", ""), provision.Invalid},
		"an unknown environment":          {ann, with("environment", "mars"), provision.Invalid},
		"no implementation for the place": {ann, with("environment", "prod"), provision.Invalid},
		"what has no price":               {ann, with("size", "xlarge"), provision.Denied},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Submit(t.Context(), tt.principal, tt.sub); provision.KindOf(err) != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	page, err := s.store.Requests(t.Context(), provision.RequestFilter{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d requests are stored (%v), want the judged one alone", len(page.Items), err)
	}
}

func TestSensitiveParametersAreSealedBeforeJudge(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sub := ask("orders", "")
	sub.Parameters["secret"] = "canary"
	request, err := s.Submit(t.Context(), ann, sub)
	if err != nil {
		t.Fatal(err)
	}
	if seen, _ := s.input.Parameters["secret"].(map[string]any); len(seen) != 1 || seen["set"] != true {
		t.Errorf("the rules saw %v, want only that it is set", s.input.Parameters["secret"])
	}
	stored, err := s.store.Request(t.Context(), request.ID)
	if err != nil {
		t.Fatal(err)
	}
	if sealed, ok := provision.Sealed(stored.Parameters["secret"]); !ok || string(sealed) != `local:"canary"` {
		t.Errorf("stored %q, want it sealed for the pool", sealed)
	}
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	key := provision.Submission{IdempotencyKey: "d1"}
	s.deny = "dev"
	for range 2 {
		if _, err := s.Destroy(t.Context(), ann, made.InstanceID, provision.Submission{IdempotencyKey: "d0"}); provision.KindOf(err) != provision.Denied {
			t.Errorf("a denied destroy: %v, want denied, the repeat too", err)
		}
	}
	s.deny = ""
	if _, err := s.Destroy(t.Context(), bob, made.InstanceID, key); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team's destroy: %v, want denied", err)
	}
	first, err := s.Destroy(t.Context(), ann, made.InstanceID, key)
	if err != nil || first.Action != provision.Destroy || first.Generation != 2 {
		t.Fatalf("destroy: %s of generation %d (%v)", first.Action, first.Generation, err)
	}
	if again, err := s.Destroy(t.Context(), ann, made.InstanceID, key); err != nil || again.ID != first.ID {
		t.Errorf("the same again while it is live: %s (%v), want %s", again.ID, err, first.ID)
	}
	if _, err := s.Destroy(t.Context(), ann, made.InstanceID, provision.Submission{IdempotencyKey: "d2"}); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a second destroy: %v, want a conflict", err)
	}
	s.work(t, first.ID, `{}`)
	if again, err := s.Destroy(t.Context(), ann, made.InstanceID, key); err != nil || again.ID != first.ID {
		t.Errorf("the same again once it is done: %s (%v), want %s", again.ID, err, first.ID)
	}
	if _, err := s.Destroy(t.Context(), ann, made.InstanceID, provision.Submission{}); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a destroy of what is destroyed: %v, want a conflict", err)
	}
}

func TestDestroyBeforeApplyCancelsTheCreate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made, err := s.Submit(t.Context(), ann, ask("orders", ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Destroy(t.Context(), ann, made.InstanceID, provision.Submission{})
	if err != nil || got.ID != made.ID || got.State != provision.Cancelled {
		t.Errorf("destroy: request %s is %s (%v), want the create cancelled", got.ID, got.State, err)
	}
}

func TestOpeningCredentialsIsRecordedAndForOwners(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	if _, err := s.Credentials(t.Context(), bob, made.InstanceID); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team's opening: %v, want denied", err)
	}
	secrets, err := s.Credentials(t.Context(), ann, made.InstanceID)
	if err != nil || secrets["password"] != "canary" || secrets["host"] != nil {
		t.Errorf("credentials are %v (%v), want the sensitive ones alone", secrets, err)
	}
	told, err := s.store.EventsAfter(t.Context(), made.InstanceID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := told[len(told)-1]
	if last.Type() != "dev.roadbed.credentials.opened.v1" || last.Data["opened_by"] != ann.Subject {
		t.Errorf("the newest event is %s by %v, want the opening by ann", last.Type(), last.Data["opened_by"])
	}
}

func TestPeopleListWhatTheirGroupsOwn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if _, err := s.Submit(t.Context(), ann, ask("orders", "")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		who    provision.Principal
		owners []string
		want   int
	}{
		"hers": {ann, nil, 1}, "his": {bob, nil, 0}, "hers, asked by him": {bob, []string{"group:default/payments"}, 0},
		"hers, by name": {ann, []string{"group:default/payments", "group:default/search"}, 1},
	} {
		requests, err := s.Requests(t.Context(), tt.who, provision.RequestFilter{Owners: tt.owners})
		instances, err2 := s.Instances(t.Context(), tt.who, provision.InstanceFilter{Owners: tt.owners})
		if len(requests.Items) != tt.want || len(instances.Items) != tt.want || errors.Join(err, err2) != nil {
			t.Errorf("%s: %d requests and %d instances (%v), want %d", name, len(requests.Items), len(instances.Items), errors.Join(err, err2), tt.want)
		}
	}
}

func TestWorkersAreHeldToTheirRun(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	request, err := s.Submit(t.Context(), ann, ask("orders", ""))
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.store.Change(t.Context(), request.ID, dispatch)
	if err != nil {
		t.Fatal(err)
	}
	run := record.Run.ID
	if _, err := s.runs.Claim(t.Context(), "aws", "w9", run); provision.KindOf(err) != provision.Conflict {
		t.Errorf("another pool's claim: %v, want a conflict", err)
	}
	lost, err := s.runs.Claim(t.Context(), "local", "w1", run)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := s.runs.Claim(t.Context(), "local", "w1", run)
	if err != nil || claim.Fence != lost.Fence || claim.Tags["RequestID"] != request.ID.String() || claim.LeaseSeconds != 60 {
		t.Fatalf("the claim again: %+v (%v), want the same fence", claim, err)
	}
	if _, err := s.runs.Renew(t.Context(), run, lost.Token); provision.KindOf(err) != provision.Conflict {
		t.Errorf("renewal by the replaced token: %v, want a conflict", err)
	}
	if lease, err := s.runs.Renew(t.Context(), run, claim.Token); err != nil || !lease.ExpiresAt.After(lease.Now) {
		t.Errorf("renewal: %+v (%v)", lease, err)
	}
	if _, err := s.Cancel(t.Context(), ann, request.ID, "changed my mind"); err != nil {
		t.Fatal(err)
	}
	if lease, err := s.runs.Renew(t.Context(), run, claim.Token); err != nil || lease.Cancel != "changed my mind" {
		t.Errorf("renewal after a cancel: %+v (%v), want the reason", lease, err)
	}
	if _, err := s.runs.LatestState(t.Context(), run, claim.Token); provision.KindOf(err) != provision.NotFound {
		t.Errorf("state before any push: %v, want not found", err)
	}
	if err := s.runs.Release(t.Context(), run, claim.Token); err != nil {
		t.Fatal(err)
	}
	view, err := s.runs.View(t.Context(), "local", run)
	if err != nil || view.State != provision.RunEnded || view.RequestState != provision.Cancelled {
		t.Errorf("view: %+v (%v), want ended and cancelled", view, err)
	}
	if _, err := s.runs.View(t.Context(), "aws", run); provision.KindOf(err) != provision.NotFound {
		t.Errorf("another pool's view: %v, want not found", err)
	}
}

func TestPlanIsJudgedAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	request, err := s.Submit(t.Context(), ann, ask("orders", ""))
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.store.Change(t.Context(), request.ID, dispatch)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := s.runs.Claim(t.Context(), "local", "w1", record.Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.deny = "dev"
	for range 2 {
		err := s.runs.Plan(t.Context(), claim.RunID, claim.Token, []provision.Change{{Address: "a", Action: "delete"}})
		var shown *provision.Error
		if !errors.As(err, &shown) || shown.Kind != provision.Denied || len(shown.Findings) == 0 {
			t.Errorf("a denied plan: %v, want denied with findings, the repeat too", err)
		}
	}
	if s.input.Stage != provision.StagePlan || len(s.input.Changes) != 1 {
		t.Errorf("the rules saw %d changes at %s, want the plan's", len(s.input.Changes), s.input.Stage)
	}
}
