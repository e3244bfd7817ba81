package policy_test

import (
	"testing"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
)

func TestEveryRegoTestPassesAndEveryLineIsReached(t *testing.T) {
	t.Parallel()
	report, err := policy.RunTests(t.Context(), policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		if !result.Passed {
			t.Errorf("%s:%d: %s did not pass (error: %v)", result.File, result.Line, result.Name, result.Err)
		}
	}
	if report.Coverage < 100 {
		t.Errorf("the Rego tests reach %.1f%% of the rules, want all", report.Coverage)
	}
	t.Logf("%d Rego tests, coverage %.1f%%", len(report.Results), report.Coverage)
}

func TestPoliciesKeepTheHouseRules(t *testing.T) {
	t.Parallel()
	faults, err := policy.Lint(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}
