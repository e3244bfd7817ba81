package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// markedModule remembers when it was planned.
const markedModule = `
variable "secret" {
  type    = string
  default = "none"
}
variable "roadbed" { type = any }
resource "terraform_data" "stamp" {
  input = { planned = plantimestamp(), secret = sensitive(var.secret), setting = lookup(var.roadbed.settings, "size", "") }
}
output "planned" { value = nonsensitive(terraform_data.stamp.output.planned) }
`

// untilKept is the sealed plan of a run that was told to wait, once its
// directory is wiped.
func (b *bench) untilKept(id uuid.UUID) (sealed []byte) {
	b.t.Helper()
	eventually(b.t, "the plan is kept and the run's directory wiped", func() bool {
		b.with(id, func(r *fakeRun) { sealed = r.kept })
		return sealed != nil && !exists(b.dir(id))
	})
	return sealed
}

// goesOn asks for a run of the same request, whose plan has been approved.
func (b *bench) goesOn(waited uuid.UUID, sealed []byte, change func(*fakeRun)) uuid.UUID {
	b.t.Helper()
	var before provision.Claim
	b.with(waited, func(r *fakeRun) { before = r.claim })
	return b.ask(func(r *fakeRun) {
		r.claim.RequestID, r.claim.InstanceID = before.RequestID, before.InstanceID
		sum := sha256.Sum256(sealed)
		r.kept, r.claim.PlanDigest = sealed, hex.EncodeToString(sum[:])
		if change != nil {
			change(r)
		}
	})
}

func (b *bench) logged(id uuid.UUID) string {
	var text strings.Builder
	b.with(id, func(r *fakeRun) {
		for n := int64(1); n <= int64(len(r.logs)); n++ {
			text.WriteString(r.logs[n] + "\n")
		}
	})
	return text.String()
}

// sealedParameter is a parameter as the sidecar sends it.
func (b *bench) sealedParameter(text string) map[string]any {
	b.t.Helper()
	plain, _ := json.Marshal(text) // a string always encodes
	sealed, err := seal([]string{b.identity.Recipient().String()}, plain)
	if err != nil {
		b.t.Fatal(err)
	}
	return map[string]any{"sealed": sealed}
}

