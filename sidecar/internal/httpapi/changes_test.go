package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// succeed has a worker take a request to its good end.
func (r *rig) succeed(request api.Request) {
	r.t.Helper()
	worker := r.worker(poolToken)
	claim, err := worker.Claim(r.t.Context(), r.dispatch(request.Id))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := worker.Plan(r.t.Context(), claim.RunID, claim.Token, nil); err != nil {
		r.t.Fatal(err)
	}
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true}})
}

func TestUpdateAnInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.AlternativesWithin = time.Minute // a busy machine is no reason to find none
	c := r.as(ann)
	made := r.ready("orders")
	larger := provision.Parameters{"storage_gb": 120}

	preview, err := c.EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{Parameters: larger, Advise: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(preview.Changes) != 1 || preview.Changes[0].Parameter != "storage_gb" || preview.CostDifference.String() != "$5.10" || !preview.Allowed ||
		preview.Before["multi_az"] != false || len(preview.Advice.Ranges["storage_gb"].Spans) == 0 || preview.VersionAfter != "1.5.0" {
		t.Errorf("preview = %+v, want one change at $5.10 more, with advice", preview)
	}
	frozen, err := c.EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{Parameters: provision.Parameters{"environment": "staging"}})
	if err != nil || frozen.Allowed || frozen.Findings[0].Rule != "immutable" || !frozen.Changes[0].Immutable {
		t.Errorf("preview of another place = %+v (%v), want it denied as immutable", frozen.Findings, err)
	}

	first, err := c.Update(t.Context(), "u1", *made.InstanceId, larger)
	if err != nil || first.Action != provision.Update || first.Generation != 2 || first.Owner != made.Owner {
		t.Fatalf("update = %+v, %v", first, err)
	}
	if again, err := c.Update(t.Context(), "u1", *made.InstanceId, larger); err != nil || again.Id != first.Id {
		t.Errorf("the same again = %s, %v; want %s", again.Id, err, first.Id)
	}
	during, err := c.Instance(t.Context(), *made.InstanceId)
	if err != nil || during.Instance.ChangesAllowed == nil || *during.Instance.ChangesAllowed == "" || during.Instance.AvailableVersion != "" {
		t.Errorf("while it is asked for: %+v (%v), want why nothing else can be", during.Instance, err)
	}
	_, err = c.Update(t.Context(), "u2", *made.InstanceId, provision.Parameters{"storage_gb": 130})
	kindOf(t, err, provision.Conflict)
	r.succeed(first)
	done, err := c.Instance(t.Context(), *made.InstanceId)
	if err != nil || *done.Instance.ChangesAllowed != "" || *done.Instance.MonthlyCost != 90_600 || len(done.Requests) != 2 {
		t.Errorf("once it is done: %+v (%v), want $90.60 and free to change", done.Instance, err)
	}

	_, err = c.Update(t.Context(), "u3", *made.InstanceId, provision.Parameters{"storage_gb": 5, "environment": "staging", "colour": "red"})
	var paths []string
	for _, f := range kindOf(t, err, provision.Invalid).Details {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"/storage_gb", "/colour", "/environment"}, paths); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	_, err = c.Update(t.Context(), "u4", *made.InstanceId, provision.Parameters{"multi_az": true})
	if denied := kindOf(t, err, provision.Denied); denied.RequestID == "" || len(denied.Findings) == 0 || len(denied.Alternatives) == 0 {
		t.Errorf("too dear = %+v, want a stored denial and what would do", denied)
	}
	_, err = r.as(bob).Update(t.Context(), "u5", *made.InstanceId, larger)
	kindOf(t, err, provision.Denied)
	_, err = r.as(bob).EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{})
	kindOf(t, err, provision.Denied)
	path := "/api/roadbed/instances/" + made.InstanceId.String()
	if got := r.raw(http.MethodPost, path+"/update", r.jsonBy(ann), `{"parameters":{}}`); got.status != http.StatusBadRequest {
		t.Errorf("without a key: %d %s", got.status, got.body)
	}
	if got := r.raw(http.MethodPost, path+"/evaluate", r.jsonBy(ann), `{"action":"paint"}`); got.status != http.StatusBadRequest {
		t.Errorf("an unknown action: %d %s", got.status, got.body)
	}
}

func TestRetryARequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	first, claim := r.applying("orders")
	_, err := c.Retry(t.Context(), "r0", first.Id)
	kindOf(t, err, provision.Conflict)
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{
		Result: provision.ResultFailed, Applied: true, Message: "apply failed", Detail: `ERROR: database "orders_1" already exists (SQLSTATE 42P04)`,
	}})
	failed, err := c.Request(t.Context(), first.Id)
	if err != nil || !strings.Contains(failed.Error.WayOut, "Something of that name is there already") || !strings.Contains(failed.Error.WayOut, "or destroy it") {
		t.Errorf("it failed with %+v (%v), want the likely remedy and what becomes of it", failed.Error, err)
	}
	next, err := c.Retry(t.Context(), "r1", first.Id)
	if err != nil || next.Action != provision.Create || *next.InstanceId != *first.InstanceId || next.Generation != 2 {
		t.Fatalf("retry = %+v, %v", next, err)
	}
	if again, err := c.Retry(t.Context(), "r1", first.Id); err != nil || again.Id != next.Id {
		t.Errorf("the same again = %s, %v; want %s", again.Id, err, next.Id)
	}
	_, err = r.as(bob).Retry(t.Context(), "r2", first.Id)
	kindOf(t, err, provision.Denied)
	_, err = c.Retry(t.Context(), "r3", uuid.New())
	kindOf(t, err, provision.NotFound)
}

func TestUpgradeAnInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	made := r.ready("orders")
	_, err := c.Upgrade(t.Context(), "u0", *made.InstanceId, nil)
	kindOf(t, err, provision.Conflict)
	older := r.service.Catalog.Offerings()[0]
	older.Version, older.Digest = "1.1.0", "sha256:"+strings.Repeat("a", 64)
	if err := r.store.PutBundle(t.Context(), older, []byte("files")); err != nil {
		t.Fatal(err)
	}
	_, err = r.store.Change(t.Context(), made.Id, func(record *provision.Record) error {
		record.Instance.OfferingVersion, record.Instance.OfferingDigest = older.Version, older.Digest
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	preview, err := c.EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{Action: provision.Upgrade})
	if err != nil || preview.VersionBefore != "1.1.0" || preview.VersionAfter != "1.5.0" || len(preview.Changes) != 0 {
		t.Errorf("preview = %+v, %v", preview.ChangeDifference, err)
	}
	next, err := c.Upgrade(t.Context(), "u1", *made.InstanceId, provision.Parameters{"storage_gb": 110})
	if err != nil || next.Action != provision.Upgrade || next.OfferingVersion != "1.5.0" {
		t.Fatalf("upgrade = %+v, %v", next, err)
	}
	if at, err := c.Instance(t.Context(), *made.InstanceId); err != nil || at.Instance.AvailableVersion != "1.5.0" {
		t.Errorf("until it is applied version %q is available (%v)", at.Instance.AvailableVersion, err)
	}
	r.succeed(next)
	if at, err := c.Instance(t.Context(), *made.InstanceId); err != nil || at.Instance.AvailableVersion != "" || at.Instance.OfferingVersion != "1.5.0" {
		t.Errorf("once it is: %+v, %v", at.Instance, err)
	}
	_, err = r.as(bob).Upgrade(t.Context(), "u2", *made.InstanceId, nil)
	kindOf(t, err, provision.Denied)
}

