package provision_test

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestAStepIsCompleteWithWhatThePlanChanges has a step of three resources, of
// which a plan changes one and makes two of another: an offering names those of
// every implementation, and an update touches few.
func TestAStepIsCompleteWithWhatThePlanChanges(t *testing.T) {
	t.Parallel()
	record := testkit.Created("orders", nil)
	record.Request.Steps[2].Addresses = []string{"terraform_data.database", "aws_db_instance.main", "terraform_data.rule"}
	planned := provision.Planned{Verdict: testkit.Verdict(), Changes: []provision.Change{
		{Address: "terraform_data.database", Action: "no-op"},
		{Address: `terraform_data.rule["a"]`, Action: "create"},
		{Address: `terraform_data.rule["b"]`, Action: "create"},
		{Address: "terraform_data.user", Action: "update"},
	}}
	l := begin(t, record).must(dispatch).must(claim("w1")).must(func(r *provision.Record) error {
		_, err := r.Decide(planned)
		return err
	})
	for _, tt := range []struct {
		address, details string
		status           provision.StepStatus
	}{
		{`terraform_data.rule["a"]`, "1 of 2 resources", provision.StepInProgress},
		{`terraform_data.rule["b"]`, "", provision.StepCompleted},
	} {
		l.must(address(tt.address, "completed"))
		if step := l.record.Request.Steps[2]; step.Status != tt.status || step.Details != tt.details {
			t.Errorf("after %s the step is %s (%q), want %s (%q)", tt.address, step.Status, step.Details, tt.status, tt.details)
		}
	}
}