func TestThePlanThatWasApprovedIsTheOneApplied(t *testing.T) {
	b := newBench(t, markedModule)
	secret := b.sealedParameter("canary-parameter")
	withSecret := func(r *fakeRun) { r.claim.Parameters = provision.Parameters{"secret": secret} }
	first := b.ask(func(r *fakeRun) { withSecret(r); r.wait = true })
	b.start()
	sealed := b.untilKept(first)
	if b.outcome(first) != nil {
		t.Errorf("a run that waits has outcome %+v", b.outcome(first))
	}
	if !strings.Contains(b.logged(first), "The plan waits for approval.") {
		t.Errorf("the log does not say that it waits:\n%s", b.logged(first))
	}
	for _, clear := range []string{"canary-parameter", "terraform_data", "planned"} {
		if strings.Contains(string(sealed), clear) {
			t.Errorf("the kept plan shows %q", clear)
		}
	}
	var planned any
	b.with(first, func(r *fakeRun) { planned = r.plans[0][0].After["input"].(map[string]any)["planned"] })

	second := b.goesOn(first, sealed, withSecret)
	outcome := b.await(second)
	if outcome.Result != provision.ResultSucceeded || outcome.Outputs["planned"] != planned {
		t.Errorf("outcome = %+v, want success of what was planned at %v", outcome, planned)
	}
	if !strings.Contains(b.logged(second), "The plan that was approved is used as it is.") {
		t.Errorf("the log:\n%s", b.logged(second))
	}
	b.with(second, func(r *fakeRun) {
		if len(r.plans[0]) != 1 || r.plans[0][0].Action != "create" || strings.Contains(mustJSON(t, r.plans), "canary") {
			t.Errorf("it asked again about %+v, want the plan that was approved, without secrets", r.plans)
		}
	})
	b.noSecretLeft(second)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAPlanThatDoesNotFitAnyMoreIsMadeAnew(t *testing.T) {
	b := newBench(t, markedModule)
	b.start()
	made := b.ask(nil)
	if got := b.await(made); got.Result != provision.ResultSucceeded {
		t.Fatalf("create = %+v", got)
	}
	var head provision.StateVersion
	b.with(made, func(r *fakeRun) { head = r.pushes[len(r.pushes)-1] })
	destroy := func(r *fakeRun) { r.head, r.claim.Action = &head, provision.Destroy }
	waiting := b.ask(func(r *fakeRun) { destroy(r); r.wait = true })
	sealed := b.untilKept(waiting)

	tests := map[string]struct {
		change func(*fakeRun)
		why    string
	}{
		"the state has moved": {func(r *fakeRun) {
			moved := b.moved(head)
			r.head = &moved
		}, "the state has moved since"},
		"the settings have changed": {func(r *fakeRun) { r.claim.Environment.Settings = map[string]string{"size": "2"} }, "the environment's settings have changed since"},
		"another plan lies there":   {func(r *fakeRun) { r.claim.PlanDigest = strings.Repeat("0", 64) }, "it is not the one that was approved"},
		"none lies there":           {func(r *fakeRun) { r.kept = nil }, "it is not kept any more"},
		"it is torn":                {func(r *fakeRun) { r.kept = b.torn(); r.claim.PlanDigest = digest(r.kept) }, "Terraform cannot read it"},
		"nobody can open it":        {func(r *fakeRun) { r.kept = []byte("not age"); r.claim.PlanDigest = digest(r.kept) }, "it cannot be opened with this pool's key"},
	}
	for name, tt := range tests {
		id := b.goesOn(waiting, sealed, func(r *fakeRun) { destroy(r); tt.change(r) })
		if got := b.await(id); got.Result != provision.ResultSucceeded {
			t.Errorf("%s: outcome = %+v, want success by a new plan", name, got)
		}
		if log := b.logged(id); !strings.Contains(log, tt.why) || !strings.Contains(log, "Planning anew") {
			t.Errorf("%s: the log does not say %q:\n%s", name, tt.why, log)
		}
	}
	id := b.goesOn(waiting, sealed, destroy)
	if got := b.await(id); got.Result != provision.ResultSucceeded || strings.Contains(b.logged(id), "Planning anew") {
		t.Errorf("with nothing changed: outcome = %+v, log\n%s", got, b.logged(id))
	}
}

// moved is a state as somebody else has changed it.
func (b *bench) moved(version provision.StateVersion) provision.StateVersion {
	b.t.Helper()
	raw, err := opener(b.identity)(version.Sealed)
	if err != nil {
		b.t.Fatal(err)
	}
	var state map[string]any
	if err := json.Unmarshal(raw, &state); err != nil {
		b.t.Fatal(err)
	}
	version.Serial++
	state["serial"] = version.Serial
	raw, _ = json.Marshal(state) // it came from JSON
	if version.Sealed, err = seal([]string{b.identity.Recipient().String()}, raw); err != nil {
		b.t.Fatal(err)
	}
	return version
}

// torn is a kept plan that fits and that Terraform cannot read.
func (b *bench) torn() []byte {
	b.t.Helper()
	var kept keptPlan
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, run := range b.runs {
		if run.kept == nil || !run.wait {
			continue
		}
		plain, err := opener(b.identity)(run.kept)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := json.Unmarshal(plain, &kept); err != nil {
			b.t.Fatal(err)
		}
	}
	kept.Plan = kept.Plan[:len(kept.Plan)/2]
	plain, _ := json.Marshal(kept) // it came from JSON
	sealed, err := seal([]string{b.identity.Recipient().String()}, plain)
	if err != nil {
		b.t.Fatal(err)
	}
	return sealed
}

func TestAPlanWhoseKeepingWasNotConfirmedIsKept(t *testing.T) {
	b := newBench(t, markedModule)
	id := b.ask(func(r *fakeRun) { r.wait, r.deaf = true, true })
	b.start()
	b.untilKept(id)
	if b.outcome(id) != nil {
		t.Errorf("a run that waits has outcome %+v", b.outcome(id))
	}
}

func TestAPlanThatCouldNotBeKeptIsKeptByTheNextWorker(t *testing.T) {
	b := newBench(t, markedModule)
	id := b.ask(func(r *fakeRun) { r.wait, r.stuck = true, true })
	stop := b.start()
	eventually(t, "the plan could not be kept", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.calls["keep"] > 1
	})
	stop()
	b.with(id, func(r *fakeRun) { r.stuck = false })
	b.start()
	b.untilKept(id)
	b.with(id, func(r *fakeRun) {
		if len(r.plans) < 2 || !cmp.Equal(r.plans[0], r.plans[len(r.plans)-1]) {
			t.Errorf("it asked about %+v, want the same plan again", r.plans)
		}
	})
}
