package provision_test

import (
	"encoding/json"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestTheRulesAreToldWhatAChangeWouldChange(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.Directory = people{}
	made := s.provisioned(t, "orders")
	if s.input.Was != nil {
		t.Errorf("a create changes %+v", s.input.Was)
	}
	if _, err := s.PreviewChange(t.Context(), ann, made.InstanceID, provision.Update, provision.Parameters{"size": "medium"}, false); err != nil {
		t.Fatal(err)
	}
	if was := s.input.Was; was == nil || !was.Price.Known || was.Price.MonthlyMills != 85500 || s.input.Price.MonthlyMills != 99000 {
		t.Errorf("an update from %+v to %+v, want it from $85.50 to $99", was, s.input.Price)
	}
	handed, err := s.HandOver(t.Context(), ann, made.InstanceID, toSearch, change("", nil))
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, handed.ID, `{}`)
	if was := s.input.Was; s.input.Stage != provision.StagePlan || was.Owner != "group:default/payments" || was.CostCenter != made.CostCenter || was.Version != "1.0.0" {
		t.Errorf("at the %s of a hand-over it was %+v, want it still the giver's", s.input.Stage, was)
	}
}

func TestADestroyIsHeldAgainstNothingThatWas(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	if _, err := s.PreviewChange(t.Context(), ann, made.InstanceID, provision.Destroy, nil, false); err != nil || s.input.Was != nil {
		t.Errorf("a destroy (%v) changes %+v, want nothing", err, s.input.Was)
	}
}

func TestAnUpgradeIsFromTheVersionThatItWasOf(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	made := s.provisioned(t, "orders")
	s.publish(t)
	request, err := s.Upgrade(t.Context(), ann, made.InstanceID, change("", provision.Parameters{"tier": "gold"}))
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, request.ID, `{}`)
	if s.input.Stage != provision.StagePlan || s.input.Offering.Version != "2.0.0" || s.input.Was.Version != "1.0.0" {
		t.Errorf("at the %s it is of %s and was %+v", s.input.Stage, s.input.Offering.Version, s.input.Was)
	}
}

func TestWhatWasPricedByAPlanCostsWhatItMadeBefore(t *testing.T) {
	t.Parallel()
	pricing := map[string]provision.PlanPricing{"aws": {Counted: "aws_db_instance", Parameters: map[string]provision.PlanSource{"gb": {Attribute: "gb"}}}}
	gb := func(n string) map[string]any { return map[string]any{"gb": json.Number(n)} }
	offering := provision.Offering{Pricing: pricing}
	ask := provision.Ask{
		Action: provision.Extend, Offering: offering, Environment: provision.Environment{Implementation: "aws"},
		Parameters: gb("10"), Before: gb("10"), Was: &provision.Was{Offering: offering},
		Lifetime: 730 * time.Hour, LifetimeBefore: 365 * time.Hour,
		Changes: []provision.Change{
			{Address: "aws_db_instance.a", Type: "aws_db_instance", Action: "update", Before: gb("50"), After: gb("60")},
			{Address: "aws_db_instance.b", Type: "aws_db_instance", Action: "delete", Before: gb("7")},
			{Address: "aws_db_instance.c", Type: "aws_db_instance", Action: "create", After: gb("9")},
		},
	}
	for _, stage := range []provision.Stage{provision.StagePlan, provision.StageApproval} {
		heard := &hearing{}
		ask.Stage = stage
		if _, err := (provision.Judge{Prices: byGB{}, Rules: heard}).Judge(t.Context(), ask); err != nil {
			t.Fatal(err)
		}
		if heard.price.MonthlyMills != 69*provision.Dollar {
			t.Errorf("at the %s it costs %s, want what the plan makes", stage, heard.price.MonthlyMills)
		}
		was := heard.input.Was
		if was.Price.MonthlyMills != 57*provision.Dollar || was.Price.ChargeMills != 57*provision.Dollar/2 || was.LifetimeSeconds != 365*3600 {
			t.Errorf("at the %s it was %+v, want what was there, for as long as it would have lived", stage, was)
		}
	}
}
