package provision_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

const price = provision.Money(85_500) // of testkit's verdicts

// budgeted is a verdict over a team's budget that others have left so much of.
func budgeted(v provision.Verdict, cost, left provision.Money) provision.Verdict {
	estimate := *v.Estimate
	estimate.MonthlyCost = cost
	v.Estimate = &estimate
	v.Budgets = []provision.BudgetLeft{{
		Scope: provision.Scope{Kind: provision.BudgetTeam, Name: "group:default/payments"},
		Limit: 1000 * provision.Dollar, Spent: 1000*provision.Dollar - left, Left: left, LeftAfter: left - cost, Level: provision.LevelRequireApproval,
	}}
	return v
}

// takes fails unless the instance has taken exactly these.
func (l *life) takes(reserved, committed provision.Money) *life {
	l.t.Helper()
	if got := l.record.Instance; got.Reserved != reserved || got.Committed != committed {
		l.t.Errorf("the instance has %s reserved and %s committed, want %s and %s", got.Reserved, got.Committed, reserved, committed)
	}
	return l
}

// plan decides on a plan with this verdict.
func plan(v provision.Verdict) func(*provision.Record) error {
	return func(r *provision.Record) error {
		_, err := r.Decide(provision.Planned{Verdict: v, People: testkit.Approvers()})
		return err
	}
}

// again is the life of another request on an instance; its price afterwards is after.
func again(t *testing.T, l *life, action provision.Action, after provision.Money) *life {
	t.Helper()
	instance := *l.record.Instance
	instance.Sequence = 0 // its events are counted from here
	request := testkit.NewRequest(instance.Name)
	request.Action, request.InstanceID, request.MonthlyCost = action, instance.ID, &after
	request.Generation = instance.Generation + 1
	instance.Generation, instance.RequestID = request.Generation, request.ID
	record := provision.Accepted(request, instance, testkit.Offering().Steps, l.now)
	return begin(t, record)
}

func resources(result string, n int) func(*provision.Record) error {
	return report(func(p *provision.Report) {
		p.Kind, p.Outcome = provision.ReportOutcome, &provision.RunOutcome{Result: result, Applied: true, Message: "no", Resources: &n}
	})
}

func TestMoneyIsHeldThenCommittedThenSettled(t *testing.T) {
	t.Parallel()
	l := created(t).takes(price, 0)
	l.must(dispatch).must(claim("w1")).takes(price, 0)
	l.must(goOn).takes(0, price)
	l.must(outcome(provision.ResultSucceeded, "")).takes(0, price)
	if l.record.Instance.MonthlyCost == nil || *l.record.Instance.MonthlyCost != price {
		t.Errorf("the instance costs %v, want %s", l.record.Instance.MonthlyCost, price)
	}

	gone := again(t, l, provision.Destroy, 0).takes(0, price)
	gone.must(dispatch).must(claim("w2")).must(goOn).takes(0, price)
	gone.must(outcome(provision.ResultSucceeded, "")).takes(0, 0)
}

func TestWhatNeverAppliedGivesItsMoneyBack(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*life{
		"cancelled in the queue": created(t).must(cancel),
		"given up":               created(t).must(giveUp),
		"denied at its turn":     created(t).must(func(r *provision.Record) error { return r.Dispatch("local", testkit.Denial()) }),
		"denied on its plan":     planning(t).must(plan(testkit.Denial())),
		"failed to plan":         planning(t).must(outcome(provision.ResultFailed, "no such size")),
		"cancelled, then silent": planning(t).must(cancel).silence(),
	} {
		l.takes(0, 0)
		told := l.tells()
		if at, end := slices.Index(told, "reservation.released"), len(told)-2; at < 0 || at > end {
			t.Errorf("%s tells %v, want the release before the end", name, told)
		}
	}
	planning(t).silence().takes(price, 0) // it waits for another worker
}

func TestAnApplyThatFailsKeepsTheLargerUnlessNothingIsLeft(t *testing.T) {
	t.Parallel()
	applying(t).must(outcome(provision.ResultFailed, "the disk is full")).takes(0, price)
	applying(t).silence().takes(0, price).must(outcome(provision.ResultFailed, "gone")).takes(0, price)
	applying(t).must(resources(provision.ResultFailed, 2)).takes(0, price)
	applying(t).must(resources(provision.ResultFailed, 0)).takes(0, 0)
	applying(t).must(cancel).must(resources(provision.ResultCancelled, 0)).takes(0, 0)

	ready := applying(t).must(outcome(provision.ResultSucceeded, ""))
	undead := again(t, ready, provision.Destroy, 0).must(dispatch).must(claim("w2")).must(goOn)
	undead.must(outcome(provision.ResultFailed, "it is protected")).takes(0, price)
}

