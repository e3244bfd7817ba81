package provision_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestCreateThatSucceeds(t *testing.T) {
	t.Parallel()
	l := applying(t)
	l.must(address("terraform_data.database", "started")).must(address("terraform_data.database", "completed"))
	l.must(address("terraform_data.user[0]", "completed")).must(address("terraform_data.unknown", "completed"))
	l.must(address("terraform_data.grant", "completed")).must(outcome(provision.ResultSucceeded, ""))
	l.stands(provision.Succeeded, provision.Ready)
	if l.record.Request.Outputs["host"] != "db.local" || l.record.Instance.Outputs["host"] != "db.local" {
		t.Errorf("outputs are %v and %v, want the host in both", l.record.Request.Outputs, l.record.Instance.Outputs)
	}
	if l.record.Run.State != provision.RunEnded || l.record.Run.TokenDigest != "" {
		t.Errorf("run is %s with token %q, want ended without one", l.record.Run.State, l.record.Run.TokenDigest)
	}
	want := []string{
		"request.submitted", "instance.reserved", "reservation.held", "step.completed", "request.queued", "request.planning", "run.started",
		"step.started", "request.planned", "step.completed", "reservation.committed", "request.applying", "instance.changing", "step.started", "step.completed",
		"step.started", "step.completed", "request.succeeded", "instance.ready",
	}
	if diff := cmp.Diff(want, l.tells()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, step := range l.record.Request.Steps {
		if step.Status != provision.StepCompleted || step.StartedAt == nil || step.FinishedAt == nil {
			t.Errorf("step %d is %+v, want completed with both times", step.Step, step)
		}
	}
}

func TestDestroyThatSucceeds(t *testing.T) {
	t.Parallel()
	made := applying(t).must(outcome(provision.ResultSucceeded, ""))
	l := begin(t, testkit.Destroyed(*made.record.Instance))
	l.record.Instance.Sequence = 0 // its events are counted from here
	l.must(dispatch).must(claim("w2")).must(goOn)
	l.stands(provision.Applying, provision.Destroying)
	l.must(outcome(provision.ResultSucceeded, ""))
	l.stands(provision.Succeeded, provision.Destroyed)
	if l.record.Instance.Fence != 2 {
		t.Errorf("fence is %d, want 2: it rises over the instance's whole life", l.record.Instance.Fence)
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		live     func(t *testing.T) *life
		request  provision.State
		instance provision.InstanceState
		message  string
	}{
		"denied when its turn comes": {func(t *testing.T) *life {
			return created(t).must(func(r *provision.Record) error { return r.Dispatch("local", testkit.Denial()) })
		}, provision.DeniedState, provision.Released, "xlarge is too large for dev. Choose small.\nprod needs backups."},
		"denied on its plan": {func(t *testing.T) *life {
			return planning(t).must(func(r *provision.Record) error { return r.GoOn(testkit.Denial()) }).must(outcome(provision.ResultRefused, ""))
		}, provision.DeniedState, provision.Released, "xlarge is too large for dev. Choose small.\nprod needs backups."},
		"denied on its plan, and then silent": {func(t *testing.T) *life {
			return planning(t).must(func(r *provision.Record) error { return r.GoOn(testkit.Denial()) }).silence()
		}, provision.DeniedState, provision.Released, "xlarge is too large for dev. Choose small.\nprod needs backups."},
		"failed plan": {func(t *testing.T) *life {
			return planning(t).must(report(func(p *provision.Report) {
				p.Kind, p.Phase, p.Status, p.Details = provision.ReportPhase, "plan", "failed", "no such size"
			})).must(outcome(provision.ResultFailed, "no such size"))
		}, provision.Failed, provision.Released, "failed at step 2 of 4: Plan"},
		"failed apply": {func(t *testing.T) *life {
			return applying(t).must(address("terraform_data.database", "completed")).must(address("terraform_data.user", "failed")).
				must(outcome(provision.ResultFailed, "the disk is full"))
		}, provision.Failed, provision.Incomplete, "failed at step 4 of 4: Create user"},
		"success that never applied": {func(t *testing.T) *life {
			return planning(t).must(outcome(provision.ResultSucceeded, ""))
		}, provision.Failed, provision.Released, "failed at step 2 of 4: Plan"},
		"cancelled in the queue": {func(t *testing.T) *life { return created(t).must(cancel) },
			provision.Cancelled, provision.Released, "changed my mind"},
		"cancelled once dispatched": {func(t *testing.T) *life { return created(t).must(dispatch).must(cancel) },
			provision.Cancelled, provision.Released, "changed my mind"},
		"cancelled while planning": {func(t *testing.T) *life {
			return planning(t).must(cancel).must(cancel).must(outcome(provision.ResultCancelled, "stopped"))
		}, provision.Cancelled, provision.Released, "changed my mind"},
		"cancelled while planning, failing on the way": {func(t *testing.T) *life {
			return planning(t).must(cancel).must(outcome(provision.ResultFailed, "interrupted"))
		}, provision.Cancelled, provision.Released, "changed my mind"},
		"cancelled while planning, and then silent": {func(t *testing.T) *life { return planning(t).must(cancel).silence() },
			provision.Cancelled, provision.Released, "changed my mind"},
		"cancelled while planning, and given back": {func(t *testing.T) *life { return planning(t).must(cancel).must(release) },
			provision.Cancelled, provision.Released, "changed my mind"},
		"cancelled while applying": {func(t *testing.T) *life {
			return applying(t).must(cancel).must(outcome(provision.ResultCancelled, ""))
		}, provision.Cancelled, provision.Incomplete, "changed my mind"},
		"cancelled too late": {func(t *testing.T) *life {
			return applying(t).must(cancel).must(outcome(provision.ResultSucceeded, ""))
		}, provision.Succeeded, provision.Ready, ""},
		"cancelled while lost": {func(t *testing.T) *life {
			return applying(t).silence().must(cancel).must(outcome(provision.ResultCancelled, ""))
		}, provision.Cancelled, provision.Incomplete, "changed my mind"},
		"waited too long": {func(t *testing.T) *life { return created(t).must(dispatch).must(giveUp) },
			provision.Failed, provision.Released, "no worker took it within 24h"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := tt.live(t)
			l.stands(tt.request, tt.instance)
			if l.record.Request.Error != nil && l.record.Request.Error.Message != tt.message {
				t.Errorf("error is %q, want %q", l.record.Request.Error.Message, tt.message)
			}
			if l.record.Run != nil && l.record.Run.State != provision.RunEnded {
				t.Errorf("run is %s, want ended", l.record.Run.State)
			}
			if err := l.do(claim("w9")); l.record.Run != nil && provision.KindOf(err) != provision.Conflict {
				t.Errorf("claim afterwards: %v, want a conflict", err)
			}
		})
	}
}

