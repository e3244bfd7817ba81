package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// granted is data/exemptions.yaml with these exemptions, each one line of YAML.
func granted(exemptions ...string) *fstest.MapFile {
	lines := []string{"never: [budget, unpriced, team_owner]"}
	if len(exemptions) == 0 {
		lines = append(lines, "exemptions: []")
	} else {
		lines = append(lines, "exemptions:")
	}
	for _, e := range exemptions {
		lines = append(lines, "  - {"+e+"}")
	}
	return file(lines...)
}

const loadTest = `rule: cost_limit, owner: "group:default/payments", environment: dev, from: 2026-11-01, until: 2026-12-01, granted_by: "user:default/pat", reason: the load test`

func TestAnExemptionTurnsADenialIntoANoteAtEveryStageUntilItEnds(t *testing.T) {
	t.Parallel()
	files := tree(t)
	files["data/exemptions.yaml"] = granted(loadTest)
	bundle, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range []provision.Stage{provision.StageForm, provision.StageSubmit, provision.StageQueue, provision.StagePlan} {
		for at, want := range map[string]provision.Level{"2026-11-30T23:59:59Z": provision.LevelInfo, "2026-12-01T00:00:00Z": provision.LevelDeny} {
			in := dear(t, at)
			in.Stage = stage
			findings, _, err := bundle.Findings(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if len(findings) != 1 || findings[0].Rule != "cost_limit" || findings[0].Level != want {
				t.Errorf("at stage %s, %s: findings %+v, want one of cost_limit at level %s", stage, at, findings, want)
			}
			if want == provision.LevelInfo && (findings[0].Exemption == nil || *findings[0].Exemption != provision.Exempted{Until: "2026-12-01", GrantedBy: "user:default/pat", Reason: "the load test"}) {
				t.Errorf("the finding's exemption is %+v, want who, why and until when", findings[0].Exemption)
			}
		}
	}
}

// dear is an ask in dev above its limit.
func dear(t *testing.T, at string) provision.RuleInput {
	t.Helper()
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	return provision.RuleInput{
		Stage: provision.StageSubmit, Action: provision.Create, Subject: provision.RuleSubject{Ref: "user:default/ann"},
		Offering: provision.RuleOffering{ID: "postgres-database", Category: "databases"}, Environment: provision.Environment{Name: "dev"},
		Name: "orders", Owner: "group:default/payments", CostCenter: "CC-1234", Parameters: provision.Parameters{"storage_gb": 100},
		Price: provision.RulePrice{Known: true, MonthlyMills: 171 * provision.Dollar, Items: map[string]int64{}}, At: when,
	}
}

func TestLoadRefusesExemptionsThatAreNotDatedOwnedAndNarrow(t *testing.T) {
	t.Parallel()
	const rest = `environment: dev, from: 2026-11-01, until: 2026-12-01, granted_by: pat, reason: it must`
	tests := map[string]struct{ exemption, want string }{
		"no end":             {`rule: multi_az, environment: dev, from: 2026-11-01, granted_by: pat, reason: it must`, "has no until"},
		"no beginning":       {`rule: multi_az, environment: dev, until: 2026-12-01, granted_by: pat, reason: it must`, "has no from"},
		"nobody's word":      {`rule: multi_az, environment: dev, from: 2026-11-01, until: 2026-12-01, reason: it must`, "has no granted_by"},
		"no reason":          {`rule: multi_az, environment: dev, from: 2026-11-01, until: 2026-12-01, granted_by: pat`, "has no reason"},
		"for everyone":       {`rule: multi_az, from: 2026-11-01, until: 2026-12-01, granted_by: pat, reason: it must`, "would be for everyone"},
		"181 days":           {`rule: multi_az, environment: dev, from: 2026-01-01, until: 2026-07-01, granted_by: pat, reason: it must`, "lasts longer than 180 days; end it by 2026-06-30"},
		"ends first":         {`rule: multi_az, environment: dev, from: 2026-12-01, until: 2026-12-01, granted_by: pat, reason: it must`, "before it begins"},
		"a budget":           {"rule: budget, " + rest, "nobody is exempt from"},
		"an unpriced ask":    {"rule: unpriced, " + rest, "nobody is exempt from"},
		"an ask of nobody's": {"rule: team_owner, " + rest, "nobody is exempt from"},
		"a rule misspelt":    {"rule: multi_azs, " + rest, "is of no rule that there is"},
		"a bare owner":       {"rule: multi_az, owner: payments, " + rest, `has owner "payments"`},
		"an unknown field":   {"rule: multi_az, team: payments, " + rest, `has the field "team"`},
		"no date":            {`rule: multi_az, environment: dev, from: soon, until: 2026-12-01, granted_by: pat, reason: it must`, `has from "soon"`},
		"an hour":            {`rule: multi_az, environment: dev, from: 2026-11-01, until: 2026-12-01T10:00:00Z, granted_by: pat, reason: it must`, "write a day"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := tree(t)
			files["data/exemptions.yaml"] = granted(tt.exemption)
			_, err := policy.Load(files)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load with {%s} = %v, want an error with %q", tt.exemption, err, tt.want)
			}
		})
	}
	files := tree(t)
	files["data/exemptions.yaml"] = granted("rule: multi_az, environment: dev", "rule: budget, "+rest)
	_, err := policy.Load(files)
	for _, want := range []string{"exemption 1 (multi_az) has no from", "exemption 1 (multi_az) has no until", "exemption 1 (multi_az) has no granted_by", "exemption 2 (budget)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load = %v, want every fault at once, %q too", err, want)
		}
	}
	files["data/exemptions.yaml"] = granted("rule: freeze, "+rest, "rule: multi_az, environment: dev, from: 2026-01-01, until: 2026-06-30, granted_by: pat, reason: it must")
	if _, err := policy.Load(files); err != nil {
		t.Errorf("Load with an exemption from a freeze and one of 180 days: %v, want both taken", err)
	}
}

func TestExemptionsAreListedAsTheyStandAndExpiredOnesHaveNoEffect(t *testing.T) {
	t.Parallel()
	files := tree(t)
	const more = `rule: multi_az, environment: prod, granted_by: pat, reason: it must, `
	files["data/exemptions.yaml"] = granted(more+"from: 2026-01-01, until: 2026-02-01", more+"from: 2027-01-01, until: 2027-02-01", loadTest)
	bundle, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	all, err := bundle.Exemptions(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var states []provision.ExemptionState
	for _, e := range all {
		states = append(states, e.State)
	}
	if len(states) != 3 || states[0] != provision.ExemptionActive || states[1] != provision.ExemptionPlanned || states[2] != provision.ExemptionExpired || all[0].Rule != "cost_limit" {
		t.Errorf("exemptions %+v, want the active, the planned, the expired", all)
	}
	on := func(day int) provision.ExemptionState {
		all, _ := bundle.Exemptions(time.Date(2026, 12, day, 0, 0, 0, 0, time.UTC))
		for _, e := range all {
			if e.Rule == "cost_limit" {
				return e.State
			}
		}
		return ""
	}
	if on(0) != provision.ExemptionActive || on(1) != provision.ExemptionExpired {
		t.Errorf("the day before until it is %s, on it %s; want active and expired", on(0), on(1))
	}
}
