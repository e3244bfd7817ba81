package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func (b *bench) untilSlow() {
	b.t.Helper()
	eventually(b.t, "the slow resource is being made", func() bool { return exists(b.gate("slow")) })
}

func (b *bench) wantOneApply(id uuid.UUID) {
	b.t.Helper()
	if got := b.lines(b.gate("applied")); got != 1 {
		b.t.Errorf("applied %d times, want once", got)
	}
	if diff := cmp.Diff(gateReports, b.reported(id)); diff != "" {
		b.t.Errorf("reports (-want +got):\n%s", diff)
	}
	b.states(id)
	b.with(id, func(r *fakeRun) {
		for n := int64(1); n <= int64(len(r.logs)); n++ {
			if r.logs[n] == "" {
				b.t.Errorf("log line %d of %d is missing", n, len(r.logs))
			}
		}
		seen := map[string]int{}
		for _, text := range r.logs {
			if seen[text]++; strings.Contains(text, "Creation complete") && seen[text] > 1 {
				b.t.Errorf("log line %q is there twice", text)
			}
		}
	})
}

func TestAKilledWorkerKillsNoApply(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	worker := b.spawn()
	b.untilSlow()
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = worker.Wait()
	b.spawn()
	eventually(t, "the new worker has found the run", func() bool {
		text, _ := os.ReadFile(b.gate("worker.log"))
		return strings.Contains(string(text), "run found")
	})
	b.openGate("go")
	if got := b.await(id); got.Result != "succeeded" || got.Outputs["last"] != "one" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
}

func TestAnApplyThatEndsWhileNoWorkerIsThereIsReportedLater(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	worker := b.spawn()
	b.untilSlow()
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = worker.Wait()
	b.openGate("go")
	eventually(t, "Terraform has ended", func() bool { return exists(filepath.Join(b.dir(id), exitFile)) })
	b.spawn()
	if got := b.await(id); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
}

// processOf is the process whose arguments hold text, each ended by a zero byte.
func (b *bench) processOf(text string) int {
	b.t.Helper()
	found := 0
	eventually(b.t, "there is a process "+text, func() bool {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range files {
			arguments, _ := os.ReadFile(file)
			if strings.Contains(string(arguments), text) {
				found, _ = strconv.Atoi(filepath.Base(filepath.Dir(file)))
				return true
			}
		}
		return false
	})
	return found
}

func TestAKilledSupervisorKillsNoApply(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	supervisor := b.processOf("\x00supervise\x00" + b.dir(id) + "\x00")
	if err := syscall.Kill(supervisor, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another supervisor has taken over", func() bool {
		p := process{ID: supervisor}
		_, alive, _ := startTime(p.ID)
		return !alive && directory(b.dir(id)).locked(supervisorLock)
	})
	b.openGate("go")
	if got := b.await(id); got.Result != "succeeded" || got.Outputs["last"] != "one" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
}

