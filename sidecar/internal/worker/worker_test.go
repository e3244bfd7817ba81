package worker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const echoModule = `
variable "text" { type = string }
variable "secret" { type = string }
variable "custom_parameters" {
  type    = map(string)
  default = {}
}
variable "roadbed" { type = any }
resource "terraform_data" "echo" { input = { text = var.text, secret = sensitive(var.secret), map = var.custom_parameters } }
resource "terraform_data" "loud" {
  input = var.roadbed.short_id
  provisioner "local-exec" { command = "echo the secret is ${nonsensitive(var.secret)}; echo dial $TEST_PROVIDER_DSN" }
}
output "text" { value = nonsensitive(terraform_data.echo.output.text) }
output "map" { value = terraform_data.echo.output.map }
output "short_id" { value = var.roadbed.short_id }
output "hidden" {
  value     = terraform_data.echo.output.secret
  sensitive = true
}
`

// gateModule makes a first resource, then one that says that it has begun and
// waits for the gate, then a third.
const gateModule = `
variable "gates" { type = string }
resource "terraform_data" "first" {
  input = "one"
  provisioner "local-exec" { command = "echo applied >> ${var.gates}/applied" }
}
resource "terraform_data" "slow" {
  input = terraform_data.first.output
  provisioner "local-exec" { command = "touch ${var.gates}/slow; while [ ! -e ${var.gates}/go ]; do sleep 0.02; done" }
}
resource "terraform_data" "last" { input = terraform_data.slow.output }
output "last" { value = terraform_data.last.output }
`

var gateReports = []string{
	"init started", "init completed", "plan started", "plan completed", "apply started",
	"terraform_data.first started", "terraform_data.first completed", "terraform_data.slow started", "terraform_data.slow completed",
	"terraform_data.last started", "terraform_data.last completed", "apply completed", "outcome succeeded",
}

func TestARunComesToItsOutputsWithHostileTextAndSecrets(t *testing.T) {
	b := newBench(t, echoModule)
	hostile := "${1+1} %{if true}x%{endif} \"q\" <&> \n\t\\ é \u2028 $${a} \"}\nresource \"x\" \"y\" {}"
	sealed, err := seal([]string{b.identity.Recipient().String()}, []byte(`"canary-parameter"`))
	if err != nil {
		t.Fatal(err)
	}
	id := b.ask(func(r *fakeRun) {
		r.claim.Parameters = provision.Parameters{"text": hostile, "secret": map[string]any{"sealed": sealed}, "custom_parameters": map[string]any{"a b": hostile}}
	})
	b.start()
	outcome := b.await(id)
	want := &provision.RunOutcome{Result: "succeeded", Applied: true, Outputs: map[string]any{
		"text": hostile, "map": map[string]any{"a b": hostile}, "short_id": "k3x9",
	}}
	if diff := cmp.Diff(want, outcome); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	states := b.states(id)
	if len(states) == 0 || len(states[len(states)-1].Addresses) != 2 {
		t.Errorf("pushed states = %+v, want the last with 2 resources", states)
	}
	b.with(id, func(r *fakeRun) {
		var text strings.Builder
		for n := int64(1); n <= int64(len(r.logs)); n++ {
			text.WriteString(r.logs[n] + "\n")
		}
		for _, line := range []string{"the secret is (sensitive)", "dial postgres://u:(sensitive)@h/d", "terraform_data.echo: Creating..."} {
			if !strings.Contains(text.String(), line) && !strings.Contains(text.String(), "output suppressed") && !strings.Contains(text.String(), "dial (sensitive)") {
				t.Errorf("the log has no %q:\n%s", line, text.String())
			}
		}
	})
}

func TestASecondRunGoesOnFromTheStateAndDestroys(t *testing.T) {
	b := newBench(t, gateModule)
	b.openGate("go")
	b.start()
	first := b.ask(nil)
	if got := b.await(first); got.Result != "succeeded" {
		t.Fatalf("create = %+v", got)
	}
	if diff := cmp.Diff(gateReports, b.reported(first)); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
	var head provision.StateVersion
	b.with(first, func(r *fakeRun) { head = r.pushes[len(r.pushes)-1] })
	second := b.ask(func(r *fakeRun) { r.head, r.claim.Action = &head, provision.Destroy })
	if got := b.await(second); got.Result != "succeeded" {
		t.Fatalf("destroy = %+v", got)
	}
	states := b.states(second)
	if last := states[len(states)-1]; len(last.Addresses) != 0 || last.Lineage != head.Lineage || last.Serial <= head.Serial {
		t.Errorf("state after destroy = %+v", last)
	}
	b.with(second, func(r *fakeRun) {
		for _, change := range r.plans[0] {
			if change.Action != "delete" {
				t.Errorf("change of a destroy = %+v", change)
			}
		}
	})
}

func TestADeniedPlanAppliesNothing(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(func(r *fakeRun) { r.deny = true })
	b.start()
	outcome := b.await(id)
	if outcome.Result != provision.ResultRefused || outcome.Applied || !strings.Contains(outcome.Message, "Choose a smaller one") {
		t.Errorf("outcome = %+v", outcome)
	}
	if exists(b.gate("applied")) || len(b.states(id)) > 0 {
		t.Error("something was applied")
	}
}

