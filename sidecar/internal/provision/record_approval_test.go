package provision_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const approvalWait = 72 * time.Hour

// decide submits a plan with one change of terraform_data.database.
func decide(judged provision.Verdict, action string) func(*provision.Record) error {
	return func(r *provision.Record) error {
		_, err := r.Decide(provision.Planned{
			Verdict: judged, People: testkit.Approvers(),
			Changes: []provision.Change{{Address: "terraform_data.database", Type: "terraform_data", Action: action}, {Address: "data.x", Action: "read"}},
		})
		return err
	}
}

func wait(r *provision.Record) error { return r.Wait("digest-of-plan", approvalWait) }

func approve(by string) func(*provision.Record) error {
	return func(r *provision.Record) error { return r.Approve(by, "it is for the sale") }
}

func reject(by string) func(*provision.Record) error {
	return func(r *provision.Record) error { return r.Reject(by, "use the shared one") }
}

// asked is a request that waits for count of Approvers.
func asked(t *testing.T, count int) *life {
	t.Helper()
	return planning(t).must(decide(testkit.NeedsApproval(count), "create")).must(wait)
}

const (
	requester = "user:default/ann" // of testkit.NewRequest, and in the group
	patRef    = "user:default/pat"
	samRef    = "user:default/sam"
)

func TestWhatWasApprovedIsApplied(t *testing.T) {
	t.Parallel()
	l := asked(t, 1)
	l.stands(provision.AwaitingApproval, provision.Reserved)
	a := l.record.Request.Approval
	if l.record.Run.State != provision.RunEnded || l.record.Run.TokenDigest != "" {
		t.Errorf("the run is %s with a token: it holds a slot", l.record.Run.State)
	}
	if diff := cmp.Diff([]string{patRef, samRef}, a.Needed[0].People); diff != "" {
		t.Errorf("who may approve, without the requester (-want +got):\n%s", diff)
	}
	if l.record.Request.Waiting != "approval by platform-team" || !a.ExpiresAt.Equal(l.now.Add(approvalWait)) {
		t.Errorf("it waits for %q until %s", l.record.Request.Waiting, a.ExpiresAt)
	}
	if want := (&provision.PlanSummary{Create: 1, Changes: []provision.PlannedAction{{Address: "terraform_data.database", Type: "terraform_data", Action: "create"}}}); !cmp.Equal(a.Summary(), want) {
		t.Errorf("plan (-want +got):\n%s", cmp.Diff(want, a.Summary()))
	}
	l.must(approve(patRef))
	l.stands(provision.Queued, provision.Reserved)
	told := len(l.events)
	l.must(approve(patRef))
	if len(l.events) != told {
		t.Error("a repeated approval told something")
	}
	l.must(dispatch).must(claim("w2")).must(decide(testkit.NeedsApproval(1), "create"))
	l.stands(provision.Applying, provision.Changing)
	l.must(approve(patRef)) // its answer was lost for very long
	l.must(outcome(provision.ResultSucceeded, ""))
	l.stands(provision.Succeeded, provision.Ready)
}

func TestWhoMayApprove(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		live func(t *testing.T) *life
		move func(*provision.Record) error
		kind provision.Kind
		want string
	}{
		"not the requester":                   {func(t *testing.T) *life { return asked(t, 1) }, approve(requester), provision.Denied, "themselves"},
		"not the requester, to reject":        {func(t *testing.T) *life { return asked(t, 1) }, reject(requester), provision.Denied, "themselves"},
		"not who was no member":               {func(t *testing.T) *life { return asked(t, 1) }, approve("user:default/ben"), provision.Denied, "members of platform-team"},
		"nobody before it waits":              {planning, approve(patRef), provision.Conflict, "needs no approval"},
		"nobody while it is planned":          {func(t *testing.T) *life { return planning(t).must(decide(testkit.NeedsApproval(1), "create")) }, approve(patRef), provision.Conflict, "does not wait"},
		"nobody after a rejection":            {func(t *testing.T) *life { return asked(t, 1).must(reject(samRef)) }, approve(patRef), provision.Conflict, "does not wait"},
		"nobody who gave it, after another's": {func(t *testing.T) *life { return asked(t, 2).must(approve(patRef)).must(reject(samRef)) }, approve(patRef), provision.Conflict, "does not wait"},
		"nobody after a cancel":               {func(t *testing.T) *life { return asked(t, 1).must(cancel) }, approve(patRef), provision.Conflict, "does not wait"},
		"nobody rejects what was approved":    {func(t *testing.T) *life { return asked(t, 1).must(approve(patRef)) }, reject(samRef), provision.Conflict, "does not wait"},
		"nobody when the time is over": {func(t *testing.T) *life {
			l := asked(t, 1)
			l.now = l.now.Add(approvalWait)
			return l
		}, approve(patRef), provision.Conflict, "too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := tt.live(t)
			before := l.record.Request.State
			err := l.do(tt.move)
			if provision.KindOf(err) != tt.kind || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %s with %q", err, tt.kind, tt.want)
			}
			if l.record.Request.State != before {
				t.Errorf("it is %s, was %s", l.record.Request.State, before)
			}
		})
	}
}

