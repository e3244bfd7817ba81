package provision_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// approveJudged approves after the plan was judged again as verdict.
func approveJudged(by string, verdict provision.Verdict) func(*provision.Record) error {
	return func(r *provision.Record) error {
		_, err := r.ApproveJudged(by, "it is for the sale", provision.Planned{Verdict: verdict, People: testkit.Approvers()}, approvalWait)
		return err
	}
}

// costing is a verdict at another price.
func costing(v provision.Verdict, more provision.Money) provision.Verdict {
	estimate := *v.Estimate
	estimate.MonthlyCost += more
	v.Estimate = &estimate
	return v
}

func TestApprovalCountsByThePoliciesInForceWhenItIsGiven(t *testing.T) {
	t.Parallel()
	another := testkit.NeedsApproval(1)
	another.Findings = append(slices.Clone(another.Findings), provision.Finding{
		Rule: "newcomer", Level: provision.LevelRequireApproval, Message: "The DBAs look first.", Approvers: another.Findings[0].Approvers, Count: 1,
	})
	tests := map[string]struct {
		verdict provision.Verdict
		state   provision.State
		given   int
		waiting string
		void    string
	}{
		"as before":         {testkit.NeedsApproval(1), provision.Queued, 1, "", ""},
		"no longer needed":  {testkit.Verdict(), provision.Queued, 1, "", ""},
		"cheaper":           {costing(testkit.NeedsApproval(1), -1), provision.Queued, 1, "", ""},
		"denied":            {testkit.Denial(), provision.DeniedState, 0, "", ""},
		"more people":       {testkit.NeedsApproval(2), provision.AwaitingApproval, 1, "approval by platform-team (1 of 2)", ""},
		"too many people":   {testkit.NeedsApproval(3), provision.DeniedState, 0, "", ""},
		"dearer":            {costing(testkit.NeedsApproval(1), 1), provision.AwaitingApproval, 0, "approval by platform-team", "it would now cost"},
		"for another cause": {another, provision.AwaitingApproval, 0, "approval by platform-team", "a new finding of newcomer"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := asked(t, 1)
			before := len(l.record.Verdicts)
			l.must(approveJudged(patRef, tt.verdict))
			r := l.record.Request
			if r.State != tt.state || len(r.Approval.Given) != tt.given || !strings.Contains(r.Approval.Void, tt.void) || tt.void == "" && r.Approval.Void != "" {
				t.Errorf("it is %s with %d approvals, void %q", r.State, len(r.Approval.Given), r.Approval.Void)
			}
			if tt.waiting != "" && r.Waiting != tt.waiting {
				t.Errorf("it waits for %q, want %q", r.Waiting, tt.waiting)
			}
			if kept := l.record.Verdicts; len(kept) != before+1 || kept[before].Stage != provision.StageApproval {
				t.Errorf("verdicts: %+v, want one more, of the approval", kept)
			}
			if r.State == provision.DeniedState && (r.Error == nil || r.Verdict.Outcome != provision.OutcomeDeny) {
				t.Errorf("it is denied and does not say why: %+v", r.Error)
			}
		})
	}
}

func TestWhatWasAskedAnewIsApplied(t *testing.T) {
	t.Parallel()
	dearer := costing(testkit.NeedsApproval(2), 1)
	l := asked(t, 2).must(approve(samRef)).must(approveJudged(patRef, dearer))
	if !slices.Contains(l.tells(), "approval.voided") || l.tells()[len(l.tells())-1] != "approval.requested" {
		t.Errorf("told: %v, want that approvals are void and asked anew", l.tells())
	}
	l.must(approveJudged(patRef, dearer)).must(approveJudged(samRef, dearer))
	l.stands(provision.Queued, provision.Reserved)
	l.must(dispatch).must(claim("w2")).must(decide(dearer, "create"))
	l.stands(provision.Applying, provision.Changing)
}

// mood is rules that may change their mind.
type mood struct {
	provision.Rules
	more []provision.Finding
	seen *provision.RuleInput
}

func (m *mood) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	*m.seen = input
	findings, digest, err := m.Rules.Findings(ctx, input)
	return append(findings, m.more...), digest, err
}

func TestPoliciesThatChangedAreAskedBeforeAnApprovalCounts(t *testing.T) {
	t.Parallel()
	s := newApprovalShop(t)
	s.Directory = directory{"group:default/dba": {"user:default/dan", "user:default/eve"}, "group:default/finance": {"user:default/fay"}}
	rules := &mood{Rules: s.Judge.Rules, seen: &provision.RuleInput{}}
	s.Judge.Rules = rules
	dan := dba("dan", "group:default/dba")
	ids := map[string]provision.Request{}
	for _, name := range []string{"orders", "stock", "ledger"} {
		request, err := s.Submit(t.Context(), ann, ask(name, name))
		if err != nil {
			t.Fatal(err)
		}
		s.plan(t, request.ID)
		ids[name] = request
	}
	if _, err := s.Approve(t.Context(), dan, ids["orders"].ID, "fine"); err != nil {
		t.Fatal(err)
	}
	if seen := *rules.seen; seen.Stage != provision.StageApproval || len(seen.Changes) != 1 || seen.Changes[0].Address != "a" || seen.Subject.Ref != ann.Subject {
		t.Errorf("the rules saw %+v, want ann's plan at the stage approval", seen)
	}
	again, err := s.Approve(t.Context(), dan, ids["orders"].ID, "fine")
	if err != nil || again.State != provision.Queued {
		t.Errorf("the repeat = %s, %v", again.State, err)
	}

	rules.more = []provision.Finding{{Rule: "freeze", Level: provision.LevelDeny, Message: "Nothing is made in a freeze."}}
	denied, err := s.Approve(t.Context(), dan, ids["stock"].ID, "fine")
	if provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), "freeze") || denied.State != provision.DeniedState {
		t.Errorf("denied since: %s, %v", denied.State, err)
	}
	rules.more = []provision.Finding{{Rule: "dear", Level: provision.LevelRequireApproval, Message: "Finance looks too.", Approvers: []string{"group:default/finance"}, Count: 1}}
	anew, err := s.Approve(t.Context(), dan, ids["ledger"].ID, "fine")
	if provision.KindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "a new finding of dear") || len(anew.Approval.Needed) != 2 {
		t.Errorf("worse since: %+v, %v", anew.Approval, err)
	}
	for _, who := range []provision.Principal{dan, dba("fay", "group:default/finance")} {
		if anew, err = s.Approve(t.Context(), who, ids["ledger"].ID, "fine"); err != nil {
			t.Fatal(err)
		}
	}
	if anew.State != provision.Queued {
		t.Errorf("after both have approved it is %s", anew.State)
	}
	verdicts, err := s.store.Verdicts(t.Context(), ids["ledger"].ID)
	if err != nil || len(verdicts) < 3 || verdicts[len(verdicts)-1].Stage != provision.StageApproval {
		t.Errorf("stored: %+v, %v; want the approvals' verdicts too", verdicts, err)
	}
}
