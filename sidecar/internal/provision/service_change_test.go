package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func change(key string, given provision.Parameters) provision.Submission {
	return provision.Submission{IdempotencyKey: key, Parameters: given}
}

// instance is how an instance stands.
func (s *shop) instance(t *testing.T, id uuid.UUID) provision.Instance {
	t.Helper()
	i, err := s.store.Instance(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (s *shop) updated(t *testing.T, id uuid.UUID, given provision.Parameters) provision.Request {
	t.Helper()
	request, err := s.Update(t.Context(), ann, id, change("", given))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// endAs has a worker take a request up to its apply, which ends as it is told.
func (s *shop) endAs(t *testing.T, request uuid.UUID, result, message string) {
	t.Helper()
	record, err := s.store.Change(t.Context(), request, dispatch)
	if err != nil {
		t.Fatal(err)
	}
	for _, move := range []func(*provision.Record) error{claim("w1"), goOn, outcome(result, message)} {
		if _, err := s.store.ChangeRun(t.Context(), record.Run.ID, move); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnUpdateCountsOnceItIsApplied(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	first, err := s.Update(t.Context(), ann, made.InstanceID, change("u1", provision.Parameters{"size": "medium"}))
	if err != nil {
		t.Fatal(err)
	}
	if first.Action != provision.Update || first.Generation != 2 || first.State != provision.Queued || first.Parameters["size"] != "medium" ||
		first.Parameters["name"] != "orders" || first.MonthlyCost.String() != "$99.00" || len(first.Steps) != 3 {
		t.Errorf("update = %+v, want queued for generation 2 with all parameters at $99.00", first)
	}
	if s.input.Action != provision.Update || s.input.Before["size"] != "small" || s.input.Parameters["size"] != "medium" {
		t.Errorf("the rules saw %s from %v to %v, want what is before and after", s.input.Action, s.input.Before, s.input.Parameters)
	}
	if i := s.instance(t, made.InstanceID); i.Parameters["size"] != "small" || i.MonthlyCost.String() != "$85.50" || i.Generation != 2 {
		t.Errorf("before the apply it is %v at %s, want as it was", i.Parameters, i.MonthlyCost)
	}
	s.work(t, first.ID, `{"outputs": {}}`)
	if s.input.Stage != provision.StagePlan || s.input.Before["size"] != "small" {
		t.Errorf("at the %s the rules saw before as %v, want it small", s.input.Stage, s.input.Before)
	}
	if i := s.instance(t, made.InstanceID); i.State != provision.Ready || i.Parameters["size"] != "medium" || i.MonthlyCost.String() != "$99.00" {
		t.Errorf("after the apply it is %s, %v at %s", i.State, i.Parameters, i.MonthlyCost)
	}
	again, err := s.Update(t.Context(), ann, made.InstanceID, change("u1", provision.Parameters{"size": "medium"}))
	if err != nil || again.ID != first.ID || again.State != provision.Succeeded {
		t.Errorf("the same again once it is done: %s %s (%v), want %s", again.ID, again.State, err, first.ID)
	}
	if _, err := s.Update(t.Context(), ann, made.InstanceID, change("u1", provision.Parameters{"size": "small"})); provision.KindOf(err) != provision.Conflict {
		t.Errorf("another change under the key: %v, want a conflict", err)
	}
}

func TestAnUpdateThatDoesNotSucceedLeavesTheParameters(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end  func(t *testing.T, s *shop, id uuid.UUID)
		want provision.InstanceState
	}{
		"cancelled in the queue": {func(t *testing.T, s *shop, id uuid.UUID) {
			if _, err := s.Cancel(t.Context(), ann, id, "not today"); err != nil {
				t.Fatal(err)
			}
		}, provision.Ready},
		"failed during apply":    {func(t *testing.T, s *shop, id uuid.UUID) { s.endAs(t, id, provision.ResultFailed, "it broke") }, provision.Incomplete},
		"cancelled during apply": {func(t *testing.T, s *shop, id uuid.UUID) { s.endAs(t, id, provision.ResultCancelled, "stop") }, provision.Incomplete},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			made := s.provisioned(t, "orders")
			tt.end(t, s, s.updated(t, made.InstanceID, provision.Parameters{"size": "medium"}).ID)
			i := s.instance(t, made.InstanceID)
			if i.State != tt.want || i.Parameters["size"] != "small" || i.MonthlyCost.String() != "$85.50" {
				t.Errorf("it is %s, %v at %s, want %s and as it was", i.State, i.Parameters, i.MonthlyCost, tt.want)
			}
			back, err := s.Update(t.Context(), ann, made.InstanceID, change("", nil))
			switch {
			case tt.want == provision.Ready && provision.KindOf(err) != provision.Invalid:
				t.Errorf("a change of nothing: %v, want invalid", err)
			case tt.want == provision.Incomplete && (err != nil || back.Generation != 3):
				t.Errorf("back to what it was: generation %d (%v), want 3", back.Generation, err)
			}
		})
	}
}

func TestAnUpdateNamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	_, err := s.Update(t.Context(), ann, made.InstanceID, change("", provision.Parameters{
		"name": "", "environment": "prod", "team_owner": "search", "zone": "b", "size": "medium",
	}))
	var shown *provision.Error
	if !errors.As(err, &shown) || shown.Kind != provision.Invalid {
		t.Fatalf("update: %v, want invalid", err)
	}
	var paths []string
	for _, f := range shown.Details {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"/name", "/name", "/environment", "/zone", "/team_owner"}, paths); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if !strings.Contains(shown.Message, "handing over") || !strings.Contains(shown.Message, "zone is not set and stays so") {
		t.Errorf("it says %q, want each way out", shown.Message)
	}
}