func TestAFailedApplySaysWhyAndKeepsWhatWasMade(t *testing.T) {
	b := newBench(t, `
resource "terraform_data" "good" { input = "x" }
resource "terraform_data" "bad" {
  input = terraform_data.good.output
  provisioner "local-exec" { command = "echo quota exceeded password=cana''ry-shown; exit 3" }
}`)
	id := b.ask(nil)
	b.start()
	outcome := b.await(id)
	if outcome.Result != "failed" || !outcome.Applied || !strings.Contains(outcome.Message, "local-exec provisioner error") || !strings.Contains(outcome.Detail, "quota exceeded") {
		t.Errorf("outcome = %+v", outcome)
	}
	states := b.states(id)
	if len(states) == 0 || !strings.Contains(strings.Join(states[len(states)-1].Addresses, " "), "terraform_data.good") {
		t.Errorf("states = %+v, want the last with terraform_data.good", states)
	}
	reported := strings.Join(b.reported(id), "\n")
	if !strings.Contains(reported, "terraform_data.bad failed") || !strings.Contains(reported, "apply failed") {
		t.Errorf("reports:\n%s", reported)
	}
}

func TestAPlanThatFailsIsAnOutcome(t *testing.T) {
	b := newBench(t, `variable "missing" { type = string }
resource "terraform_data" "a" { input = var.missing }`)
	id := b.ask(nil)
	b.start()
	outcome := b.await(id)
	if outcome.Result != "failed" || outcome.Applied || !strings.Contains(outcome.Message+outcome.Detail, "missing") {
		t.Errorf("outcome = %+v", outcome)
	}
}

func TestACancelDuringApplyInterruptsAndKeepsState(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	b.with(id, func(r *fakeRun) { r.cancel = "asked for the wrong one" })
	eventually(t, "Terraform has been interrupted", func() bool {
		var s stop
		ok, _ := directory(b.dir(id)).read(stopFile, &s)
		return ok && !s.Interrupted.IsZero() || b.outcome(id) != nil
	})
	outcome := b.await(id)
	if outcome.Result != "cancelled" || !outcome.Applied || outcome.Message != "asked for the wrong one" {
		t.Errorf("outcome = %+v", outcome)
	}
	states := b.states(id)
	last := strings.Join(states[len(states)-1].Addresses, " ")
	if !strings.Contains(last, "terraform_data.first") || strings.Contains(last, "terraform_data.last") {
		t.Errorf("state has %s", last)
	}
}

func TestACancelWhilePlanningAppliesNothing(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(func(r *fakeRun) { r.cancel = "never mind" })
	b.start()
	outcome := b.await(id)
	if outcome.Result != "cancelled" || outcome.Applied || outcome.Message != "never mind" {
		t.Errorf("outcome = %+v", outcome)
	}
	if exists(b.gate("applied")) {
		t.Error("something was applied")
	}
}

func TestAnApplyThatTakesTooLongIsStopped(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(func(r *fakeRun) { r.claim.ApplyTimeoutSeconds = 1 })
	b.start()
	outcome := b.await(id)
	if outcome.Result != "failed" || !strings.Contains(outcome.Message, "did not finish within 1s") {
		t.Errorf("outcome = %+v", outcome)
	}
}

func TestALostLeaseStopsAPlanAndNoApply(t *testing.T) {
	b := newBench(t, gateModule)
	planning := b.ask(func(r *fakeRun) { r.conflict = true })
	b.start()
	eventually(t, "the run is dropped", func() bool {
		b.mu.Lock()
		renewals := b.calls["renew"] // after the directory was made; it may be wiped before any report is sent
		b.mu.Unlock()
		return renewals > 0 && !exists(b.dir(planning))
	})
	if exists(b.gate("applied")) {
		t.Error("a run that was lost while planning was applied")
	}
	applying := b.ask(nil)
	b.untilSlow()
	b.with(applying, func(r *fakeRun) { r.conflict = true })
	b.mu.Lock()
	renewals := b.calls["renew"]
	b.mu.Unlock()
	eventually(t, "some renewals were refused", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.calls["renew"] > renewals+2
	})
	b.openGate("go")
	if got := b.await(applying); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
}

func TestOneFolderHasOneWorker(t *testing.T) {
	b := newBench(t, gateModule)
	b.start()
	eventually(t, "the first worker has begun", func() bool { return directory(b.site.Root).locked("worker.lock") })
	w, err := b.site.worker(stderrLog())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a second worker = %v, want a Conflict", err)
	}
}

func TestAJobThatCannotBeClaimedNowComesAgain(t *testing.T) {
	b := newBench(t, gateModule)
	b.openGate("go")
	id := b.ask(func(r *fakeRun) { r.busy = 2 })
	b.start()
	if got := b.await(id); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls["nak"] != 2 {
		t.Errorf("the job was put back %d times, want 2", b.calls["nak"])
	}
}

func TestAJobThatComesTwiceIsClaimedOnce(t *testing.T) {
	b := newBench(t, gateModule)
	id := b.ask(nil)
	b.start()
	b.untilSlow()
	b.mu.Lock()
	b.jobs = append(b.jobs, provision.Job{RunID: id})
	b.mu.Unlock()
	eventually(t, "the job is taken again", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.jobs) == 0
	})
	b.openGate("go")
	if got := b.await(id); got.Result != "succeeded" {
		t.Errorf("outcome = %+v", got)
	}
	b.wantOneApply(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls["claim"] != 1 {
		t.Errorf("claimed %d times, want once", b.calls["claim"])
	}
}