func TestAKilledShimKillsNoApply(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	if err := syscall.Kill(b.processOf(b.dir(id)+"/bin/terraform\x00apply\x00"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker has attached again", func() bool { return strings.Contains(b.log.String(), "shim ended before Terraform") })
	b.openGate("go")
	if got := b.await(id); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
}

func TestARunThatWasGivenAwayBeforeItsApplyBeganIsDropped(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	worker := b.spawn()
	b.untilSlow()
	// As if the worker had died between the go-on and Terraform's start.
	d := directory(b.dir(id))
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = worker.Wait()
	b.openGate("go")
	eventually(t, "the supervisor is gone", func() bool { return d.has(exitFile) && !d.locked(supervisorLock) })
	for _, name := range []string{exitFile, processFile, eventsFile, journalFile, applyFile} {
		if err := os.Remove(d.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	b.with(id, func(r *fakeRun) { r.claim.Token = "another worker's" })
	b.start()
	eventually(t, "the run is dropped", func() bool { return !exists(b.dir(id)) })
	if got := b.lines(b.gate("applied")); got != 1 {
		t.Errorf("applied %d times, want the first time only", got)
	}
}

func TestAKilledTerraformIsAFailureThatNamesWhatWasInFlight(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	var terraform launched
	if ok, err := directory(b.dir(id)).read(processFile, &terraform); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := syscall.Kill(terraform.ID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	outcome := b.await(id)
	// Its provisioner would go on for ever.
	eventually(t, "nothing of its group is left", func() bool { return errors.Is(syscall.Kill(-terraform.ID, 0), syscall.ESRCH) })
	if outcome.Result != "failed" || !strings.Contains(outcome.Message, "terraform_data.slow") {
		t.Errorf("outcome = %+v", outcome)
	}
	states := b.states(id)
	if diff := cmp.Diff([]string{"terraform_data.first"}, states[len(states)-1].Addresses); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestASidecarThatIsAwayDuringApplyLosesNothing(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	b.setDown(true)
	b.openGate("go")
	eventually(t, "Terraform has ended", func() bool { return exists(filepath.Join(b.dir(id), exitFile)) })
	b.setDown(false)
	if got := b.await(id); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
	if states := b.states(id); len(states[len(states)-1].Addresses) != 3 {
		t.Errorf("last state = %+v", states[len(states)-1])
	}
}

func TestAStoppingWorkerReleasesPlansAndLeavesApplies(t *testing.T) {
	b := newBench(t, gateModule)
	applying := b.ask(nil)
	stop := b.start()
	b.untilSlow()
	began := time.Now()
	stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the worker took %s to stop", took)
	}
	if b.outcome(applying) != nil || !exists(b.dir(applying)) {
		t.Fatal("the apply was not left alone")
	}
	b.start()
	b.openGate("go")
	if got := b.await(applying); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(applying)
}

func TestAStoppingWorkerGivesAPlanBack(t *testing.T) {
	b := newBench(t, `
variable "gates" { type = string }
resource "terraform_data" "a" { input = "x" }`)
	id := b.ask(nil)
	b.site.Binary.Path = b.slowTerraform()
	stop := b.start()
	eventually(t, "the run is being planned", func() bool { return exists(b.gate("initialising")) })
	stop()
	b.with(id, func(r *fakeRun) {
		if r.state != "requeued" {
			t.Errorf("the run is %s, want requeued", r.state)
		}
	})
	if exists(b.dir(id)) {
		t.Error("the run's directory is left")
	}
}

func TestAKilledWorkerGivesAPlanBackWhenItStartsAgain(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	real := b.site.Binary.Path
	b.site.Binary.Path = b.slowTerraform()
	worker := b.spawn()
	eventually(t, "the run is being planned", func() bool { return exists(b.gate("initialising")) })
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = worker.Wait()
	b.site.Binary.Path = real
	b.start()
	eventually(t, "the run is given back", func() bool {
		released := false
		b.with(id, func(r *fakeRun) { released = r.state == "requeued" })
		return released && !exists(b.dir(id))
	})
}

// slowTerraform is a Terraform whose init does not end before it is stopped.
func (b *bench) slowTerraform() string {
	b.t.Helper()
	path := b.gate("terraform-slow")
	script := "#!/bin/sh\nif [ \"$1\" = init ]; then touch " + b.gate("initialising") + "; exec sleep 600; fi\nexec " + b.site.Binary.Path + " \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func TestAnOutcomeIsKeptUntilItIsCommitted(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	worker := b.spawn()
	b.untilSlow()
	b.setDown(true)
	b.openGate("go")
	eventually(t, "Terraform has ended", func() bool { return exists(filepath.Join(b.dir(id), exitFile)) })
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = worker.Wait()
	b.setDown(false)
	b.spawn()
	if got := b.await(id); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
}

func TestARunThatTheSidecarDoesNotKnowLeavesItsSealedState(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	b.mu.Lock()
	delete(b.runs, id)
	b.mu.Unlock()
	b.openGate("go")
	kept := filepath.Join(b.site.Root, "orphans", id.String()+".tfstate.age")
	eventually(t, "the sealed state is kept and the rest is wiped", func() bool { return exists(kept) && !exists(b.dir(id)) })
	sealed, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := opener(b.identity)(sealed); err != nil || !strings.Contains(string(raw), `"last"`) {
		t.Errorf("the kept state is %s, %v", raw, err)
	}
}
