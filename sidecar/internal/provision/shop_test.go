package provision_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// catalog has the testkit's offering and wants a name.
type catalog struct{ offering *provision.Offering }

func (c catalog) Offering(id string) (provision.Offering, error) {
	if id != c.offering.ID {
		return provision.Offering{}, provision.Errorf(provision.NotFound, "there is no offering %q", id)
	}
	return *c.offering, nil
}

func (c catalog) Offerings() []provision.Offering { return []provision.Offering{*c.offering} }

func (c catalog) Check(o provision.Offering, p provision.Parameters) (provision.Parameters, error) {
	if o.Version == "2.0.0" && p.Text("tier") == "" {
		return nil, &provision.Error{Kind: provision.Invalid, Message: "tier is required", Details: []provision.Fault{{Path: "/tier", Message: "tier is required"}}}
	}
	if p.Text("name") == "" {
		return nil, &provision.Error{Kind: provision.Invalid, Message: "1 fault", Details: []provision.Fault{{Path: "/name", Message: "is required"}}}
	}
	return p, nil
}

func (c catalog) CheckPart(_ provision.Offering, p provision.Parameters, _ []string) (provision.Parameters, error) {
	return p, nil
}

// book prices small and, dearer, medium; xlarge has no price.
type book struct{}

func (book) Price(_ provision.Offering, p provision.Parameters) (provision.Estimate, error) {
	if p.Text("size") == "medium" {
		cost := 99 * provision.Dollar
		return provision.Estimate{MonthlyCost: cost, AnnualCost: 12 * cost, Items: []provision.CostItem{{Name: "compute", MonthlyCost: cost}}}, nil
	}
	if p.Text("size") != "small" {
		return provision.Estimate{}, provision.Errorf(provision.Invalid, "size %q has no price", p.Text("size"))
	}
	return *testkit.Verdict().Estimate, nil
}

// rules deny what has no price, and the environment it is told to.
type rules struct {
	deny   *string
	input  *provision.RuleInput
	budget *provision.Money // the team's; 0 is none
}

func (r rules) Findings(_ context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	*r.input = input
	findings := []provision.Finding{{Rule: "note", Level: provision.LevelInfo, Message: "noted"}}
	if !input.Price.Known || input.Environment.Name == *r.deny {
		findings = append(findings, provision.Finding{Rule: "limit", Level: provision.LevelDeny, Message: "too dear for " + input.Environment.Name + "."})
	}
	return findings, "sha256:b0b0", nil
}

func (r rules) Allowance(_ context.Context, input provision.RuleInput) (*provision.Allowance, error) {
	return &provision.Allowance{Limit: 100 * provision.Dollar, Left: 100*provision.Dollar - input.Price.MonthlyMills, Scope: input.Environment.Name}, nil
}

// Budgets cap the team payments, where the test says so.
func (r rules) Budgets(_ context.Context, scopes []provision.Scope) ([]provision.Budget, error) {
	var budgets []provision.Budget
	for _, scope := range scopes {
		if scope.Kind == provision.BudgetTeam && *r.budget > 0 {
			budgets = append(budgets, provision.Budget{Scope: scope, Limit: *r.budget, Level: provision.LevelRequireApproval})
		}
	}
	return budgets, nil
}

// authz lets members act for their group.
type authz struct{}

func (authz) Allow(_ context.Context, a provision.Access) error {
	if a.Principal.Owns(a.Owner) || a.Principal.Subject == provision.ExpirySubject && a.Verb != provision.VerbSubmit {
		return nil
	}
	return provision.Errorf(provision.Denied, "only members of %s may", a.Owner)
}

// clearKeys seal by reversing nothing: a prefix shows what passed through.
type clearKeys struct{}

func (clearKeys) Seal(pool string, plain []byte) ([]byte, error) {
	return append([]byte(pool+":"), plain...), nil
}

func (clearKeys) Open(sealed []byte) ([]byte, error)       { return sealed, nil }
func (clearKeys) Recipients(pool string) ([]string, error) { return []string{"age1" + pool}, nil }

// shop is a service with a store of its own.
type shop struct {
	*provision.Service
	runs      *provision.Runs
	store     *postgres.Store
	published *provision.Offering
	deny      string
	input     provision.RuleInput
	budget    provision.Money
}

func newShop(t *testing.T) *shop {
	t.Helper()
	store, err := postgres.Open(testkit.Database(t), postgres.Options{MaxConnections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	offering := testkit.Offering()
	offering.Parameters = append(offering.Parameters,
		provision.Parameter{Name: "secret", Title: "Secret", Type: "string", Sensitive: true},
		provision.Parameter{Name: "zone", Title: "Zone", Type: "string", Immutable: true},
		provision.Parameter{Name: "engine", Title: "Engine", Type: "string", Replaces: true})
	if err := store.PutBundle(t.Context(), offering, []byte("files")); err != nil {
		t.Fatal(err)
	}
	s := &shop{store: store, published: &offering}
	s.Service = &provision.Service{
		Catalog: catalog{&offering}, Judge: provision.Judge{Prices: book{}, Rules: rules{&s.deny, &s.input, &s.budget}}, Authorizer: authz{},
		Store: store, Keys: clearKeys{}, Now: time.Now, Environments: map[string]provision.Environment{
			"dev":  {Name: "dev", Implementation: "local", Pool: "local"},
			"prod": {Name: "prod", Implementation: "aws", Pool: "aws"},
		},
	}
	s.runs = &provision.Runs{Service: s.Service, Lease: time.Minute}
	return s
}

func ask(name, key string) provision.Submission {
	return provision.Submission{Offering: "postgres-database", IdempotencyKey: key, Parameters: provision.Parameters{
		"name": name, "environment": "dev", "team_owner": "payments", "cost_center": "cc-1001", "size": "small",
	}}
}

func (s *shop) provisioned(t *testing.T, name string) provision.Request {
	t.Helper()
	request, err := s.Submit(t.Context(), ann, ask(name, "create-"+name))
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, request.ID, `{"outputs": {"credentials": {"value": {"username": "u", "password": "canary"}, "sensitive": true}, "host": {"value": "h"}}}`)
	return request
}

// workTags is work, and answers the tags that the worker was given.
func (s *shop) workTags(t *testing.T, request uuid.UUID) map[string]string {
	t.Helper()
	return s.worked(t, request, `{"outputs": {}}`).Tags
}

// work does what a worker does to make a request succeed.
func (s *shop) work(t *testing.T, request uuid.UUID, state string) {
	t.Helper()
	s.worked(t, request, state)
}

func (s *shop) worked(t *testing.T, request uuid.UUID, state string) provision.Claim {
	t.Helper()
	record, err := s.store.Change(t.Context(), request, func(r *provision.Record) error {
		verdict, err := s.runs.JudgeQueued(t.Context(), r)
		if err != nil {
			return err
		}
		return r.Dispatch("local", verdict)
	})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := s.runs.Claim(t.Context(), "local", "w1", record.Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.runs.Plan(t.Context(), claim.RunID, claim.Token, []provision.Change{{Address: "a", Action: "create"}}); err != nil {
		t.Fatal(err)
	}
	head, err := s.runs.PushState(t.Context(), "local", provision.StateVersion{RunID: claim.RunID, Fence: claim.Fence, Serial: 1, Sealed: []byte(state)})
	if err != nil || !head {
		t.Fatalf("push state: head %t, %v", head, err)
	}
	_, err = s.store.ChangeRun(t.Context(), claim.RunID, outcome(provision.ResultSucceeded, ""))
	if err != nil {
		t.Fatal(err)
	}
	return claim
}
