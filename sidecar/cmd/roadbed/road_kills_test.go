package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// runs are the runs of a request: how many, and the newest's token and worker.
func (r *road) runs(request uuid.UUID) (n int, fence int64, worker string) {
	r.t.Helper()
	err := r.pool.QueryRow(r.t.Context(), `SELECT count(*) OVER (), fence, worker FROM runs WHERE request_id = $1 ORDER BY dispatched_at DESC LIMIT 1`, request).Scan(&n, &fence, &worker)
	if err != nil {
		r.t.Fatalf("read the runs of %s: %v", request, err)
	}
	return n, fence, worker
}

// wantOnce holds a request to one database, by one apply, under one token.
func (r *road) wantOnce(request uuid.UUID, name any) {
	r.t.Helper()
	r.untilState(request, provision.Succeeded)
	r.wantMade(name, 1, 2)
	r.wantApplies(1)
	if n, fence, _ := r.runs(request); n != 1 || fence != 1 {
		r.t.Errorf("it took %d runs and token %d, want one run under token 1", n, fence)
	}
	r.audit()
}

// TestSidecarKilledBetweenCommitAndPublish is laws 1 and 10: what a 202 has
// promised is done, once, though the sidecar dies before anyone has heard of it.
func TestSidecarKilledBetweenCommitAndPublish(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	r.nats.Stop()
	request := r.submit(r.submission("dev"))
	r.until("it has a run that nobody has heard of", func() bool {
		return r.number("SELECT count(*) FROM runs WHERE state = 'dispatched'") == 1
	})
	if n := r.number("SELECT count(*) FROM outbox"); n == 0 {
		t.Error("its events are said to be published, and there is no NATS")
	}
	r.sidecar.kill()
	r.nats.Start()
	r.sidecar.start()
	r.wantOnce(request.Id, request.Parameters["database_name"])
	r.wantPublished()
}

// TestKillsDuringApply is laws 2, 9 and 10: whatever of Roadbed is killed while
// Terraform applies, Terraform goes on and is heard to its end.
func TestKillsDuringApply(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "6s"})
	worker := r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	r.untilMaking(request.Id)
	terraform := r.terraforms()
	if len(terraform) != 1 {
		t.Fatalf("processes of Terraform: %v", terraform)
	}

	worker.kill()
	for _, pid := range r.supervisors() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	r.sidecar.kill()
	if now := r.terraforms(); len(now) != 1 || now[0] != terraform[0] {
		t.Fatalf("Terraform was %v and is %v", terraform, now)
	}
	r.sidecar.start()
	worker.start()
	r.until("the worker has found its run", func() bool { return strings.Contains(worker.output(), `"run found"`) })
	r.wantOnce(request.Id, request.Parameters["database_name"])
	r.wantPublished()
	r.until("the run's directory is wiped", func() bool { return !r.exists("w1/runs/" + r.runID(request.Id)) })
}

