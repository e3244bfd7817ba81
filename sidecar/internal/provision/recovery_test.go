package provision_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func attest(r *provision.Record) error { return r.Attest("user:default/pat", "its machine is gone") }

func recoverIt(r *provision.Record) error {
	return r.Recover("user:default/pat", "local", "its machine is gone")
}

func conclude(result string) func(*provision.Record) error {
	return func(r *provision.Record) error {
		return r.Conclude("user:default/pat", result, "seen by hand", map[string]any{"host": "db.example"})
	}
}

// resource is the run's next report of a resource that is made or destroyed.
func resource(address, action, status, id string) func(*provision.Record) error {
	return report(func(p *provision.Report) {
		p.Kind, p.Address, p.Action, p.Status, p.ResourceID = provision.ReportAddress, address, action, status, id
	})
}

// lost is a create whose worker fell silent after it had made the database and
// begun the user.
func lost(t *testing.T) *life {
	t.Helper()
	return applying(t).must(resource("terraform_data.database", "create", "started", "")).
		must(resource("terraform_data.database", "create", "completed", "db-1")).
		must(resource("terraform_data.user", "create", "started", "")).silence()
}

func TestOnlyAnAttestedRequestIsGivenAway(t *testing.T) {
	t.Parallel()
	l := lost(t)
	l.stands(provision.Lost, provision.Incomplete)
	for name, early := range map[string]func(*provision.Record) error{"recover": recoverIt, "conclude": conclude(provision.ResultFailed)} {
		if err := l.do(early); provision.KindOf(err) != provision.Conflict || !strings.Contains(err.Error(), "attest first") {
			t.Errorf("%s before it is attested: %v, want a conflict that says what is missing", name, err)
		}
	}
	dead := *l.record.Run
	l.must(attest).must(attest)
	l.stands(provision.Lost, provision.Incomplete)
	if l.record.Run.State != provision.RunEnded || l.record.Run.TokenDigest != "" || !strings.Contains(l.record.Request.Waiting, "an operator") {
		t.Errorf("once attested its run is %+v and it waits for %q", l.record.Run, l.record.Request.Waiting)
	}
	if err := l.do(renew); provision.KindOf(err) != provision.Conflict {
		t.Errorf("its old worker renews: %v, want a conflict", err)
	}
	l.must(recoverIt).must(recoverIt)
	if err := l.do(conclude(provision.ResultSucceeded)); provision.KindOf(err) != provision.Conflict {
		t.Errorf("concluded while a worker is awaited: %v, want a conflict", err)
	}
	l.must(claim("w2"))
	l.stands(provision.Planning, provision.Incomplete)
	if l.record.Run.ID == dead.ID || l.record.Run.Fence != dead.Fence+1 {
		t.Errorf("it is recovered in run %s under token %d, after %s under %d", l.record.Run.ID, l.record.Run.Fence, dead.ID, dead.Fence)
	}
	l.must(goOn).must(outcome(provision.ResultSucceeded, ""))
	l.stands(provision.Succeeded, provision.Ready)
	told := strings.Join(l.tells(), " ")
	for _, event := range []string{"run.lost", "run.attested", "run.recovered", "run.started"} {
		if !strings.Contains(told, event) {
			t.Errorf("nothing was told of %s: %s", event, told)
		}
	}
	if n := strings.Count(told, "run.attested") + strings.Count(told, "run.recovered"); n != 2 {
		t.Errorf("what was said twice was told %d times", n)
	}
}

func TestWhatIsNotLostIsNotAttested(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*life{"applying": applying(t), "succeeded": applying(t).must(outcome(provision.ResultSucceeded, ""))} {
		for verb, say := range map[string]func(*provision.Record) error{"attest": attest, "recover": recoverIt, "conclude": conclude(provision.ResultFailed)} {
			if err := l.do(say); provision.KindOf(err) != provision.Conflict {
				t.Errorf("%s of what is %s: %v, want a conflict", verb, name, err)
			}
		}
	}
}