func TestWorkerLostWhilePlanningRequeues(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(l *life) *life{
		"silent":   (*life).silence,
		"draining": func(l *life) *life { return l.must(release) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := planning(t)
			old := *l.record.Run
			leave(l)
			l.stands(provision.Queued, provision.Reserved)
			if l.record.Request.Waiting == "" {
				t.Error("a queued request does not say what it waits for")
			}
			for what, late := range map[string]func(*provision.Record) error{"claim": claim("w1"), "renewal": renew} {
				if err := l.do(late); provision.KindOf(err) != provision.Conflict {
					t.Errorf("the old worker's late %s: %v, want a conflict", what, err)
				}
			}
			l.must(dispatch).must(claim("w2"))
			if l.record.Run.ID == old.ID || l.record.Run.Fence != 2 {
				t.Errorf("the next run is %s with fence %d, want a new one with 2", l.record.Run.ID, l.record.Run.Fence)
			}
			l.must(goOn).must(outcome(provision.ResultSucceeded, ""))
			l.stands(provision.Succeeded, provision.Ready)
		})
	}
}

func TestWorkerLostWhileApplyingIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(*provision.Record) error{
		"it renews":  renew,
		"it reports": address("terraform_data.database", "completed"),
		"it has not heard that it may apply, and asks again": goOn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := applying(t).silence()
			l.stands(provision.Lost, provision.Incomplete)
			for _, worker := range []string{"w1", "w2"} { // the first under its name only: it has not found the run on its disk
				if err := l.do(claim(worker)); provision.KindOf(err) != provision.Conflict {
					t.Errorf("%s claims: %v, want a conflict", worker, err)
				}
			}
			if err := l.do(dispatch); provision.KindOf(err) != provision.Conflict {
				t.Errorf("another dispatch: %v, want a conflict", err)
			}
			l.silence()
			l.stands(provision.Lost, provision.Incomplete)
			l.must(back)
			l.stands(provision.Applying, provision.Changing)
			l.must(outcome(provision.ResultSucceeded, ""))
			l.stands(provision.Succeeded, provision.Ready)
		})
	}
	l := applying(t).silence().must(outcome(provision.ResultSucceeded, ""))
	l.stands(provision.Succeeded, provision.Ready)
}

