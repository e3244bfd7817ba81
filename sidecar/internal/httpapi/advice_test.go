package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestAVerdictWhileSomeoneTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	evaluate := func(p provision.Parameters) (api.Verdict, error) {
		return r.as(ann).Ask(t.Context(), "postgres-database", api.Evaluation{Parameters: p, Partial: true})
	}

	verdict, err := evaluate(provision.Parameters{"database_name": "", "team_owner": nil, "environment": "dev"})
	if err != nil {
		t.Fatal(err)
	}
	if !verdict.Allowed || len(verdict.Findings) != 0 || verdict.Estimate.MonthlyCost != 85_500 || verdict.Advice != nil {
		t.Errorf("an empty form is %+v, want allowed without findings at $85.50", verdict)
	}
	want := &provision.Allowance{Limit: 100_000, Left: 14_500, Scope: "dev"}
	if diff := cmp.Diff(want, verdict.Allowance); diff != "" {
		t.Errorf("allowance (-want +got):\n%s", diff)
	}

	if verdict, err = evaluate(provision.Parameters{"multi_az": true}); err != nil || verdict.Allowed || verdict.Allowance.Left != -71_000 {
		t.Errorf("multi-AZ alone is %+v, %v; want a denial $71.00 over the limit", verdict, err)
	}

	_, err = evaluate(provision.Parameters{"database_name": "UPPER", "storage_gb": 5, "colour": "red"})
	shown := kindOf(t, err, provision.Invalid)
	paths := []string{}
	for _, fault := range shown.Details {
		paths = append(paths, fault.Path)
	}
	if got := strings.Join(paths, " "); len(paths) != 3 || strings.Contains(got, "team_owner") {
		t.Errorf("faults are at %q, want the three that are given and wrong", got)
	}
	_, err = evaluate(provision.Parameters{"environment": "prod"}) // of the offering, but not of this sidecar
	if shown := kindOf(t, err, provision.Invalid); len(shown.Details) != 1 || shown.Details[0].Path != "/environment" {
		t.Errorf("details = %+v, want the environment", shown.Details)
	}
	_, err = evaluate(provision.Parameters{"team_owner": "search"})
	kindOf(t, err, provision.Denied)
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	large := provision.Parameters{"environment": "dev", "multi_az": true}
	verdict, err := r.as(ann).Ask(t.Context(), "postgres-database", api.Evaluation{Parameters: large, Partial: true, Advise: true})
	if err != nil {
		t.Fatal(err)
	}
	advice := verdict.Advice
	wantRange := provision.Range{Spans: []provision.Span{}, Values: []any{false}}
	if diff := cmp.Diff(wantRange, advice.Ranges["multi_az"]); diff != "" {
		t.Errorf("multi_az may be (-want +got):\n%s", diff)
	}
	for _, fixed := range []string{"database_name", "environment", "team_owner", "cost_center", "custom_parameters"} {
		if _, has := advice.Ranges[fixed]; has {
			t.Errorf("there is a range for %s", fixed)
		}
	}
	want := []provision.Alternative{{Changes: provision.Parameters{"multi_az": false}, MonthlyCost: 85_500, Text: "turn off multi-AZ"}}
	if diff := cmp.Diff(want, advice.Alternatives); diff != "" {
		t.Errorf("alternatives (-want +got):\n%s", diff)
	}
	var presets []string
	for _, p := range advice.Presets {
		presets = append(presets, p.Name+" "+p.MonthlyCost.String()+map[bool]string{true: " fits", false: ""}[p.Allowed])
	}
	// Each over multi-AZ: the small one is (30 + 5.75 + 7) × 2.
	if diff := cmp.Diff([]string{"small $85.50 fits", "medium $342.00", "large $755.00"}, presets); diff != "" {
		t.Errorf("presets (-want +got):\n%s", diff)
	}

	site := api.Evaluation{Parameters: provision.Parameters{"environment": "dev"}, Partial: true, Advise: true}
	if verdict, err = r.as(ann).Ask(t.Context(), "static-site", site); err != nil {
		t.Fatal(err)
	}
	visits := provision.Range{Spans: []provision.Span{{Min: 0, Max: 1_000_000}}, Values: []any{}, Whole: true}
	if diff := cmp.Diff(map[string]provision.Range{"visits_per_month": visits}, verdict.Advice.Ranges); diff != "" {
		t.Errorf("a site may be (-want +got):\n%s", diff)
	}
	if len(verdict.Recommendations) != 0 || len(verdict.Advice.Alternatives) != 0 || len(verdict.Advice.Presets) != 2 {
		t.Errorf("a site that is allowed has %+v and %v", verdict.Advice, verdict.Recommendations)
	}
}

func TestADenialNamesWhatWouldBeAllowedAndItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.service.AlternativesWithin = time.Minute // a busy machine is no reason to find none
	c := r.as(ann)
	sub := database("orders")
	sub.Parameters["instance_class"], sub.Parameters["storage_gb"], sub.Parameters["multi_az"] = "db.t3.large", 300, true
	_, err := c.Submit(t.Context(), "one", sub)
	denied := kindOf(t, err, provision.Denied)
	if len(denied.Alternatives) == 0 || len(denied.Alternatives) > 3 {
		t.Fatalf("alternatives = %+v, want one to three", denied.Alternatives)
	}
	for _, alternative := range denied.Alternatives {
		changed := database("orders").Parameters
		for _, layer := range []provision.Parameters{sub.Parameters, alternative.Changes} {
			for name, value := range layer {
				changed[name] = value
			}
		}
		verdict, err := c.Evaluate(t.Context(), "postgres-database", changed)
		if err != nil || !verdict.Allowed || verdict.Estimate.MonthlyCost != alternative.MonthlyCost {
			t.Errorf("%s is %+v, %v; want allowed at %s", alternative.Text, verdict, err, alternative.MonthlyCost)
		}
	}
}

func TestRecommendationsAndWholeCents(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	estimate, err := r.as(ann).Estimate(t.Context(), "postgres-database", provision.Parameters{"storage_gb": 501, "backup_retention_days": 15})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"501 GB is much for dev. Consider starting with 250GB.",
		"Backups are kept for 15 days; dev rarely needs more than 7 days.",
	}
	if diff := cmp.Diff(want, estimate.Recommendations); diff != "" {
		t.Errorf("recommendations (-want +got):\n%s", diff)
	}
	// 60 + 57.615 + 150.30, twelve times, each rounded once.
	got := []provision.Money{estimate.MonthlyCost, estimate.MonthlyTotal, estimate.AnnualCost, estimate.AnnualTotal, estimate.Breakdown["storage"]}
	if diff := cmp.Diff([]provision.Money{267_915, 267_920, 3_214_980, 3_214_980, 57_620}, got); diff != "" {
		t.Errorf("amounts (-want +got):\n%s", diff)
	}

	answer := r.raw(http.MethodPost, "/api/v1/catalog/postgres-database/estimate", r.jsonBy(ann), `{"environment":"dev"}`)
	if answer.status != http.StatusOK || !strings.Contains(answer.body, `"recommendations":[]`) {
		t.Errorf("the founding path answers %d %s", answer.status, answer.body)
	}
}