func TestDestroyInProductionIsConfirmedAndApproved(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.Environments["prod"] = provision.Environment{Name: "prod", Title: "Production", Implementation: "local", Pool: "local", Region: "local"}
	r.service.Directory = directory{"group:default/platform-team": {pat}}
	c := r.as(ann)
	sub := database("orders")
	sub.Parameters["environment"], sub.Parameters["multi_az"] = "prod", true
	made, err := c.Submit(t.Context(), "c1", sub)
	if err != nil {
		t.Fatal(err)
	}
	r.succeed(made)
	preview, err := c.EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{Action: provision.Destroy})
	if err != nil || preview.Outcome != provision.OutcomeRequireApproval || !slices.ContainsFunc(preview.Findings, func(f provision.Finding) bool {
		return f.Rule == "destroy_confirmation" && f.Level == provision.LevelInfo
	}) {
		t.Errorf("preview = %+v (%v), want what will be asked", preview.Findings, err)
	}
	for _, typed := range []string{"", "order"} {
		_, err := c.DestroyConfirmed(t.Context(), "d-"+typed+"x", *made.InstanceId, typed)
		if denied := kindOf(t, err, provision.Denied); denied.Findings[0].Rule != "destroy_confirmation" {
			t.Errorf("confirmed by %q: %+v, want a denial", typed, denied.Findings)
		}
	}
	request, err := c.DestroyConfirmed(t.Context(), "d1", *made.InstanceId, "orders")
	if err != nil || request.Approval == nil || request.Approval.Needed[0].Approvers[0] != "group:default/platform-team" {
		t.Fatalf("confirmed = %+v, %v; want it to need approval", request.Approval, err)
	}
}

func TestWhatIsDestroyedCanStillBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	made := r.ready("orders")
	gone, err := c.Destroy(t.Context(), "d1", *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	r.succeed(gone)
	again := r.submitAs("orders", "key-again")
	tomb, err := c.Instance(t.Context(), *made.InstanceId)
	if err != nil || tomb.Instance.State != provision.Destroyed || len(tomb.Requests) != 2 || *tomb.Instance.ChangesAllowed == "" {
		t.Errorf("what is destroyed = %+v (%v), want it with its history and closed", tomb.Instance, err)
	}
	if *again.InstanceId == *made.InstanceId {
		t.Error("the name made the same instance again")
	}
	if list, err := c.Instances(t.Context(), api.ListInstancesParams{}); err != nil || len(list.Items) != 1 || list.Items[0].Id != *again.InstanceId {
		t.Errorf("the living are %+v (%v), want the new one", list.Items, err)
	}
}

func (r *rig) submitAs(name, key string) api.Request {
	r.t.Helper()
	request, err := r.as(ann).Submit(r.t.Context(), key, database(name))
	if err != nil {
		r.t.Fatalf("submit %s: %v", name, err)
	}
	return request
}

func TestRotateAndHandOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.as(ann)
	made := r.ready("orders")
	rotation, err := c.Rotate(t.Context(), "r1", *made.InstanceId)
	if err != nil || rotation.Action != provision.Rotate || rotation.Generation != 2 || len(rotation.Steps) != 3 {
		t.Fatalf("rotate = %+v, %v", rotation, err)
	}
	if again, err := c.Rotate(t.Context(), "r1", *made.InstanceId); err != nil || again.Id != rotation.Id {
		t.Errorf("the same again = %s, %v; want %s", again.Id, err, rotation.Id)
	}
	_, err = c.HandOver(t.Context(), "h1", *made.InstanceId, "search", "")
	kindOf(t, err, provision.Conflict)
	r.succeed(rotation)
	_, err = c.HandOver(t.Context(), "h2", *made.InstanceId, "user:default/ann", "")
	if refused := kindOf(t, err, provision.Invalid); len(refused.Details) != 1 || refused.Details[0].Path != "/owner" {
		t.Errorf("to a person = %+v, want the owner named", refused)
	}
	_, err = r.as(bob).HandOver(t.Context(), "h3", *made.InstanceId, "search", "")
	kindOf(t, err, provision.Denied)
}