func TestTwoMustApprove(t *testing.T) {
	t.Parallel()
	l := asked(t, 2).must(approve(patRef)).must(approve(patRef))
	l.stands(provision.AwaitingApproval, provision.Reserved)
	if l.record.Request.Waiting != "approval by platform-team (1 of 2)" {
		t.Errorf("it waits for %q", l.record.Request.Waiting)
	}
	l.must(approve(samRef))
	l.stands(provision.Queued, provision.Reserved)
	if !l.record.Request.Approval.Granted() {
		t.Error("it is not granted")
	}
}

func TestTooFewToApproveIsADenial(t *testing.T) {
	t.Parallel()
	l := planning(t).must(decide(testkit.NeedsApproval(3), "create")).must(outcome(provision.ResultRefused, ""))
	l.stands(provision.DeniedState, provision.Released)
	if !strings.Contains(l.record.Request.Error.Message, "Too few others are in platform-team") {
		t.Errorf("it says %q", l.record.Request.Error.Message)
	}
}

func TestHowAWaitEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		live  func(t *testing.T) *life
		state provision.State
		want  string
	}{
		"rejected": {func(t *testing.T) *life { return asked(t, 1).must(reject(patRef)).must(reject(patRef)) }, provision.DeniedState, "user:default/pat rejected it: use the shared one"},
		"expired": {func(t *testing.T) *life {
			l := asked(t, 1)
			l.now = l.now.Add(approvalWait)
			expire := func(r *provision.Record) error { return r.ExpireApproval() }
			return l.must(expire).must(expire)
		}, provision.DeniedState, "It waited too long for approval by platform-team, so it is denied."},
		"withdrawn": {func(t *testing.T) *life { return asked(t, 1).must(cancel) }, provision.Cancelled, "changed my mind"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := tt.live(t)
			l.stands(tt.state, provision.Released)
			if l.record.Request.Error.Message != tt.want {
				t.Errorf("it says %q, want %q", l.record.Request.Error.Message, tt.want)
			}
		})
	}
	l := asked(t, 1).must(func(r *provision.Record) error { return r.ExpireApproval() })
	l.stands(provision.AwaitingApproval, provision.Reserved)
}

