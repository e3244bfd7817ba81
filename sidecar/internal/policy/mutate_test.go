package policy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// fixture is a small bundle whose tests notice every change.
func fixture() fstest.MapFS {
	return fstest.MapFS{
		"data/prices.yaml": file("prices: {small: 1}"),
		"data/limits.yaml": file(
			"size:", // 1
			"  most: 10",
			"  except: [lab]",
			"unread: 7"),
		"guardrails/size.rego": file(
			"package roadbed.guardrails.size", // 1
			"",
			"findings contains finding if {",
			`	input.action == "create"`,
			"	not input.environment in data.limits.size.except",
			"	input.size > data.limits.size.most",
			"	_cost(input.size) >= 22",
			"",
			"	finding := {",
			`		"rule": "size",`, // 10
			`		"message": sprintf("%d is over %d", [input.size, data.limits.size.most]),`,
			"	}",
			"}",
			"",
			"_cost(n) := 2 * n if {",
			"	n < 100",
			"} else := 0"),
		"guardrails/size_test.rego": file(
			"package roadbed.guardrails.size_test",
			"import data.roadbed.guardrails.size",
			"",
			`_at(n) := {"action": "create", "environment": "dev", "size": n}`,
			"",
			`test_over if size.findings == {{"rule": "size", "message": "11 is over 10"}} with input as _at(11)`,
			`test_far_over if count(size.findings) == 1 with input as _at(99)`,
			`test_at if size.findings == set() with input as _at(11) with data.limits.size.most as 11`,
			`test_cheap if size.findings == set() with input as _at(10.5) with data.limits.size.most as 3`,
			`test_huge if size.findings == set() with input as _at(100)`,
			`test_cost if size._cost(99) == 198`,
			`test_no_cost if size._cost(100) == 0`,
			`test_lab if size.findings == set() with input as _at(11) with input.environment as "lab"`,
			`test_destroy if size.findings == set() with input as _at(11) with input.action as "destroy"`),
	}
}

