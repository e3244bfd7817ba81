package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// directory has people by group; nil is a catalog that is down.
type directory map[string][]string

func (d directory) Members(_ context.Context, group string) ([]string, error) {
	if d == nil {
		return nil, provision.Unreachable("The catalog", errors.New("it is down for a test"))
	}
	return d[group], nil
}

// platformTeam is a directory where pat can approve.
var platformTeam = directory{"group:default/platform-team": {pat}}

func dear(name string) api.Submission {
	s := database(name)
	s.Parameters["environment"], s.Parameters["instance_class"] = "staging", "db.r6g.xlarge"
	s.Parameters["storage_gb"], s.Parameters["multi_az"] = 500, true
	return s
}

var dearChanges = []provision.Change{
	{Address: "postgres_database.this", Type: "postgres_database", Action: "create", After: map[string]any{"name": "orders"}},
	{Address: "postgres_role.owner", Type: "postgres_role", Action: "create"},
}

// waiting is a request that waits for approval, with the sealed plan it waits with.
func (r *rig) waiting(name, sealed string) api.Request {
	r.t.Helper()
	ctx := r.t.Context()
	request, err := r.as(ann).Submit(ctx, "key-"+name, dear(name))
	if err != nil {
		r.t.Fatalf("submit %s: %v", name, err)
	}
	worker, run := r.worker(poolToken), r.dispatch(request.Id)
	claim, err := worker.Claim(ctx, run)
	if err != nil || claim.PlanDigest != "" {
		r.t.Fatalf("claim = %+v, %v; want one without a plan", claim, err)
	}
	for range 2 {
		if err := worker.Plan(ctx, run, claim.Token, dearChanges); !errors.Is(err, provision.ErrWait) {
			r.t.Fatalf("plan = %v, want to wait", err)
		}
	}
	if err := worker.KeepPlan(ctx, run, claim.Token, []byte(sealed)); err != nil {
		r.t.Fatalf("keep the plan: %v", err)
	}
	if err := worker.KeepPlan(ctx, run, claim.Token, []byte(sealed)); provision.KindOf(err) != provision.Conflict {
		r.t.Errorf("keep it again: %v, want a conflict: the run has ended", err)
	}
	return request
}

func TestApprovalOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.Directory = platformTeam
	ctx := t.Context()
	asked := r.waiting("orders", "sealed plan")

	got, err := r.as(pat).Request(ctx, asked.Id)
	if err != nil {
		t.Fatal(err)
	}
	a := got.Approval
	if got.State != provision.AwaitingApproval || got.Status != api.Validating || got.Waiting != "approval by platform-team" || a == nil || a.ExpiresAt == nil {
		t.Fatalf("it is %s (%s), waiting for %q with %+v", got.State, got.Status, got.Waiting, a)
	}
	want := &api.Approval{
		Needed: []api.ApprovalNeed{{Approvers: []string{"group:default/platform-team"}, People: []string{pat}, Count: 1, Missing: 1, Rules: []string{"cost_limit"}}},
		Given:  []provision.ApprovalGiven{}, MayApprove: true, Ceiling: got.MonthlyCost, ExpiresAt: a.ExpiresAt,
		Plan: &provision.PlanSummary{Create: 2, Changes: []provision.PlannedAction{
			{Address: "postgres_database.this", Type: "postgres_database", Action: "create"}, {Address: "postgres_role.owner", Type: "postgres_role", Action: "create"},
		}},
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("approval (-want +got):\n%s", diff)
	}
	for who, n := range map[string]int{pat: 1, ann: 0, bob: 0} {
		list, err := r.as(who).Approvals(ctx)
		if err != nil || len(list) != n {
			t.Errorf("%d requests wait for %s, %v; want %d", len(list), who, err, n)
		}
	}
	if own, err := r.as(ann).Request(ctx, asked.Id); err != nil || own.Approval.MayApprove {
		t.Errorf("the requester may approve: %+v, %v", own.Approval, err)
	}
	for _, who := range []string{ann, bob} {
		_, err := r.as(who).Approve(ctx, asked.Id, "")
		kindOf(t, err, provision.Denied)
		_, err = r.as(who).Reject(ctx, asked.Id, "no")
		kindOf(t, err, provision.Denied)
	}
	_, err = r.as(pat).Reject(ctx, asked.Id, " ")
	kindOf(t, err, provision.Invalid)
	_, err = r.as(pat).Approve(ctx, asked.Id, "two\nlines")
	kindOf(t, err, provision.Invalid)
	_, err = r.as(pat).Approve(ctx, uuid.New(), "")
	kindOf(t, err, provision.NotFound)
	_, err = r.as("plugin:scaffolder").Approve(ctx, asked.Id, "")
	kindOf(t, err, provision.Denied)

	for range 2 {
		approved, err := r.as(pat).Approve(ctx, asked.Id, "for the sale")
		if err != nil || approved.State != provision.Queued || !approved.Approval.Granted || approved.Approval.MayApprove || approved.Approval.ExpiresAt != nil {
			t.Fatalf("approve = %+v %+v, %v", approved.State, approved.Approval, err)
		}
	}
	_, err = r.as(pat).Reject(ctx, asked.Id, "no after all")
	kindOf(t, err, provision.Conflict)

	worker, run := r.worker(poolToken), r.dispatch(asked.Id)
	claim, err := worker.Claim(ctx, run)
	if err != nil || claim.PlanDigest == "" {
		t.Fatalf("claim = %+v, %v; want one with the plan that was approved", claim, err)
	}
	sealed, err := worker.KeptPlan(ctx, run, claim.Token)
	if err != nil || string(sealed) != "sealed plan" {
		t.Errorf("the kept plan is %q, %v", sealed, err)
	}
	_, err = r.worker(otherPoolToken).KeptPlan(ctx, run, claim.Token)
	kindOf(t, err, provision.NotFound)
	_, err = worker.KeptPlan(ctx, run, strings.Repeat("0", 64))
	kindOf(t, err, provision.Conflict)
	r.service.Directory = directory(nil) // nobody need be asked twice
	if err := worker.Plan(ctx, run, claim.Token, dearChanges); err != nil {
		t.Errorf("the plan that was approved: %v, want to go on", err)
	}
}

func TestAWorsePlanWaitsAgainOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.Directory = platformTeam
	ctx := t.Context()
	asked := r.waiting("orders", "first plan")
	if _, err := r.as(pat).Approve(ctx, asked.Id, ""); err != nil {
		t.Fatal(err)
	}
	worker, run := r.worker(poolToken), r.dispatch(asked.Id)
	claim, err := worker.Claim(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	worse := append([]provision.Change{{Address: "postgres_role.other", Type: "postgres_role", Action: "delete"}}, dearChanges...)
	if err := worker.Plan(ctx, run, claim.Token, worse); !errors.Is(err, provision.ErrWait) {
		t.Fatalf("a worse plan: %v, want to wait", err)
	}
	if err := worker.KeepPlan(ctx, run, claim.Token, []byte("second plan")); err != nil {
		t.Fatal(err)
	}
	got, err := r.as(pat).Request(ctx, asked.Id)
	if err != nil || got.State != provision.AwaitingApproval || got.Approval.Void != "the plan would now delete postgres_role.other" || len(got.Approval.Given) != 0 || got.Approval.Plan.Delete != 1 {
		t.Errorf("it is %s with %+v, %v", got.State, got.Approval, err)
	}
	if _, err := r.as(pat).Reject(ctx, asked.Id, "not that role"); err != nil {
		t.Fatal(err)
	}
	denied, err := r.as(ann).Request(ctx, asked.Id)
	if err != nil || denied.State != provision.DeniedState || denied.Error.Message != pat+" rejected it: not that role" {
		t.Errorf("it is %s with %+v, %v", denied.State, denied.Error, err)
	}
}

func TestNoApprovalWithoutACatalog(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx := t.Context()
	_, err := r.as(ann).Submit(ctx, "k1", dear("orders"))
	shown := kindOf(t, err, provision.Denied)
	if !strings.Contains(shown.Message, "--signing-key") || len(shown.Findings) != 1 || shown.Findings[0].Level != provision.LevelDeny {
		t.Errorf("without a signing key: %+v", shown)
	}
	r.service.Directory = directory(nil)
	_, err = r.as(ann).Submit(ctx, "k2", dear("invoices"))
	kindOf(t, err, provision.Unavailable)
	list, err := r.as(ann).Requests(ctx, api.ListRequestsParams{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d requests are stored, %v; want only the one that was denied", len(list.Items), err)
	}
	r.service.Directory = directory{"group:default/platform-team": {ann}}
	_, err = r.as(ann).Submit(ctx, "k3", dear("invoices"))
	if shown := kindOf(t, err, provision.Denied); !strings.Contains(shown.Message, "Too few others are in platform-team") {
		t.Errorf("alone in the group: %+v", shown)
	}
	r.service.Directory = platformTeam
	if _, err := r.as(ann).Submit(ctx, "k2", dear("invoices")); err != nil {
		t.Errorf("once the catalog is back: %v, want it accepted", err)
	}
}

func TestASealedPlanHasALimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.Directory = platformTeam
	request, err := r.as(ann).Submit(t.Context(), "k", dear("orders"))
	if err != nil {
		t.Fatal(err)
	}
	worker, run := r.worker(poolToken), r.dispatch(request.Id)
	claim, err := worker.Claim(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Authorization": {"Bearer " + poolToken}, "Roadbed-Worker": {"worker-1"}, "Roadbed-Run-Token": {claim.Token}, "Content-Type": {"application/octet-stream"}}
	path := "/api/roadbed/worker/runs/" + run.String() + "/plan"
	if got := r.raw(http.MethodPut, path, header, strings.Repeat("x", 16<<20+1)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a plan above the limit is answered %d", got.status)
	}
	if got := r.raw(http.MethodPut, path, header, "a plan that nobody asked for"); got.status != http.StatusConflict {
		t.Errorf("a plan that nobody asked for is answered %d: %s", got.status, got.body)
	}
	if got := r.raw(http.MethodGet, path, header, ""); got.status != http.StatusNotFound {
		t.Errorf("a plan that was never kept is answered %d: %s", got.status, got.body)
	}
}