// TestAWorsePlanIsAskedForAgain is law 4.
func TestAWorsePlanIsAskedForAgain(t *testing.T) {
	t.Parallel()
	changed := func(edit func(*provision.Verdict)) provision.Verdict {
		v := testkit.NeedsApproval(1)
		estimate := *v.Estimate
		v.Estimate = &estimate
		edit(&v)
		return v
	}
	found := func(rule string, level provision.Level, groups ...string) provision.Verdict {
		return changed(func(v *provision.Verdict) {
			f := provision.Finding{Rule: rule, Level: level, Message: "Look."}
			if level == provision.LevelRequireApproval {
				f.Approvers, f.Count = groups, 1
			}
			v.Findings = append(v.Findings, f)
		})
	}
	at := func(addresses ...string) provision.Verdict {
		return changed(func(v *provision.Verdict) {
			for _, address := range addresses {
				v.Findings = append(v.Findings, provision.Finding{
					Rule: "open_to_world", Level: provision.LevelWarn, Message: "Look.", Address: address, Attribute: "open",
				})
			}
		})
	}
	plan := func(changes ...string) []provision.Change {
		var list []provision.Change
		for _, c := range changes {
			action, address, _ := strings.Cut(c, " ")
			list = append(list, provision.Change{Address: address, Type: "terraform_data", Action: action})
		}
		return list
	}
	tests := map[string]struct {
		judged  provision.Verdict
		changes []provision.Change
		why     string // "" when it goes on
	}{
		"the same":                        {testkit.NeedsApproval(1), plan("create a.b", "update a.c"), ""},
		"less":                            {testkit.NeedsApproval(1), plan("create a.b"), ""},
		"nothing at all":                  {testkit.NeedsApproval(1), plan("no-op a.b", "no-op a.c", "read data.d"), ""},
		"cheaper":                         {changed(func(v *provision.Verdict) { v.Estimate.MonthlyCost-- }), plan("create a.b", "update a.c"), ""},
		"no finding any more":             {testkit.Verdict(), plan("create a.b", "update a.c"), ""},
		"another note":                    {found("hint", provision.LevelInfo), plan("create a.b", "update a.c"), ""},
		"a new address":                   {testkit.NeedsApproval(1), plan("create a.b", "update a.c", "create a.d"), "the plan would now create a.d"},
		"a delete":                        {testkit.NeedsApproval(1), plan("create a.b", "delete a.c"), "the plan would now delete a.c"},
		"a replacement":                   {testkit.NeedsApproval(1), plan("create a.b", "replace a.c"), "the plan would now replace a.c"},
		"a new warning":                   {found("multi_az", provision.LevelWarn), plan("create a.b", "update a.c"), "there is a new finding of multi_az"},
		"another group's to lift":         {found("large_database", provision.LevelRequireApproval, "group:default/platform-team", "group:default/dba"), plan("create a.b"), "there is a new finding of large_database"},
		"a finding elsewhere in the plan": {at("terraform_data.old", "terraform_data.new"), plan("create a.b"), "there is a new finding of open_to_world at terraform_data.new"},
		"the same finding again":          {at("terraform_data.old"), plan("create a.b"), ""},
		"dearer by a mill":                {changed(func(v *provision.Verdict) { v.Estimate.MonthlyCost++ }), plan("create a.b", "update a.c"), "it would now cost $85.50 a month"},
		"more people must approve it":     {testkit.NeedsApproval(2), plan("create a.b", "update a.c"), "it now needs approval by platform-team"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			people := testkit.Approvers()
			people["group:default/dba"] = []string{"user:default/eve"}
			ask := func(judged provision.Verdict, changes []provision.Change) func(*provision.Record) error {
				return func(r *provision.Record) error {
					_, err := r.Decide(provision.Planned{Verdict: judged, Changes: changes, People: people})
					return err
				}
			}
			l := planning(t).must(ask(at("terraform_data.old"), plan("create a.b", "update a.c"))).must(wait).must(approve(patRef))
			l.must(dispatch).must(claim("w2"))
			people["group:default/platform-team"] = []string{"user:default/new"} // who joined since
			l.must(ask(tt.judged, tt.changes))
			if tt.why == "" {
				l.stands(provision.Applying, provision.Changing)
				return
			}
			l.must(wait)
			l.stands(provision.AwaitingApproval, provision.Reserved)
			a := l.record.Request.Approval
			if a.Void != tt.why || len(a.Given) != 0 || a.Granted() {
				t.Errorf("approvals are void because %q, %d count; want %q and none", a.Void, len(a.Given), tt.why)
			}
			if !slices.Contains(l.tells(), "approval.voided") {
				t.Errorf("no event says that approvals are void: %v", l.tells())
			}
			if a.MayApprove("user:default/new") && len(a.Needed) == 1 && len(a.Needed[0].Approvers) == 1 {
				t.Error("who joined later may approve")
			}
		})
	}
}

func TestADecisionThatIsAskedForAgainIsTheSame(t *testing.T) {
	t.Parallel()
	ask := decide(testkit.NeedsApproval(1), "create")
	l := planning(t).must(ask)
	told := len(l.events)
	l.must(ask)
	if len(l.events) != told || l.record.Request.State != provision.Planning {
		t.Errorf("a repeated question told something, or it is %s", l.record.Request.State)
	}
	if err := l.do(func(r *provision.Record) error { return r.GoOn(testkit.NeedsApproval(1)) }); provision.KindOf(err) != provision.Conflict {
		t.Errorf("to go on without approval: %v, want a conflict", err)
	}
	l.silence() // its worker is gone before the plan was kept
	l.stands(provision.Queued, provision.Reserved)
	l.must(dispatch).must(claim("w2")).must(ask).must(wait)
	l.stands(provision.AwaitingApproval, provision.Reserved)
	if l.record.Request.Approval.Void != "" {
		t.Errorf("approvals are void because %q, and none was given", l.record.Request.Approval.Void)
	}
	l.must(approve(patRef)).must(dispatch).must(claim("w3")).must(decide(testkit.NeedsApproval(1), "delete")).silence()
	l.must(dispatch).must(claim("w4")).must(decide(testkit.NeedsApproval(1), "delete")).must(wait)
	if got := l.record.Request.Approval.Void; got != "the plan would now delete terraform_data.database" {
		t.Errorf("after a worker was lost on the way approvals are void because %q", got)
	}
	for name, l := range map[string]*life{"not asked": planning(t), "being cancelled": planning(t).must(ask).must(cancel), "queued": created(t)} {
		if err := l.do(wait); provision.KindOf(err) != provision.Conflict {
			t.Errorf("to wait while %s: %v, want a conflict", name, err)
		}
	}
}
