package provision_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// byGB prices a gigabyte at a dollar.
type byGB struct{}

func (byGB) Price(_ provision.Offering, p provision.Parameters) (provision.Estimate, error) {
	gb, err := p["gb"].(json.Number).Int64()
	if err != nil {
		return provision.Estimate{}, provision.Errorf(provision.Invalid, "gb is no whole number")
	}
	cost := provision.Money(gb) * provision.Dollar
	return provision.Estimate{MonthlyCost: cost, AnnualCost: 12 * cost, Items: []provision.CostItem{{Name: "storage", MonthlyCost: cost}}}, nil
}

// hearing keeps what the rules are told.
type hearing struct {
	price provision.RulePrice
	input provision.RuleInput
}

func (h *hearing) Findings(_ context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	h.price, h.input = input.Price, input
	return nil, "sha256:0", nil
}

func (h *hearing) Allowance(context.Context, provision.RuleInput) (*provision.Allowance, error) {
	return nil, nil
}

func TestAPlanIsPricedByWhatItMakes(t *testing.T) {
	t.Parallel()
	db := func(address, action string, gb any) provision.Change {
		return provision.Change{Address: address, Type: "aws_db_instance", Action: action, After: map[string]any{"allocated_storage": gb}}
	}
	other := func(address, kind, action string) provision.Change {
		return provision.Change{Address: address, Type: kind, Action: action, After: map[string]any{"input": map[string]any{"gb": json.Number("7")}}}
	}
	own := provision.PlanPricing{
		Counted: "aws_db_instance", Parameters: map[string]provision.PlanSource{"gb": {Attribute: "allocated_storage"}}, Free: []string{"aws_security_group", "terraform_data"},
	}
	elsewhere := own
	elsewhere.Parameters = map[string]provision.PlanSource{"gb": {Of: "terraform_data.asked", Attribute: "input.gb"}}
	number := func(text string) json.Number { return json.Number(text) }
	tests := map[string]struct {
		pricing  provision.PlanPricing
		changes  []provision.Change
		want     string // "" when it has no price
		unpriced []provision.Unpriced
	}{
		"as the plan says":               {own, []provision.Change{db("aws_db_instance.a", "create", number("20"))}, "$20.00", nil},
		"two cost twice":                 {own, []provision.Change{db("aws_db_instance.a[0]", "no-op", number("20")), db("aws_db_instance.a[1]", "create", number("5"))}, "$25.00", nil},
		"what is deleted costs nothing":  {own, []provision.Change{db("aws_db_instance.a", "update", number("20")), db("aws_db_instance.b", "delete", nil)}, "$20.00", nil},
		"what is not known is as asked":  {own, []provision.Change{db("aws_db_instance.a", "create", nil)}, "$10.00", nil},
		"what is free costs nothing":     {own, []provision.Change{db("aws_db_instance.a", "create", nil), other("aws_security_group.a", "aws_security_group", "create")}, "$10.00", nil},
		"what is read is not made":       {own, []provision.Change{db("aws_db_instance.a", "create", nil), other("data.aws_vpc.a", "aws_vpc", "read"), other("module.m.data.aws_vpc.a", "aws_vpc", "no-op")}, "$10.00", nil},
		"nothing counted is as the form": {own, []provision.Change{}, "$10.00", nil},
		"what has no price is listed":    {own, []provision.Change{other("aws_sqs_queue.b", "aws_sqs_queue", "no-op"), db("aws_db_instance.a", "create", nil), other("aws_sqs_queue.a", "aws_sqs_queue", "create")}, "$10.00", []provision.Unpriced{{Address: "aws_sqs_queue.a", Type: "aws_sqs_queue"}, {Address: "aws_sqs_queue.b", Type: "aws_sqs_queue"}}},
		"as another resource says":       {elsewhere, []provision.Change{db("aws_db_instance.a", "create", nil), other("terraform_data.asked", "terraform_data", "create")}, "$7.00", nil},
		"an address is without indexes":  {elsewhere, []provision.Change{db("aws_db_instance.a", "create", nil), other(`terraform_data.asked["a.b\"]"]`, "terraform_data", "create")}, "$7.00", nil},
		"half a gigabyte has no price":   {own, []provision.Change{db("aws_db_instance.a", "create", number("1.5"))}, "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := &hearing{}
			ask := provision.Ask{
				Stage: provision.StagePlan, Action: provision.Create, Environment: provision.Environment{Implementation: "aws"},
				Offering:   provision.Offering{Pricing: map[string]provision.PlanPricing{"aws": tt.pricing}},
				Parameters: provision.Parameters{"gb": number("10")}, Changes: tt.changes,
			}
			verdict, err := provision.Judge{Prices: byGB{}, Rules: heard}.Judge(t.Context(), ask)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if heard.price.Known || heard.price.Reason == "" || verdict.Estimate != nil {
					t.Errorf("the price is %+v, want none and why", heard.price)
				}
				return
			}
			if verdict.Estimate == nil || verdict.Estimate.MonthlyCost.String() != tt.want || heard.price.MonthlyMills != verdict.Estimate.MonthlyCost {
				t.Fatalf("estimate = %+v and the rules hear %s, want %s", verdict.Estimate, heard.price.MonthlyMills, tt.want)
			}
			if heard.price.FormMills == nil || *heard.price.FormMills != 10*provision.Dollar {
				t.Errorf("the form's price is %v, want $10.00", heard.price.FormMills)
			}
			if diff := cmp.Diff(tt.unpriced, verdict.Estimate.Unpriced); diff != "" {
				t.Errorf("unpriced (-want +got):\n%s", diff)
			}
			if ask.Parameters["gb"] != number("10") {
				t.Error("the ask's own parameters were changed")
			}
		})
	}
}