func TestAnOperatorConcludes(t *testing.T) {
	t.Parallel()
	well := lost(t).must(attest).must(conclude(provision.ResultSucceeded))
	well.stands(provision.Succeeded, provision.Ready)
	if well.record.Instance.Outputs["host"] != "db.example" {
		t.Errorf("its outputs are %v, want those of its state", well.record.Instance.Outputs)
	}
	badly := lost(t).must(attest).must(conclude(provision.ResultFailed))
	badly.stands(provision.Failed, provision.Incomplete)
	if e := badly.record.Request.Error; e.Detail != "seen by hand" || !strings.Contains(e.WayOut, "retry to go on") {
		t.Errorf("its error is %+v", e)
	}
	if badly.record.Instance.Committed == 0 {
		t.Error("what was made is not counted any more")
	}
	instance := *well.record.Instance
	instance.Sequence = 0 // its events are counted from here
	gone := begin(t, testkit.Destroyed(instance)).must(dispatch).must(claim("w1")).must(goOn).silence().must(attest).must(conclude(provision.ResultSucceeded))
	gone.stands(provision.Succeeded, provision.Destroyed)
}

// TestARecoveredPlanIsApprovedAgain: what people had approved was the plan of the
// worker that was lost.
func TestARecoveredPlanIsApprovedAgain(t *testing.T) {
	t.Parallel()
	l := begin(t, testkit.Created("orders", func(r *provision.Request) { r.Verdict = testkit.NeedsApproval(1) }))
	l.must(dispatch).must(claim("w1")).must(decide(testkit.NeedsApproval(1), "create")).must(wait).must(approve("user:default/pat")).
		must(dispatch).must(claim("w1")).must(decide(testkit.NeedsApproval(1), "create"))
	l.stands(provision.Applying, provision.Changing)
	l.silence().must(attest).must(recoverIt).must(claim("w2"))
	if a := l.record.Request.Approval; a.Granted() || len(a.Given) != 0 || a.PlanDigest != "" || a.Void == "" {
		t.Errorf("its approval is %+v, want one that is void and says why", a)
	}
	l.must(decide(testkit.NeedsApproval(1), "create"))
	l.stands(provision.Planning, provision.Incomplete)
	l.must(wait)
	l.stands(provision.AwaitingApproval, provision.Incomplete)
	l.must(approve("user:default/pat")).must(dispatch).must(claim("w2")).must(decide(testkit.NeedsApproval(1), "create"))
	l.stands(provision.Applying, provision.Changing)
	if !slices.Contains(l.tells(), "approval.voided") {
		t.Error("nobody was told that the approval is void")
	}
}

// TestWhatIsMadeIsInTheJournalWhoeverSaysIt: a report that comes too late to
// count still names what is there.
func TestWhatIsMadeIsInTheJournalWhoeverSaysIt(t *testing.T) {
	t.Parallel()
	l := lost(t)
	late := provision.Report{
		RunID: l.record.Run.ID, Worker: "w1", Fence: l.record.Run.Fence, Sequence: l.record.Run.ReportSequence + 1,
		Kind: provision.ReportAddress, Address: "terraform_data.user", Action: "create", Status: "completed", ResourceID: "u-1",
	}
	l.must(attest)
	counted := true
	var noted []provision.JournalEntry
	l.must(func(r *provision.Record) (err error) {
		counted, err = r.Take(late)
		noted, _ = r.Journal()
		return err
	})
	if counted {
		t.Error("a report of a run that was attested to be dead counts")
	}
	want := []provision.JournalEntry{{
		RunID: late.RunID, Fence: late.Fence, Sequence: late.Sequence, Address: late.Address, Did: provision.DidMake, ResourceID: "u-1", At: l.record.Now(),
	}}
	if diff := cmp.Diff(want, noted); diff != "" {
		t.Errorf("the journal (-want +got):\n%s", diff)
	}
	l.must(conclude(provision.ResultSucceeded))
	if _, settled := l.record.Journal(); !settled {
		t.Error("the journal outlives a good end")
	}
}
