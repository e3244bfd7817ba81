package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const plainModule = `
variable "text" { type = string }
resource "terraform_data" "a" { input = var.text }
resource "terraform_data" "b" { input = terraform_data.a.output }
output "text" { value = terraform_data.b.output }
`

// BenchmarkBareTerraform is what the worker is measured against: the four
// commands that a script would run.
func BenchmarkBareTerraform(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(plainModule), 0o600); err != nil {
			b.Fatal(err)
		}
		for _, args := range [][]string{
			{"init", "-input=false"}, {"plan", "-input=false", "-var", "text=x", "-out", "p"}, {"apply", "-input=false", "p"}, {"output", "-json"},
		} {
			cmd := exec.Command("terraform", args...)
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CHECKPOINT_DISABLE=1"}
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("terraform %v: %v\n%s", args, err, out)
			}
		}
	}
}

// BenchmarkRun is the same by the worker, from the job to the wiped directory:
// claim, plan, change set, go-on, supervised apply, sealed state, reports, logs
// and the confirmed outcome, over HTTP on this machine.
func BenchmarkRun(b *testing.B) {
	bench := newBench(b, plainModule)
	bench.start()
	run := func() {
		id := bench.ask(func(r *fakeRun) { r.claim.Parameters = provision.Parameters{"text": "x"} })
		if outcome := bench.await(id); outcome.Result != "succeeded" {
			b.Fatalf("outcome = %+v", outcome)
		}
	}
	run() // prepares the module
	for b.Loop() {
		run()
	}
}
