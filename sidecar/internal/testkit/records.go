package testkit

import (
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Offering is a small offering that needs no provider: name, environment, team
// and one enum; its digest names exactly it.
func Offering() provision.Offering {
	mills := 85 * provision.Dollar
	return provision.Offering{
		ID: "postgres-database", Name: "PostgreSQL Database", Version: "1.0.0", Digest: "sha256:0fff3a",
		Category: "database", Roles: provision.Roles{Name: "name", Environment: "environment", Owner: "team_owner", CostCenter: "cost_center"},
		Parameters: []provision.Parameter{
			{Name: "name", Type: "string", Required: true}, {Name: "environment", Type: "enum", Required: true},
			{Name: "size", Type: "enum", Options: []provision.Option{{Value: "small", MonthlyCost: &mills}}},
		},
		Implementations: []string{"local"},
		Steps: []provision.StepDefinition{
			{Name: "Validate request", Phase: "validate"}, {Name: "Plan", Phase: "plan"},
			{Name: "Create database", Addresses: []string{"terraform_data.database"}},
			{Name: "Create user", Addresses: []string{"terraform_data.user", "terraform_data.grant"}},
		},
		ApplyTimeout: 10 * time.Minute, Schema: []byte(`{}`),
	}
}

// Verdict allows, at $85.50 a month.
func Verdict() provision.Verdict {
	cost := provision.Money(85_500)
	return provision.Verdict{
		Outcome: provision.OutcomeAllow, Findings: []provision.Finding{}, BundleDigest: "sha256:b0b0", At: time.Now().UTC().Truncate(time.Microsecond),
		Estimate: &provision.Estimate{
			MonthlyCost: cost, AnnualCost: 12 * cost, PricesDigest: "sha256:cafe",
			Items: []provision.CostItem{{Name: "compute", MonthlyCost: 60_000}, {Name: "storage", MonthlyCost: 25_500}},
		},
		Input: []byte(`{"stage": "submit", "price": {"monthly_mills": 85500}}`),
	}
}

// Denial denies with two findings.
func Denial() provision.Verdict {
	v := Verdict()
	v.Outcome = provision.OutcomeDeny
	v.Findings = []provision.Finding{
		{Rule: "size", Level: provision.LevelDeny, Message: "xlarge is too large for dev.", WayOut: "Choose small."},
		{Rule: "backup", Level: provision.LevelDeny, Message: "prod needs backups.", Path: "backup"},
	}
	return v
}

// Approvers is the group of NeedsApproval, and who is in it.
func Approvers() map[string][]string {
	return map[string][]string{"group:default/platform-team": {"user:default/ann", "user:default/pat", "user:default/sam"}}
}

// NeedsApproval is Verdict with a finding that count of Approvers lift.
func NeedsApproval(count int) provision.Verdict {
	v := Verdict()
	v.Outcome = provision.OutcomeRequireApproval
	v.Findings = []provision.Finding{{
		Rule: "cost_limit", Level: provision.LevelRequireApproval, Message: "It is dear.",
		Approvers: []string{"group:default/platform-team"}, Count: count,
	}}
	return v
}

// NewRequest is a judged ask for a database called name in dev, by ann, for
// group:default/payments; it is not stored.
func NewRequest(name string) provision.Request {
	verdict := Verdict()
	cost := verdict.MonthlyCost()
	o := Offering()
	return provision.Request{
		ID: provision.NewID(), Action: provision.Create, Offering: o.ID, OfferingVersion: o.Version, OfferingDigest: o.Digest,
		Environment: "dev", Name: name, Owner: "group:default/payments", CostCenter: "cc-1001",
		Parameters:  provision.Parameters{"name": name, "environment": "dev", "size": "small"},
		RequestedBy: "user:default/ann", Actor: "plugin:scaffolder", Verdict: verdict, MonthlyCost: &cost, BodyDigest: "sha256:" + name,
	}
}

// Created is the record of an accepted create of name, for Store.Accept; edit
// may change the request first and may be nil.
func Created(name string, edit func(*provision.Request)) *provision.Record {
	request := NewRequest(name)
	instance := provision.Instance{
		ID: provision.NewID(), Offering: request.Offering, OfferingVersion: request.OfferingVersion, OfferingDigest: request.OfferingDigest,
		Environment: request.Environment, Name: name, Owner: request.Owner, CostCenter: request.CostCenter, State: provision.Reserved,
		Generation: 1, Parameters: request.Parameters, MonthlyCost: request.MonthlyCost, RequestID: request.ID, CredentialsVersion: 1,
	}
	instance.ShortID = instance.ID.String()[28:]
	request.InstanceID, request.Generation = instance.ID, 1
	if edit != nil {
		edit(&request)
		instance.Owner, instance.Environment = request.Owner, request.Environment
	}
	return provision.Accepted(request, instance, Offering().Steps, time.Now())
}

// Destroyed is the record of an accepted destroy of an instance, for
// Store.Accept.
func Destroyed(instance provision.Instance) *provision.Record {
	return Changed(instance, provision.Destroy, nil)
}

// Changed is the record of an accepted ask about an instance, for Store.Accept;
// edit may change the request first and may be nil.
func Changed(instance provision.Instance, action provision.Action, edit func(*provision.Request)) *provision.Record {
	request := NewRequest(instance.Name)
	request.Action, request.InstanceID, request.Generation = action, instance.ID, instance.Generation+1
	request.Environment, request.Owner = instance.Environment, instance.Owner
	if edit != nil {
		edit(&request)
	}
	instance.Generation, instance.RequestID = request.Generation, request.ID
	return provision.Accepted(request, instance, Offering().Steps, time.Now())
}