func TestLeaseThatHoldsIsNotExpired(t *testing.T) {
	t.Parallel()
	l := planning(t).must(expire)
	l.stands(provision.Planning, provision.Reserved)
	l.now = l.now.Add(50 * time.Second)
	l.must(renew)
	l.now = l.now.Add(50 * time.Second)
	l.must(expire)
	l.stands(provision.Planning, provision.Reserved)
}

func TestReportsThatDoNotCount(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*provision.Report){
		"a repeat":            func(p *provision.Report) { p.Sequence-- },
		"an older token":      func(p *provision.Report) { p.Fence-- },
		"a newer token":       func(p *provision.Report) { p.Fence++ },
		"of another run":      func(p *provision.Report) { p.RunID = provision.NewID() },
		"a repeat of nothing": func(p *provision.Report) { p.Sequence = 0 },
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := applying(t).must(address("terraform_data.database", "started"))
			before, told := l.record.Run.ReportSequence, len(l.events)
			l.must(func(r *provision.Record) error {
				late := provision.Report{
					RunID: r.Run.ID, Fence: r.Run.Fence, Sequence: r.Run.ReportSequence + 1, Kind: provision.ReportOutcome,
					Outcome: &provision.RunOutcome{Result: provision.ResultFailed},
				}
				edit(&late)
				ok, err := r.Take(late)
				if ok {
					t.Error("it counted")
				}
				return err
			})
			l.stands(provision.Applying, provision.Changing)
			if l.record.Run.ReportSequence != before || len(l.events) != told {
				t.Errorf("report sequence %d and %d events, want %d and %d as before", l.record.Run.ReportSequence, len(l.events), before, told)
			}
		})
	}
	l := applying(t).must(outcome(provision.ResultSucceeded, ""))
	l.must(address("terraform_data.database", "failed"))
	l.stands(provision.Succeeded, provision.Ready)
	for name, edit := range map[string]func(*provision.Report){
		"an unknown kind":            func(p *provision.Report) { p.Kind = "gossip" },
		"an outcome without outcome": func(p *provision.Report) { p.Kind = provision.ReportOutcome },
	} {
		if err := applying(t).do(report(edit)); provision.KindOf(err) != provision.Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	l := planning(t)
	if err := l.do(claim("w2")); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a claim of a held run: %v, want a conflict", err)
	}
	told := len(l.events)
	l.must(claim("w1"))
	if l.record.Run.Fence != 1 || len(l.events) != told {
		t.Errorf("a repeated claim has fence %d and %d events, want 1 and %d: its answer was lost, nothing more", l.record.Run.Fence, len(l.events), told)
	}
	if err := l.must(goOn).do(claim("w1")); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a claim of what its worker has begun to apply: %v, want a conflict", err)
	}
	if err := created(t).do(claim("w1")); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a claim before dispatch: %v, want a conflict", err)
	}
	if err := created(t).must(dispatch).do(dispatch); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a second dispatch: %v, want a conflict", err)
	}
}

func TestGoOnMayBeRepeatedButNotForced(t *testing.T) {
	t.Parallel()
	l := applying(t)
	told := len(l.events)
	l.must(goOn)
	if len(l.events) != told {
		t.Error("a repeated go-on told something")
	}
	for name, l := range map[string]*life{
		"being cancelled": planning(t).must(cancel), "queued": created(t).must(dispatch), "attested to be dead": applying(t).silence().must(attest),
	} {
		if err := l.do(goOn); provision.KindOf(err) != provision.Conflict {
			t.Errorf("go on while %s: %v, want a conflict", name, err)
		}
	}
	if err := applying(t).do(release); provision.KindOf(err) != provision.Conflict {
		t.Errorf("giving back an apply: %v, want a conflict", err)
	}
}

func TestNothingIsLeftToCancelAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*life{
		"succeeded": applying(t).must(outcome(provision.ResultSucceeded, "")),
		"failed":    created(t).must(giveUp),
	} {
		if err := l.do(cancel); provision.KindOf(err) != provision.Conflict {
			t.Errorf("cancel of a %s request: %v, want a conflict", name, err)
		}
	}
	l := created(t).must(cancel)
	told := len(l.events)
	if l.must(cancel); len(l.events) != told {
		t.Error("a repeated cancel told something")
	}
}
