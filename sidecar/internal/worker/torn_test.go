package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// terraformOf is the Terraform process of a run.
func (b *bench) terraformOf(dir string) launched {
	b.t.Helper()
	var process launched
	if ok, err := directory(dir).read(processFile, &process); !ok || err != nil {
		b.t.Fatal(ok, err)
	}
	return process
}

// TestATornStateIsNeverPushed is law 9: a Terraform that dies while it writes its
// state leaves half a file. The sidecar keeps the last whole one, and the outcome
// names what was in flight.
func TestATornStateIsNeverPushed(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	eventually(t, "the first resource's state is pushed", func() bool {
		pushed := 0
		b.with(id, func(r *fakeRun) { pushed = len(r.pushes) })
		return pushed > 0
	})
	process := b.terraformOf(b.dir(id))
	if err := syscall.Kill(process.ID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.dir(id), "work", terraform.StateFile)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(process.ID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	outcome := b.await(id)
	if outcome.Result != "failed" || !strings.Contains(outcome.Message, "terraform_data.slow") || outcome.Resources != nil {
		t.Errorf("outcome = %+v; want a failure that names what was in flight and counts nothing", outcome)
	}
	states := b.states(id) // each must parse
	if last := states[len(states)-1].Addresses; len(last) != 1 || last[0] != "terraform_data.first" {
		t.Errorf("the last state has %v, want the last whole one", last)
	}
}

// TestATerraformThatDoesNotStopIsKilled: one that heeds no interrupt is killed at
// last, and nothing that it has started outlives it.
func TestATerraformThatDoesNotStopIsKilled(t *testing.T) {
	b := newBench(t, gateModule)
	b.site.Patience.Interrupt, b.site.Patience.Kill = 300*time.Millisecond, 300*time.Millisecond
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	process := b.terraformOf(b.dir(id))
	if err := syscall.Kill(process.ID, syscall.SIGSTOP); err != nil { // it cannot hear an interrupt
		t.Fatal(err)
	}
	b.with(id, func(r *fakeRun) { r.cancel = "asked for the wrong one" })
	outcome := b.await(id)
	if outcome.Result != "cancelled" || !outcome.Applied || !strings.Contains(outcome.Detail, "terraform_data.slow") {
		t.Errorf("outcome = %+v", outcome)
	}
	eventually(t, "nothing of its group is left", func() bool { return errors.Is(syscall.Kill(-process.ID, 0), syscall.ESRCH) })
	states := b.states(id)
	if last := states[len(states)-1].Addresses; len(last) != 1 || last[0] != "terraform_data.first" {
		t.Errorf("the last state has %v", last)
	}
}