// TestTerraformKilled is law 9: the state that Terraform had written is kept,
// the request says how far it came, and destroy removes what was made.
func TestTerraformKilled(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "60s"})
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	name := request.Parameters["database_name"]
	r.untilMaking(request.Id)
	pids := r.terraforms()
	if len(pids) != 1 {
		t.Fatalf("processes of Terraform: %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.untilState(request.Id, provision.Failed)
	failed, err := r.as(ann).Request(t.Context(), request.Id)
	if err != nil {
		t.Fatal(err)
	}
	if e := failed.Error; e.Step != 3 || e.Steps != 5 || e.Message != "failed at step 3 of 5: Create database instance" || !strings.Contains(e.Detail, "postgres_database.main") {
		t.Errorf("its error is %+v", e)
	}
	instance, err := r.as(ann).Instance(t.Context(), *request.InstanceId)
	if err != nil || instance.Instance.State != provision.Incomplete {
		t.Errorf("its instance is %s %v, want incomplete", instance.Instance.State, err)
	}
	r.until("its provider is gone, too", func() bool { return errors.Is(syscall.Kill(-pids[0], 0), syscall.ESRCH) })
	if n := r.number("SELECT count(*) FROM states WHERE head AND instance_id = $1", *request.InstanceId); n != 1 {
		t.Errorf("%d states of it were kept as the one to go on from", n)
	}
	r.wantMade(name, 0, 1)
	removal, err := r.as(ann).Destroy(t.Context(), uuid.NewString(), *request.InstanceId)
	if err != nil {
		t.Fatalf("destroy what was left: %v", err)
	}
	r.untilState(removal.Id, provision.Succeeded)
	r.wantMade(name, 0, 0)
	r.audit()
}

// TestStoppedWorkerLosesItsPlan is law 2: a worker that stops breathing while it
// plans loses the run to another. Whatever it says from then on is refused, but
// for a state, which is kept aside.
func TestStoppedWorkerLosesItsPlan(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.write("hold-w1", "")
	r.write("hold-w2", "")
	first := r.startWorkerOf("w1", 1) // a second slot would be handed a job and sit on it
	request := r.submit(r.submission("dev"))
	r.until("the first worker plans", func() bool { return r.exists("held-w1") })
	lost := r.runID(request.Id)
	token := r.runToken("w1", lost)
	first.signal(syscall.SIGSTOP)
	r.startWorker("w2")
	r.until("its lease has run out and the second plans", func() bool {
		_, fence, worker := r.runs(request.Id)
		return worker == "w2" && fence == 2 && r.exists("held-w2")
	})
	r.wantRefused(uuid.MustParse(lost), token)
	r.remove("hold-w1")
	first.signal(syscall.SIGCONT)
	r.until("the first worker is refused", func() bool { return strings.Contains(first.output(), "no longer this worker's") })
	r.until("it has wiped its directory", func() bool {
		left, _ := filepath.Glob(r.path("w1/runs/*"))
		return len(left) == 0
	})
	r.remove("hold-w2")
	r.untilState(request.Id, provision.Succeeded)
	r.wantMade(request.Parameters["database_name"], 1, 2)
	r.wantApplies(1)
	if n := r.number("SELECT count(*) FROM states WHERE fence = 1 AND NOT head"); n != 1 {
		t.Errorf("the late state was kept %d times aside, want once", n)
	}
	if n := r.number("SELECT count(*) FROM states WHERE fence = 2 AND head"); n != 1 {
		t.Errorf("%d states of the second worker are the one to go on from", n)
	}
	if got, want := r.story(request.Id), "request.submitted request.queued request.planning run.started run.abandoned request.queued request.planning run.started request.planned request.applying request.succeeded"; got != want {
		t.Errorf("its story is %s, want %s", got, want)
	}
	r.audit()
}

// wantRefused says everything that a worker can say of a run that it has lost.
func (r *road) wantRefused(run uuid.UUID, token string) {
	r.t.Helper()
	ctx := r.t.Context()
	stale, err := client.NewWorker(r.base(), r.poolKey, "w1")
	if err != nil {
		r.t.Fatal(err)
	}
	for what, say := range map[string]func() error{
		"claim":          func() error { _, err := stale.Claim(ctx, run); return err },
		"renew":          func() error { _, err := stale.Renew(ctx, run, token); return err },
		"submit a plan":  func() error { return stale.Plan(ctx, run, token, nil) },
		"read the state": func() error { _, err := stale.State(ctx, run, token); return err },
		"release":        func() error { return stale.Release(ctx, run, token) },
	} {
		if err := say(); provision.KindOf(err) != provision.Conflict {
			r.t.Errorf("%s: %v, want a conflict", what, err)
		}
	}
	head, err := stale.PushState(ctx, token, provision.StateVersion{RunID: run, Fence: 1, Serial: 99, Lineage: uuid.NewString(), Sealed: []byte("a late state, sealed")})
	if err != nil || head {
		r.t.Errorf("a late state: head %v, %v; want it kept aside", head, err)
	}
	if view, err := stale.View(ctx, run); err != nil || view.State != provision.RunEnded {
		r.t.Errorf("its run is %s %v, want ended", view.State, err)
	}
}

// TestLostApplyIsNobodyElses is law 2: when worker and supervisor both stop
// breathing during apply no other worker is given the run; it goes on when they
// are back.
func TestLostApplyIsNobodyElses(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "6s"})
	first := r.startWorkerOf("w1", 1) // a second slot would be handed a job and sit on it
	request := r.submit(r.submission("dev"))
	r.untilMaking(request.Id)
	first.signal(syscall.SIGSTOP)
	stopped := r.supervisors()
	for _, pid := range stopped {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	second := r.startWorker("w2")
	r.untilState(request.Id, provision.Lost)
	// The second proves that it works, and that the lost run is not offered to it.
	other := r.submit(r.submission("dev"))
	r.untilState(other.Id, provision.Succeeded)
	if n, fence, worker := r.runs(request.Id); n != 1 || fence != 1 || worker != "w1" {
		t.Errorf("the lost run is one of %d, under token %d of %s", n, fence, worker)
	}
	if strings.Contains(second.output(), request.Id.String()) {
		t.Error("the second worker has had the lost run in hand")
	}
	first.signal(syscall.SIGCONT)
	for _, pid := range stopped {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	r.untilState(request.Id, provision.Succeeded)
	r.wantMade(request.Parameters["database_name"], 1, 2)
	r.wantApplies(2) // one for each request
	if got, want := r.story(request.Id), "request.submitted request.queued request.planning run.started request.planned request.applying run.lost request.lost request.applying request.succeeded"; got != want {
		t.Errorf("its story is %s, want %s", got, want)
	}
	r.audit()
}

// TestWorkerStopsInOrder gives a worker SIGTERM while it applies: the apply is
// left to its supervisor and the next start hears it out.
func TestWorkerStopsInOrder(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{delay: "6s"})
	worker := r.startWorker("w1")
	worker.env = append(worker.env, "ROADBED_WORKER_DRAIN=0s")
	worker.kill()
	worker.start()
	request := r.submit(r.submission("dev"))
	r.untilMaking(request.Id)
	worker.stop()
	r.sidecar.stop()
	r.sidecar.start()
	worker.start()
	r.wantOnce(request.Id, request.Parameters["database_name"])
	if text, err := os.ReadFile(r.path("sidecar.log")); err != nil || strings.Contains(string(text), `"level":"ERROR"`) {
		t.Errorf("the sidecar's log has an error, or cannot be read: %v", err)
	}
}