func TestAnUpdateIsRefusedWhileSomethingElseGoesOn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	larger := provision.Parameters{"size": "medium"}
	if _, err := s.Update(t.Context(), bob, made.InstanceID, change("", larger)); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team's: %v, want denied", err)
	}
	s.deny = "dev"
	ids := map[string]bool{}
	for range 2 {
		_, err := s.Update(t.Context(), ann, made.InstanceID, change("no", larger))
		var shown *provision.Error
		if !errors.As(err, &shown) || shown.Kind != provision.Denied || len(shown.Findings) != 2 {
			t.Fatalf("a denied update: %v, want denied with findings", err)
		}
		ids[shown.RequestID] = true
	}
	if i := s.instance(t, made.InstanceID); len(ids) != 1 || i.Generation != 1 {
		t.Errorf("a denial and its repeat are requests %v at generation %d, want one at 1", ids, i.Generation)
	}
	s.deny = ""
	live := s.updated(t, made.InstanceID, larger)
	_, err := s.Update(t.Context(), ann, made.InstanceID, change("", provision.Parameters{"size": "small", "engine": "16"}))
	if provision.KindOf(err) != provision.Conflict || !strings.Contains(err.Error(), live.ID.String()) {
		t.Errorf("a second one: %v, want a conflict that names %s", err, live.ID)
	}
	gone, err := s.Destroy(t.Context(), ann, made.InstanceID, provision.Submission{})
	if err != nil || gone.Generation != 3 {
		t.Fatalf("destroy instead of a queued update: generation %d (%v), want 3", gone.Generation, err)
	}
	if r, err := s.store.Request(t.Context(), live.ID); err != nil || r.State != provision.Cancelled {
		t.Errorf("the queued update is %s (%v), want cancelled", r.State, err)
	}
	s.work(t, gone.ID, `{}`)
	if _, err := s.Update(t.Context(), ann, made.InstanceID, change("", larger)); provision.KindOf(err) != provision.Conflict {
		t.Errorf("an update of what is gone: %v, want a conflict", err)
	}
}

func TestSecretsStayThroughAnUpdate(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	sub := ask("orders", "")
	sub.Parameters["secret"] = "canary"
	made, err := s.Submit(t.Context(), ann, sub)
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, made.ID, `{}`)
	kept := s.updated(t, made.InstanceID, provision.Parameters{"size": "medium", "secret": map[string]any{"set": true}})
	if sealed, ok := provision.Sealed(kept.Parameters["secret"]); !ok || string(sealed) != `local:"canary"` {
		t.Errorf("kept as %q, want it sealed as it was", sealed)
	}
	s.work(t, kept.ID, `{}`)
	given := provision.Parameters{"secret": "canary2"}
	preview, err := s.PreviewChange(t.Context(), ann, made.InstanceID, provision.Update, given, false)
	mark := map[string]any{"set": true}
	want := []provision.ParameterChange{{Parameter: "secret", Title: "Secret", Before: mark, After: mark}}
	if diff := cmp.Diff(want, preview.Changes); diff != "" || err != nil {
		t.Errorf("preview (%v) shows (-want +got):\n%s", err, diff)
	}
	fresh := s.updated(t, made.InstanceID, given)
	if sealed, ok := provision.Sealed(fresh.Parameters["secret"]); !ok || string(sealed) != `local:"canary2"` {
		t.Errorf("changed to %q, want the new one sealed", sealed)
	}
	if seen, _ := s.input.Parameters["secret"].(map[string]any); len(seen) != 1 || seen["set"] != true {
		t.Errorf("the rules saw %v, want only that it is set", s.input.Parameters["secret"])
	}
}

func TestPreviewSaysWhatWouldChangeAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	v, err := s.PreviewChange(t.Context(), ann, made.InstanceID, provision.Update, provision.Parameters{"size": "medium", "zone": "b", "engine": "16"}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []provision.ParameterChange{
		{Parameter: "size", Title: "size", Before: "small", After: "medium"},
		{Parameter: "zone", Title: "Zone", After: "b", Immutable: true},
		{Parameter: "engine", Title: "Engine", After: "16"},
	}
	if diff := cmp.Diff(want, v.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if v.CostBefore.String() != "$85.50" || v.CostAfter.String() != "$99.00" || v.CostDifference.String() != "$13.50" {
		t.Errorf("it costs %s, then %s: %s", v.CostBefore, v.CostAfter, v.CostDifference)
	}
	if v.Outcome != provision.OutcomeDeny || v.Findings[0].Rule != "immutable" || v.Findings[0].Path != "zone" || !cmp.Equal(v.Replaces, []string{"engine"}) {
		t.Errorf("verdict %s with %+v, replaces %v; want what must not change denied", v.Outcome, v.Findings, v.Replaces)
	}
	end, err := s.PreviewChange(t.Context(), ann, made.InstanceID, provision.Destroy, nil, true)
	if err != nil || end.CostDifference.String() != "-$85.50" || len(end.After) != 0 || !end.Allowed() {
		t.Errorf("of a destroy: %+v (%v), want allowed and all of its cost saved", end, err)
	}
	if _, err := s.PreviewChange(t.Context(), bob, made.InstanceID, provision.Update, nil, false); provision.KindOf(err) != provision.Denied {
		t.Errorf("another team's: %v, want denied", err)
	}
	page, err := s.store.Requests(t.Context(), provision.RequestFilter{})
	if err != nil || len(page.Items) != 1 {
		t.Errorf("%d requests are stored (%v), want the create alone", len(page.Items), err)
	}
}
