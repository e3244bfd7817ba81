package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// dear is a submission above staging's limit and within every other.
func (r *road) dear() api.Submission {
	s := r.submission("staging")
	s.Parameters["instance_class"], s.Parameters["storage_gb"], s.Parameters["multi_az"] = "db.r6g.xlarge", 500, true
	return s
}

// TestRoadWithApproval goes the road of an ask above its limit: its plan waits,
// and what is applied is what was approved.
func TestRoadWithApproval(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{approvals: true})
	r.startWorker("w1")
	submission := r.dear()
	request, err := r.as(ann).Submit(t.Context(), uuid.NewString(), submission)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	if request.Outcome != provision.OutcomeRequireApproval || request.Approval == nil || len(request.Approval.Needed) != 1 {
		t.Fatalf("accepted with outcome %s and approval %+v, want one that is needed", request.Outcome, request.Approval)
	}
	r.untilState(request.Id, provision.AwaitingApproval)
	if n := r.number("SELECT count(*) FROM runs WHERE request_id = $1 AND state <> 'ended'", request.Id); n != 0 {
		t.Errorf("%d runs hold a slot while people are awaited", n)
	}
	r.until("the run's directory is wiped", func() bool { return len(r.runDirectories("w1")) == 0 })
	r.wantMade(submission.Parameters["database_name"], 0, 0)

	waiting, err := r.as(pat).Approvals(t.Context())
	if err != nil || len(waiting) != 1 || waiting[0].Id != request.Id || !waiting[0].Approval.MayApprove {
		t.Fatalf("what waits for pat: %+v, %v; want the request", waiting, err)
	}
	asked := waiting[0].Approval
	if e := waiting[0].PlanEstimate; e == nil || e.MonthlyCost != *request.MonthlyCost || len(e.Unpriced) != 0 {
		t.Errorf("its plan costs %+v, want what the form said and nothing unpriced", e)
	}
	if asked.Plan == nil || asked.Plan.Create == 0 || asked.Plan.Delete != 0 || asked.ExpiresAt == nil || asked.Ceiling == nil || *asked.Ceiling != *request.MonthlyCost {
		t.Errorf("pat is asked about plan %+v up to %v until %v, want what is made, its price and an end", asked.Plan, asked.Ceiling, asked.ExpiresAt)
	}
	for who, may := range map[string]bool{ann: false, ben: false} {
		if _, err := r.as(who).Approve(t.Context(), request.Id, ""); provision.KindOf(err) != provision.Denied {
			t.Errorf("%s approves: %v, want a denial", who, err)
		}
		if list, err := r.as(who).Approvals(t.Context()); err != nil || (len(list) > 0) != may {
			t.Errorf("%d requests wait for %s, %v; want none", len(list), who, err)
		}
	}

	approved, err := r.as(pat).Approve(t.Context(), request.Id, "for the sale")
	if err != nil {
		t.Fatalf("approve: %v", err)
	}
	if approved.State == provision.AwaitingApproval || !approved.Approval.Granted || len(approved.Approval.Given) != 1 {
		t.Errorf("after its approval it is %s with %+v", approved.State, approved.Approval)
	}
	r.untilState(request.Id, provision.Succeeded)
	if plans, applies := r.commands("plan"), r.commands("apply"); plans != 1 || applies != 1 {
		t.Errorf("Terraform planned %d times and applied %d times, want the one plan that was approved applied", plans, applies)
	}
	if _, err := r.as(pat).Approve(t.Context(), request.Id, ""); err != nil {
		t.Errorf("a repeated approval: %v", err)
	}
	r.wantMade(submission.Parameters["database_name"], 1, 2)
	if n := r.number("SELECT count(*) FROM plans"); n != 0 {
		t.Errorf("%d sealed plans are left after the end", n)
	}
	want := "request.submitted request.queued request.planning run.started request.planned approval.requested request.awaiting_approval " +
		"approval.given request.queued request.planning run.started request.planned request.applying request.succeeded"
	if got := r.story(request.Id); got != want {
		t.Errorf("its story is %s", got)
	}
	r.audit()
}

func TestRoadOfARejection(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{approvals: true})
	r.startWorker("w1")
	request, err := r.as(ann).Submit(t.Context(), uuid.NewString(), r.dear())
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	r.untilState(request.Id, provision.AwaitingApproval)

	token := r.portal.user(t, pat)
	roadbed := func(args ...string) (string, int) {
		var out, errs bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		code := run(ctx, append(args, "--server", r.base(), "--token", token), &out, &errs)
		return out.String() + errs.String(), code
	}
	id := request.Id.String()
	if out, code := roadbed("request", "watch", id); code != exitWaiting || !strings.Contains(out, "Waits for approval by platform-team") {
		t.Errorf("watch exits %d, want %d:\n%s", code, exitWaiting, out)
	}
	if out, code := roadbed("approval", "list"); code != exitOK || !strings.Contains(out, id) || !strings.Contains(out, "to create") {
		t.Errorf("approval list exits %d:\n%s", code, out)
	}
	if out, code := roadbed("request", "get", id); code != exitOK || !strings.Contains(out, "You may answer") {
		t.Errorf("request get exits %d:\n%s", code, out)
	}
	if out, code := roadbed("request", "reject", id); code != exitUsage {
		t.Errorf("a rejection without a reason exits %d, want %d:\n%s", code, exitUsage, out)
	}
	if out, code := roadbed("request", "reject", id, "--reason", "use the shared one"); code != exitOK || !strings.Contains(out, "is denied") {
		t.Errorf("reject exits %d:\n%s", code, out)
	}
	denied, err := r.as(ann).Request(t.Context(), request.Id)
	if err != nil || denied.State != provision.DeniedState || denied.Error == nil || !strings.Contains(denied.Error.Message, "use the shared one") {
		t.Errorf("after its rejection it is %s with %+v, %v", denied.State, denied.Error, err)
	}
	if _, err := r.as(pat).Approve(t.Context(), request.Id, ""); provision.KindOf(err) != provision.Conflict {
		t.Errorf("an approval after the rejection: %v, want a conflict", err)
	}
	if n := r.number("SELECT count(*) FROM plans"); n != 0 {
		t.Errorf("%d sealed plans are left after the end", n)
	}
	r.audit()
}