func mutate(t *testing.T, files fstest.MapFS, o policy.MutateOptions) *policy.MutationReport {
	t.Helper()
	report, err := policy.Mutate(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func survivors(r *policy.MutationReport) []string {
	lines := []string{}
	for _, s := range r.Survivors {
		lines = append(lines, s.String())
	}
	return lines
}

func TestMutateFindsNothingInStrongTests(t *testing.T) {
	t.Parallel()
	report := mutate(t, fixture(), policy.MutateOptions{})
	if diff := cmp.Diff([]string{}, survivors(report)); diff != "" {
		t.Errorf("survivors of strong tests (-want +got):\n%s", diff)
	}
	if report.Mutants < 25 || report.Killed != report.Mutants || report.Score() != 100 {
		t.Errorf("%d mutants, %d killed, score %v; want at least 25, all killed", report.Mutants, report.Killed, report.Score())
	}
}

func TestMutateFindsWhatWeakTestsMiss(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		drop string // the start of the test that is taken away
		want []string
	}{
		"at the limit": {"test_at", []string{
			"guardrails/size.rego:6: comparison: > becomes >=",
			"guardrails/size.rego:6: branch: without: input.size > data.limits.size.most",
		}},
		"without the cost": {"test_cheap", []string{
			"guardrails/size.rego:7: threshold: 22 becomes 21",
		}},
		"without the exception": {"test_lab", []string{
			"data/limits.yaml:3: text: size.except.0: lab becomes lab~",
			"guardrails/size.rego:5: branch: without: not input.environment in data.limits.size.except",
		}},
		"without another action": {"test_destroy", []string{
			`guardrails/size.rego:4: branch: without: input.action == "create"`,
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fixture()
			var kept []string
			for _, line := range strings.Split(string(files["guardrails/size_test.rego"].Data), "\n") {
				if !strings.HasPrefix(line, tt.drop+" ") {
					kept = append(kept, line)
				}
			}
			files["guardrails/size_test.rego"] = file(kept...)
			if diff := cmp.Diff(tt.want, survivors(mutate(t, files, policy.MutateOptions{}))); diff != "" {
				t.Errorf("survivors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMutateOfOneRuleAndWhatItReads(t *testing.T) {
	t.Parallel()
	files := fixture()
	files["guardrails/other.rego"] = file("package roadbed.guardrails.other", "", `findings contains {"rule": "other"} if input.other > 3`)
	report := mutate(t, files, policy.MutateOptions{Rule: "size"})
	if len(report.Survivors) != 0 {
		t.Errorf("survivors %v, want none of the untested other rule", survivors(report))
	}
	if report = mutate(t, files, policy.MutateOptions{Rule: "other"}); len(report.Survivors) < 4 || report.Killed > 0 {
		t.Errorf("%d of the untested rule's changes were killed, %v survive", report.Killed, survivors(report))
	}
	if _, err := policy.Mutate(t.Context(), files, policy.MutateOptions{Rule: "absent"}); err == nil {
		t.Error("a rule that does not exist was changed")
	}
}

func TestMutateRefusesTestsThatFail(t *testing.T) {
	t.Parallel()
	files := fixture()
	replace(files, "guardrails/size_test.rego", "11 is over 10", "12 is over 10")
	if _, err := policy.Mutate(t.Context(), files, policy.MutateOptions{}); err == nil || !strings.Contains(err.Error(), "test_over") {
		t.Errorf("error = %v, want the test that fails", err)
	}
}

func TestMutateStopsWithItsBudget(t *testing.T) {
	t.Parallel()
	report := mutate(t, fixture(), policy.MutateOptions{Budget: time.Nanosecond})
	if report.Untried == 0 || report.Killed != 0 || len(report.Survivors) != 0 {
		t.Errorf("report = %+v, want everything untried", report)
	}
}

func TestMutateSaysWhatOnlyThePastNotices(t *testing.T) {
	t.Parallel()
	files := shipped(t)
	replace(files, "guardrails/backup_retention_test.rego", "test_exactly_at_the_minimum_is_allowed if {\n\tbackup_retention.findings == set() with input as _in(\"prod\", 7)",
		"test_exactly_at_the_minimum_is_allowed if {\n\ttrue")
	const change = "guardrails/backup_retention.rego:36: comparison: >= becomes >"
	for name, tt := range map[string]struct {
		days int64
		want bool
	}{
		"an ask at the limit":         {7, true},
		"an ask far inside the limit": {30, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input, err := json.Marshal(postgres("prod", 1000, with("backup_retention_days", tt.days), with("multi_az", true)))
			if err != nil {
				t.Fatal(err)
			}
			report := mutate(t, files, policy.MutateOptions{Rule: "backup_retention", Inputs: []json.RawMessage{input}})
			for _, s := range report.Survivors {
				if s.String() == change && s.InHistory == tt.want {
					return
				}
			}
			t.Errorf("%q in history %v is not among %+v", change, tt.want, report.Survivors)
		})
	}
}

func TestMutateTheShippedPolicies(t *testing.T) {
	t.Parallel()
	report, err := policy.Mutate(t.Context(), policies.FS, policy.MutateOptions{Budget: 25 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d mutants, %d killed, score %.1f %%, %s", report.Mutants, report.Killed, report.Score(), report.Took)
	for _, s := range report.Survivors {
		t.Log(s)
		if strings.Contains(s.Change, "display_order") {
			t.Errorf("%s: no rule reads it, so no test could notice", s)
		}
	}
	if report.Untried > 0 || report.Score() < 90 {
		t.Errorf("score %.1f %% with %d untried, want 90 %% and none", report.Score(), report.Untried)
	}
}

func TestFiringsFindRulesThatNeverDecide(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	verdict := func(input provision.RuleInput) provision.Past {
		document, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		return provision.Past{Kind: provision.PastVerdict, Input: document}
	}
	past := []provision.Past{
		verdict(postgres("dev", 171000, with("storage_gb", 501))), // too dear and too large
		verdict(postgres("dev", 171000)),
		verdict(postgres("dev", 1000, func(in *provision.RuleInput) { in.CostCenter = "" })),
		{Kind: provision.PastVerdict},
		{Kind: provision.PastInstance},
	}
	report, err := bundle.Firings(t.Context(), each(past))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]policy.Firing{}
	for _, firing := range report.Rules {
		if firing.Stopped > 0 {
			got[firing.Rule] = firing
		}
	}
	want := map[string]policy.Firing{
		"cost_limit":     {Rule: "cost_limit", Fired: 2, Stopped: 2},
		"large_database": {Rule: "large_database", Fired: 1, Stopped: 1, ShadowedBy: "cost_limit"},
		"cost_center":    {Rule: "cost_center", Fired: 1, Stopped: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" || report.Decided != 3 || report.Undecided != 1 || len(report.Rules) != len(bundle.Rules()) {
		t.Errorf("firings %+v (-want +got):\n%s", report, diff)
	}
}
