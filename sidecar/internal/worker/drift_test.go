package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const checkedModule = `
variable "text" { type = string }
variable "secret" { type = string }
output "secret" {
  value     = var.secret
  sensitive = true
}
resource "terraform_data" "echo" { input = { text = var.text, secret = sensitive(var.secret) } }
`

// checked has the worker make one drift check and answers what it found.
func (b *bench) checked(check provision.Check) provision.Checked {
	b.t.Helper()
	b.mu.Lock()
	before := len(b.found)
	b.sidecar.check = &check
	b.mu.Unlock()
	var found provision.Checked
	eventually(b.t, "the check is made", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.found) == before {
			return false
		}
		found = b.found[before]
		return true
	})
	return found
}

// measureSecret counts the bytes of the secret that the instance's outputs have.
func measureSecret(_ context.Context, rule provision.ActivityRule, _ provision.Environment, outputs map[string]any, _ map[string]string) (provision.Reading, error) {
	if rule.Kind != "sql" {
		return provision.Reading{}, provision.Errorf(provision.Unavailable, "the server is away")
	}
	secret, _ := outputs["secret"].(string)
	return provision.Reading{Current: float64(len(secret))}, nil
}

func TestDriftCheckReadsOnly(t *testing.T) {
	b := newBench(t, checkedModule)
	parameters := provision.Parameters{"text": "one", "secret": b.sealedParameter("canary-parameter")}
	id := b.ask(func(r *fakeRun) { r.claim.Parameters = parameters })
	b.start()
	if got := b.await(id); got.Result != "succeeded" {
		t.Fatalf("create = %+v", got)
	}
	pushes := len(b.states(id))
	var claim provision.Claim
	b.with(id, func(run *fakeRun) {
		claim = run.claim
		b.sidecar.state = run.pushes[len(run.pushes)-1].Sealed
	})
	check := provision.Check{
		InstanceID: claim.InstanceID, ShortID: claim.ShortID, RequestID: claim.RequestID, Token: "token-of-the-check", LeaseSeconds: 60,
		Offering: claim.Offering, OfferingDigest: claim.OfferingDigest, Implementation: claim.Implementation, Environment: claim.Environment,
		Name: claim.Name, Owner: claim.Owner, Parameters: parameters,
	}
	for range 3 {
		if found := b.checked(check); found.Failure != "" || len(found.Changes) > 0 || len(found.Drifted) > 0 {
			t.Errorf("of what is as it was asked for a check says %+v", found)
		}
	}
	measured := check
	measured.Activity = &provision.ActivityRule{Kind: "sql"}
	if found := b.checked(measured); found.Activity == nil || found.Activity.Current != float64(len("canary-parameter")) || found.Failure != "" {
		t.Errorf("with activity to be measured a check says %+v", found.Activity)
	}
	measured.Activity, measured.Parameters = &provision.ActivityRule{Kind: "other"}, provision.Parameters{"text": "${"}
	if found := b.checked(measured); found.Activity == nil || found.Activity.Failure != "the server is away" || found.Failure == "" {
		t.Errorf("with neither a plan nor a server a check says %+v", found)
	}
	changed := check
	changed.Parameters = provision.Parameters{"text": "two", "secret": parameters["secret"]}
	found := b.checked(changed)
	if found.Failure != "" || len(found.Changes) != 1 || found.Changes[0].Action != "update" {
		t.Errorf("of what would be planned anew a check says %+v", found)
	}
	if shown := fmt.Sprint(found.Changes); strings.Contains(shown, "canary") {
		t.Errorf("a check shows a secret: %s", shown)
	}
	b.sidecar.mu.Lock()
	b.sidecar.state = []byte("not sealed for this pool")
	b.sidecar.mu.Unlock()
	if found := b.checked(check); !strings.Contains(found.Failure, "cannot be opened with this pool's key") {
		t.Errorf("with a state that cannot be opened a check says %+v", found)
	}
	left, err := os.ReadDir(filepath.Join(b.site.Root, "checks"))
	if err != nil || len(left) != 0 {
		t.Errorf("checks left %v (%v)", left, err)
	}
	b.with(id, func(run *fakeRun) {
		if len(run.plans) != 1 || len(run.reports) == 0 {
			t.Errorf("checks had %d plans judged", len(run.plans)-1)
		}
	})
	if got := len(b.states(id)); got != pushes {
		t.Errorf("checks pushed %d states", got-pushes)
	}
}