func TestOnlyAPlanIsPricedByWhatItMakes(t *testing.T) {
	t.Parallel()
	pricing := map[string]provision.PlanPricing{"aws": {Counted: "aws_db_instance", Parameters: map[string]provision.PlanSource{"gb": {Attribute: "gb"}}}}
	changes := []provision.Change{{Address: "aws_db_instance.a", Type: "aws_db_instance", Action: "create", After: map[string]any{"gb": json.Number("50")}}}
	for name, ask := range map[string]provision.Ask{
		"at submit":                    {Stage: provision.StageSubmit, Offering: provision.Offering{Pricing: pricing}, Environment: provision.Environment{Implementation: "aws"}},
		"another implementation":       {Stage: provision.StagePlan, Offering: provision.Offering{Pricing: pricing}, Environment: provision.Environment{Implementation: "local"}},
		"an offering that says no how": {Stage: provision.StagePlan, Environment: provision.Environment{Implementation: "aws"}},
	} {
		heard := &hearing{}
		ask.Action, ask.Parameters, ask.Changes = provision.Create, provision.Parameters{"gb": json.Number("10")}, changes
		verdict, err := provision.Judge{Prices: byGB{}, Rules: heard}.Judge(t.Context(), ask)
		if err != nil || verdict.MonthlyCost() != 10*provision.Dollar || heard.price.FormMills != nil {
			t.Errorf("%s: it costs %s (%v) beside %v, want what the parameters cost alone", name, verdict.MonthlyCost(), err, heard.price.FormMills)
		}
	}
}

func TestAPlanIsOnTheRequestAsSoonAsItIsJudged(t *testing.T) {
	t.Parallel()
	l := planning(t)
	verdict := dearerThan(l)
	l.must(decide(verdict, "create"))
	request := l.record.Request
	if s := request.Plan.Summary(); s == nil || s.Create != 1 || s.Changes[0].Address != "terraform_data.database" {
		t.Errorf("the plan is %+v, want one create", s)
	}
	if *request.MonthlyCost != verdict.Estimate.MonthlyCost || request.Plan.Estimate.MonthlyCost != verdict.Estimate.MonthlyCost {
		t.Errorf("it costs %s with a plan of %s, want the plan's %s", request.MonthlyCost, request.Plan.Estimate.MonthlyCost, verdict.Estimate.MonthlyCost)
	}
}

// dearerThan is a verdict on a plan that costs a dollar more than was asked for.
func dearerThan(l *life) provision.Verdict {
	v := l.record.Request.Verdict
	estimate := *v.Estimate
	estimate.MonthlyCost += provision.Dollar
	v.Estimate = &estimate
	return v
}

func (*hearing) Budgets(context.Context, []provision.Scope) ([]provision.Budget, error) {
	return nil, nil
}
