package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// approvals are plans in staging of 550, 560 … dollars that wait for the platform
// team by the bundle's word.
func approvals(t *testing.T, bundle *policy.Bundle, n int) []provision.Past {
	t.Helper()
	past := make([]provision.Past, n)
	for i := range past {
		ceiling := provision.Money(550_000 + i*10_000)
		input := postgres("staging", ceiling)
		input.Stage = provision.StagePlan
		findings, digest, err := bundle.Findings(t.Context(), input)
		if err != nil {
			t.Fatal(err)
		}
		document, err := json.Marshal(input)
		if err != nil {
			t.Fatal(err)
		}
		approval := &provision.Approval{
			Needed: []provision.ApprovalNeed{{Approvers: []string{"group:default/platform-team"}, Count: 1}}, Planned: true, Ceiling: &ceiling,
		}
		for _, f := range findings {
			if f.Level != provision.LevelInfo {
				approval.Found = append(approval.Found, fmt.Sprintf("%s %s %s", f.Level, f.Rule, f.Path))
			}
		}
		past[i] = provision.Past{
			Kind: provision.PastApproval, RequestID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)), Stage: provision.StagePlan,
			Outcome: provision.OutcomeRequireApproval, Findings: findings, BundleDigest: digest, PricesDigest: pricesDigest,
			OfferingDigest: "sha256:o", Input: document, Approval: approval,
		}
	}
	return past
}

func TestReplaySaysWhichApprovalsACandidateWouldVoid(t *testing.T) {
	t.Parallel()
	current := builtIn(t)
	past := approvals(t, current, 10) // 550, 560 … 640
	replaced := func(old, new string) func(fstest.MapFS) {
		return func(files fstest.MapFS) {
			text := string(files["data/limits.yaml"].Data)
			if !strings.Contains(text, old) {
				t.Fatalf("limits.yaml does not hold %q", old)
			}
			files["data/limits.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, old, new))}
		}
	}
	tests := map[string]struct {
		change                 func(fstest.MapFS)
		denied, anew, unneeded int64
		rule, message          string
	}{
		"nothing":              {func(fstest.MapFS) {}, 0, 0, 0, "", ""},
		"an end to approvals":  {replaced("staging: require_approval", "staging: deny"), 10, 0, 0, "cost_limit", "$500/month"},
		"a ceiling":            {replaced("ceilings: {}", "ceilings: {staging: 600}"), 4, 0, 0, "cost_limit", "$610.00"},
		"more people":          {replaced("count: 1}", "count: 2}"), 0, 10, 0, "cost_limit", "2 of platform-team"},
		"other people":         {replaced("approvers: {groups: [group:default/platform-team]", "approvers: {groups: [group:default/finance]"), 0, 10, 0, "cost_limit", "approval by finance"},
		"a higher limit":       {replaced("staging: 500, prod: 10000", "staging: 600, prod: 10000"), 0, 0, 6, "cost_limit", ""},
		"a warning that is no": {replaced("monthly: 200", "monthly: 100000"), 0, 0, 0, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := replay(t, past, policy.ReplayOptions{Baseline: side(current), Candidate: side(changed(t, tt.change))})
			got := report.Approvals
			if got.Decided != 10 || got.Denied.Count != tt.denied || got.Anew.Count != tt.anew || got.Unneeded.Count != tt.unneeded || got.Count() != tt.denied+tt.anew {
				t.Fatalf("%d decided: %d denied, %d asked anew, %d unneeded; want 10: %d, %d, %d", got.Decided, got.Denied.Count, got.Anew.Count, got.Unneeded.Count, tt.denied, tt.anew, tt.unneeded)
			}
			if report.Undecided != 0 || report.History.Decided != 0 || report.Fleet.Decided != 0 {
				t.Errorf("undecided %d, verdicts %d, instances %d; want none", report.Undecided, report.History.Decided, report.Fleet.Decided)
			}
			for _, group := range []policy.Group{got.Denied, got.Anew, got.Unneeded} {
				if group.Count == 0 {
					continue
				}
				if len(group.Rules) != 1 || group.Rules[0].Name != tt.rule || group.Rules[0].Count != group.Count {
					t.Errorf("by rule: %+v", group.Rules)
				}
				if !strings.Contains(group.Examples[0].Message, tt.message) {
					t.Errorf("for example %q, want %q in it", group.Examples[0].Message, tt.message)
				}
			}
		})
	}
}

func TestReplayVoidsApprovalsAboveTheirPrice(t *testing.T) {
	t.Parallel()
	current := builtIn(t)
	past := append([]provision.Past{{Kind: provision.PastOffering, OfferingDigest: "sha256:o", Offering: &provision.Offering{ID: "postgres-database"}}}, approvals(t, current, 3)...)
	gb, err := provision.ParseMoney("5.65")
	if err != nil {
		t.Fatal(err)
	}
	dearer := side(changed(t, func(files fstest.MapFS) {
		files["data/prices.yaml"] = &fstest.MapFile{Data: append(slices.Clone(files["data/prices.yaml"].Data), "\n# dearer\n"...)}
	}))
	dearer.Prices, dearer.PricesDigest = flat{gb}, "sha256:dearer" // postgres() has 100 GB: $565
	report := replay(t, past, policy.ReplayOptions{Baseline: side(current), Candidate: dearer})
	if got := report.Approvals; got.Decided != 3 || got.Anew.Count != 2 || got.Count() != 2 || !strings.Contains(got.Anew.Examples[0].Message, "$565.00") {
		t.Errorf("%d decided, %d asked anew: %+v; want those of $550 and $560", got.Decided, got.Anew.Count, got.Anew.Examples)
	}
	if !slices.ContainsFunc(report.Approvals.Anew.Teams, func(s policy.Share) bool { return s.Count == 2 }) {
		t.Errorf("by team: %+v", report.Approvals.Anew.Teams)
	}
}
