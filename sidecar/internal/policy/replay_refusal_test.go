package policy

import (
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestADenialThatNobodyCouldLiftIsNoDifference(t *testing.T) {
	t.Parallel()
	needs := provision.Finding{
		Rule: "large_database", Level: provision.LevelRequireApproval, Message: "Databases over 500 GB require approval.", Path: "storage_gb",
		Approvers: []string{"group:default/platform-team"}, Count: 1,
	}
	warns := provision.Finding{Rule: "multi_az", Level: provision.LevelWarn, Message: "Turn it on."}
	denied := needs
	denied.Level, denied.Message, denied.Approvers, denied.Count = provision.LevelDeny, needs.Message+" Nobody is there to approve it.", nil, 0
	other := denied
	other.Message = "Databases are denied."

	decide := func(findings ...provision.Finding) decision {
		return decision{outcomeOf(findings), sorted(findings), price{known: true}}
	}
	again := decide(needs, warns)
	if why := refusal(decide(denied, warns), again); why != "Nobody is there to approve it." {
		t.Errorf("refusal = %q", why)
	}
	for name, stored := range map[string]decision{"another denial": decide(other), "the approval itself": again, "nothing": decide()} {
		if why := refusal(stored, again); why != "" {
			t.Errorf("%s is taken for a refusal because %q", name, why)
		}
	}
	refused := again.refuse("Nobody is there to approve it.")
	if refused.outcome != provision.OutcomeDeny || len(differing(refused.findings, decide(warns, denied).findings)) != 0 {
		t.Errorf("refused = %+v", refused)
	}
}