func TestThePlansPriceAdjustsWhatIsHeld(t *testing.T) {
	t.Parallel()
	l := planning(t).must(plan(budgeted(testkit.Verdict(), 90_000, 500_000))).takes(0, 90_000)
	l.must(outcome(provision.ResultSucceeded, "")).takes(0, 90_000)
	planning(t).must(plan(budgeted(testkit.Verdict(), 20_000, 500_000))).takes(0, 20_000)
}

func TestAChangeHoldsOnlyWhatItAdds(t *testing.T) {
	t.Parallel()
	ready := applying(t).must(outcome(provision.ResultSucceeded, ""))
	for name, tt := range map[string]struct{ after, reserved, committed provision.Money }{
		"dearer":   {100_000, 100_000 - price, 100_000},
		"the same": {price, 0, price},
		"cheaper":  {50_000, 0, price},
	} {
		l := again(t, ready, provision.Create, tt.after) // what a price does is the same for every action
		if l.takes(tt.reserved, price); t.Failed() {
			t.Fatal(name)
		}
		l.must(dispatch).must(claim("w2")).must(plan(budgeted(testkit.Verdict(), tt.after, 500_000))).takes(0, tt.committed)
		l.must(outcome(provision.ResultSucceeded, "")).takes(0, tt.after)
	}
}

func overBudget(cost, left provision.Money) provision.Verdict {
	return budgeted(testkit.NeedsApproval(1), cost, left)
}

func TestWithoutApprovalOnlyWhatFitsIsHeld(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ left, held provision.Money }{
		"a part fits":    {60_000, 60_000},
		"nothing fits":   {0, 0},
		"already beyond": {-5_000, 0},
		"it all fits":    {500_000, price},
	} {
		verdict := overBudget(price, tt.left)
		l := begin(t, testkit.Created("orders", func(r *provision.Request) {
			r.Verdict, r.Approval = verdict, &provision.Approval{Given: []provision.ApprovalGiven{}}
		}))
		if l.takes(tt.held, 0); t.Failed() {
			t.Fatal(name)
		}
		l.must(dispatch).must(claim("w1")).must(plan(verdict)).must(wait).takes(tt.held, 0)
		if over := l.record.Request.Approval.Over; tt.left < price && over["team/group:default/payments"] != price-tt.left {
			t.Errorf("%s: approval is for %v over, want %s", name, over, price-tt.left)
		}
		l.must(approve("user:default/pat")).takes(price, 0)
		moves := l.record.Moves()
		for _, m := range moves {
			if m.Kind == provision.BudgetTeam && (m.Cap == nil || *m.Cap != 1000*provision.Dollar+max(0, price-tt.left)) {
				t.Errorf("%s: the team's cap is %v, want its limit and what was approved", name, m.Cap)
			}
		}
		l.must(dispatch).must(claim("w2")).must(plan(verdict)).takes(0, price)
	}
}

func TestApprovalsAreVoidWhenOthersTookMoreOfTheBudget(t *testing.T) {
	t.Parallel()
	verdict := overBudget(price, 60_000)
	l := begin(t, testkit.Created("orders", func(r *provision.Request) {
		r.Verdict, r.Approval = verdict, &provision.Approval{Given: []provision.ApprovalGiven{}}
	}))
	l.must(dispatch).must(claim("w1")).must(plan(verdict)).must(wait)
	l.must(func(r *provision.Record) error {
		void, err := r.ApproveJudged("user:default/pat", "fine", provision.Planned{Verdict: overBudget(price, 10_000)}, approvalWait)
		if !strings.Contains(void, "team/group:default/payments would now be exceeded by $75.50") {
			t.Errorf("void because %q, want the budget named and by how much", void)
		}
		return err
	})
	l.stands(provision.AwaitingApproval, provision.Reserved)
	l.takes(10_000, 0)
	if diff := cmp.Diff(map[string]provision.Money{"team/group:default/payments": price - 10_000}, l.record.Request.Approval.Over); diff != "" {
		t.Errorf("asked again for (-want +got):\n%s", diff)
	}
}

func TestWhatIsApprovedIsHeldAgainstOthers(t *testing.T) {
	t.Parallel()
	verdict := overBudget(price, 60_000)
	l := begin(t, testkit.Created("orders", func(r *provision.Request) {
		r.Verdict, r.Approval = verdict, &provision.Approval{Given: []provision.ApprovalGiven{}}
	}))
	l.must(dispatch).must(claim("w1")).must(plan(verdict)).must(wait).must(approve("user:default/pat")).takes(price, 0)
	// Others were approved to go further beyond since: that takes nothing from this one.
	l.must(dispatch).must(claim("w2")).must(plan(overBudget(price, -300_000))).takes(0, price)
}
