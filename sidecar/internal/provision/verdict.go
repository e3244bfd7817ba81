package provision

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Action is what a request asks for.
type Action string

// The actions.
const (
	Create   Action = "create"
	Update   Action = "update"  // other parameters, the same offering version
	Upgrade  Action = "upgrade" // the published offering version
	Extend   Action = "extend"  // a longer life
	Destroy  Action = "destroy"
	Import   Action = "import"    // what exists becomes an instance
	Revert   Action = "revert"    // what was asked for, where that has drifted
	Adopt    Action = "adopt"     // what it has drifted to
	HandOver Action = "hand_over" // another owner, with credentials of its own
	Rotate   Action = "rotate"    // new credentials, everything else as it is
)

// Stage is when Judge is asked.
type Stage string

// The stages.
const (
	StageForm     Stage = "form"     // while someone types; nothing is stored
	StageSubmit   Stage = "submit"   // before a request is accepted
	StageQueue    Stage = "queue"    // again, when its turn comes
	StagePlan     Stage = "plan"     // on Terraform's plan
	StageApproval Stage = "approval" // on that plan again, when someone approves it
)

// planned reports whether there is a plan to judge.
func (s Stage) planned() bool { return s == StagePlan || s == StageApproval }

// Level is how much a finding matters.
type Level string

// The levels, worst first.
const (
	LevelDeny            Level = "deny"
	LevelRequireApproval Level = "require_approval"
	LevelWarn            Level = "warn"
	LevelInfo            Level = "info"
)

// Outcome is a verdict in one word: allow, warn, require_approval or deny.
type Outcome string

// The outcomes, best first.
const (
	OutcomeAllow           Outcome = "allow"
	OutcomeWarn            Outcome = "warn"
	OutcomeRequireApproval Outcome = "require_approval"
	OutcomeDeny            Outcome = "deny"
)

// Finding is what one rule says.
type Finding struct {
	Rule    string `json:"rule"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Path    string `json:"path"`    // the parameter it is about, "" when none
	WayOut  string `json:"way_out"` // what to do about it, "" when nothing

	// Where a plan has it, for what a plan's rules say.
	Address   string `json:"address,omitempty"`   // Terraform's, of the resource
	Attribute string `json:"attribute,omitempty"` // path in it without indexes
	Source    string `json:"source,omitempty"`    // URL: why the rule exists

	// Whose approval lifts it, for LevelRequireApproval alone.
	Approvers []string `json:"approvers,omitempty"` // entity refs of groups
	Count     int      `json:"count,omitempty"`     // how many of their members

	Exemption *Exempted `json:"exemption,omitempty"` // the rule would have said more: why it is a note alone
}

// Estimate is a price with the items that sum to it.
type Estimate struct {
	MonthlyCost  Money      `json:"monthly_cost"`
	AnnualCost   Money      `json:"annual_cost"` // 12 × monthly
	Items        []CostItem `json:"items"`       // sums to MonthlyCost exactly
	PricesDigest string     `json:"prices_digest"`
	Unpriced     []Unpriced `json:"unpriced,omitempty"` // by address; of a plan: what no price includes
}

// CostItem is one line of an estimate.
type CostItem struct {
	Name        string `json:"name"`
	MonthlyCost Money  `json:"monthly_cost"`
}

// Verdict is the answer to an ask.
type Verdict struct {
	Outcome      Outcome         `json:"outcome"`
	Estimate     *Estimate       `json:"estimate"` // nil when the price is unknown
	Findings     []Finding       `json:"findings"` // never nil; denials first
	Budgets      []BudgetLeft    `json:"budgets"`  // those that the ask would take from; nil or empty when none is
	BundleDigest string          `json:"bundle_digest"`
	Input        json.RawMessage `json:"-"` // what the rules saw, for replay
	At           time.Time       `json:"at"`
}

// Allowed reports whether the ask may go on now: nothing is denied and no
// approval is needed.
func (v Verdict) Allowed() bool {
	return v.Outcome == OutcomeAllow || v.Outcome == OutcomeWarn
}

// Recommendations are what its notes say, for someone who is still choosing;
// never nil.
func (v Verdict) Recommendations() []string {
	said := []string{}
	for _, f := range v.Findings {
		if f.Level == LevelInfo {
			said = append(said, strings.TrimSpace(f.Message+" "+f.WayOut))
		}
	}
	return said
}

// Acceptable reports whether the ask may be taken: it may go on, at once or once
// people have approved.
func (v Verdict) Acceptable() bool { return v.Outcome != OutcomeDeny && v.Outcome != "" }

// MonthlyCost is the estimate's total, 0 when there is none.
func (v Verdict) MonthlyCost() Money {
	if v.Estimate == nil {
		return 0
	}
	return v.Estimate.MonthlyCost
}

// Allowance is the cost limit that applies to an ask, a month.
type Allowance struct {
	Limit Money  `json:"limit"`
	Left  Money  `json:"left"`  // the limit less the price; negative when that exceeds it
	Scope string `json:"scope"` // whose limit it is: an environment's name

	Rule   string `json:"-"`                // that holds an ask to it
	Waived string `json:"waived,omitempty"` // why more than the limit is allowed, such as "exempt until 2027-01-31"; "" when it is not
}

// waive has the allowance say why findings let the ask exceed it.
func (a *Allowance) waive(findings []Finding) {
	if a == nil || a.Left >= 0 {
		return
	}
	for _, f := range findings {
		switch {
		case f.Rule != a.Rule:
		case f.Exemption != nil:
			a.Waived = "exempt until " + f.Exemption.Until
		case f.Level == LevelWarn:
			a.Waived = "no more than before"
		}
	}
}

// Ask is all that Judge looks at; Judge reads no clock and no store.
type Ask struct {
	Stage          Stage
	Action         Action
	Principal      Principal
	Offering       Offering
	Environment    Environment
	Name           string
	Owner          string
	CostCenter     string
	Confirm        string        // of a destroy: what was typed to confirm it
	Parameters     Parameters    // final: defaults applied, sensitive ones {"set": true}
	Before         Parameters    // nil on create
	Was            *Was          // what Before is of; nil on create
	Changes        []Change      // the plan's; nil at the other stages
	Balances       []Balance     // of those that pay, without the instance itself; nil where nobody counts
	Lifetime       time.Duration // of the instance in all, as it is asked for; 0 is without end
	LifetimeBefore time.Duration // of an extend: what it was
	Dependants     []Dependant   // of a destroy: those that take an output of the instance
	Rollout        *RuleRollout  // of a campaign's upgrade that is planned; else nil
	Drifted        []string      // addresses of what has drifted, for Revert and Adopt
	Partial        bool          // a form is being filled in: what has no value yet is not complained about
	At             time.Time
}

// Change is one resource change of a plan, normalised and without secrets.
type Change struct {
	Address string         `json:"address"`
	Type    string         `json:"type"`
	Action  string         `json:"action"`           // create, update, delete, replace, read, no-op
	Before  map[string]any `json:"before,omitempty"` // non-sensitive values only
	After   map[string]any `json:"after,omitempty"`

	// Sources are the parameters that an attribute comes from, nearest first, by
	// its path without indexes (ingress.cidr_blocks); count is whether and how
	// often the resource exists. Names only.
	Sources  map[string][]string `json:"sources,omitempty"`
	Replaces []string            `json:"replaces,omitempty"` // attributes that make it be replaced
	Imported bool                `json:"imported,omitempty"` // it exists and is taken over
	Unknown  []string            `json:"unknown,omitempty"`  // outermost attributes of which a part is not known before apply
}

// RuleInput is the document that guardrails see as `input`.
type RuleInput struct {
	Stage                 Stage         `json:"stage"`
	Action                Action        `json:"action"`
	Subject               RuleSubject   `json:"subject"`
	Offering              RuleOffering  `json:"offering"`
	Environment           Environment   `json:"environment"`
	Name                  string        `json:"name"`
	Owner                 string        `json:"owner"`
	CostCenter            string        `json:"cost_center"`
	Confirm               string        `json:"confirm"` // of a destroy, at submit: what was typed to confirm it
	Parameters            Parameters    `json:"parameters"`
	Before                Parameters    `json:"before"`
	Was                   *RuleWas      `json:"was,omitempty"` // what would be changed, as it is; nil when that is nothing
	Price                 RulePrice     `json:"price"`
	Balances              []RuleBalance `json:"balances"`
	Changes               []Change      `json:"changes"`
	Dependants            []Dependant   `json:"dependants,omitempty"`              // of a destroy: those that take an output of what would go
	Rollout               *RuleRollout  `json:"rollout,omitempty"`                 // of a campaign's upgrade, once it is planned
	ImportMakes           []string      `json:"import_makes,omitempty"`            // of an import: addresses of what its plan may make
	Drifted               []string      `json:"drifted,omitempty"`                 // addresses that a revert or an adoption is about
	LifetimeSeconds       int64         `json:"lifetime_seconds,omitempty"`        // of the instance in all; 0 is without end
	LifetimeBeforeSeconds int64         `json:"lifetime_before_seconds,omitempty"` // of an extend, else 0
	At                    time.Time     `json:"at"`
}

// RuleSubject is who asks, as guardrails see it.
type RuleSubject struct {
	Ref    string   `json:"ref"`
	Groups []string `json:"groups"`
}

// RuleOffering is the offering, as guardrails see it.
type RuleOffering struct {
	ID       string `json:"id"`
	Version  string `json:"version"`
	Category string `json:"category"`

	// State is how far the version has come, where that is not published.
	State VersionState `json:"state,omitempty"`

	// Titles are the parameters' labels by name, for what a plan's rules say;
	// nil at the other stages.
	Titles map[string]string `json:"titles,omitempty"`
}

// RulePrice is the price, as guardrails see it: mills, so that they compare
// exactly. Known is false when there is no price; the cost limit then denies.
type RulePrice struct {
	Known        bool             `json:"known"`
	MonthlyMills Money            `json:"-"`
	Reason       string           `json:"reason"` // why it is not known
	ChargeMills  Money            `json:"-"`      // what it takes of a budget
	Items        map[string]int64 `json:"item_mills"`

	// Of a plan that is priced by what it makes, else nil: what the parameters
	// alone would cost, and what nothing prices.
	FormMills *Money     `json:"-"`
	Unpriced  []Unpriced `json:"unpriced"`
}

// MarshalJSON writes the total as an integer of mills.
func (p RulePrice) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"known": p.Known, "monthly_mills": int64(p.MonthlyMills), "reason": p.Reason, "item_mills": p.Items,
		"form_mills": millsOf(p.FormMills), "unpriced": p.Unpriced, "charge_mills": int64(p.ChargeMills),
	})
}

func millsOf(m *Money) any {
	if m == nil {
		return nil
	}
	return int64(*m)
}

// RuleBalance is what others have taken of a budget, as guardrails see it.
type RuleBalance struct {
	Kind       BudgetKind `json:"kind"`
	Name       string     `json:"name"`
	SpentMills int64      `json:"spent_mills"` // by others
	HeldMills  int64      `json:"held_mills"`  // of what this takes, what is its own already
}

// ruleBalances are the balances as guardrails see them; nil stays nil.
func ruleBalances(balances []Balance) []RuleBalance {
	if balances == nil {
		return nil
	}
	seen := make([]RuleBalance, len(balances))
	for i, b := range balances {
		seen[i] = RuleBalance{b.Kind, b.Name, int64(b.Spent()), int64(b.Held)}
	}
	return seen
}

// Pricer prices parameters by an offering's formula. An unknown price is an
// Invalid error that names what has no price; it is never a default or zero.
type Pricer interface {
	Price(o Offering, p Parameters) (Estimate, error)
}

// Rules evaluates guardrails. It may be called from many goroutines.
type Rules interface {
	// Findings are all that the guardrails say, in a stable order, and the
	// digest of the bundle that said it. Any error means that nothing is allowed.
	Findings(ctx context.Context, input RuleInput) ([]Finding, string, error)
	// Allowance is the cost limit that applies, or nil when the price is unknown
	// or the bundle names no limit.
	Allowance(ctx context.Context, input RuleInput) (*Allowance, error)
	// Budgets are those of scopes that have a budget, in their order; of nil, all
	// that the bundle names.
	Budgets(ctx context.Context, scopes []Scope) ([]Budget, error)
}

// Authorizer answers who may do what. Any error means no.
type Authorizer interface {
	// Allow is nil, or a Denied error that says who may.
	Allow(ctx context.Context, a Access) error
}

// Judge prices an ask and applies the guardrails to it. It is a pure function
// of the ask, the prices and the bundle: it serves typing, submit, the queue
// and the plan alike.
type Judge struct {
	Prices Pricer
	Rules  Rules

	// NoApprovals is set where no approval can be given: what requires one is
	// denied and says this. "" where one can.
	NoApprovals string
}

// Judge answers the ask. An error means that no verdict could be made, and
// then nothing is allowed.
func (j Judge) Judge(ctx context.Context, ask Ask) (Verdict, error) {
	verdict, input, err := j.weigh(ctx, ask)
	if err != nil {
		return Verdict{}, err
	}
	if verdict.Input, err = json.Marshal(input); err != nil {
		return Verdict{}, Errorf(Internal, "encode judge input: %w", err)
	}
	verdict.Budgets, err = j.budgets(ctx, ask.Balances, input.Price.ChargeMills)
	return verdict, err
}

// budgets are those that a charge would be taken from.
func (j Judge) budgets(ctx context.Context, balances []Balance, charge Money) ([]BudgetLeft, error) {
	if len(balances) == 0 {
		return []BudgetLeft{}, nil
	}
	scopes := make([]Scope, len(balances))
	for i, b := range balances {
		scopes[i] = b.Scope
	}
	budgets, err := j.Rules.Budgets(ctx, scopes)
	return left(budgets, balances, charge), err
}

// weigh is Judge without the record of what the rules saw, for a verdict that
// nobody stores.
func (j Judge) weigh(ctx context.Context, ask Ask) (Verdict, RuleInput, error) {
	verdict := Verdict{At: ask.At}
	price, estimate, err := ask.price(j.Prices)
	if err != nil {
		return Verdict{}, RuleInput{}, err
	}
	verdict.Estimate = estimate
	price.ChargeMills = charge(price.MonthlyMills, ask.Lifetime)
	input := RuleInput{
		Stage: ask.Stage, Action: ask.Action,
		Subject:     RuleSubject{Ref: ask.Principal.Subject, Groups: ask.Principal.Groups},
		Offering:    RuleOffering{ID: ask.Offering.ID, Version: ask.Offering.Version, Category: ask.Offering.Category},
		Environment: ask.Environment, Name: ask.Name, Owner: ask.Owner, CostCenter: ask.CostCenter, Confirm: ask.Confirm,
		Parameters: ask.Parameters, Before: ask.Before, Price: price, Balances: ruleBalances(ask.Balances), Changes: ask.Changes, Dependants: ask.Dependants, Drifted: ask.Drifted, Rollout: ask.Rollout, At: ask.At,
		LifetimeSeconds: int64(ask.Lifetime / time.Second), LifetimeBeforeSeconds: int64(ask.LifetimeBefore / time.Second),
	}
	if input.Was, err = ask.was(j.Prices); err != nil {
		return Verdict{}, RuleInput{}, err
	}
	if ask.Offering.State != Published {
		input.Offering.State = ask.Offering.State
	}
	if ask.Action == Import {
		input.ImportMakes = ask.Offering.Import[ask.Environment.Implementation].Makes
	}
	if ask.Stage.planned() {
		input.Offering.Titles = ask.Offering.titles()
	}
	findings, digest, err := j.Rules.Findings(ctx, input)
	if err != nil {
		return Verdict{}, RuleInput{}, err
	}
	verdict.Findings, verdict.BundleDigest = worstFirst(ask.settled(findings)), digest
	verdict.Outcome = outcomeOf(verdict.Findings)
	if j.NoApprovals != "" {
		verdict = refused(verdict, j.NoApprovals)
	}
	return verdict, input, nil
}

var severity = map[Level]int{LevelDeny: 0, LevelRequireApproval: 1, LevelWarn: 2, LevelInfo: 3}

func worstFirst(findings []Finding) []Finding {
	sorted := append([]Finding{}, findings...)
	slices.SortStableFunc(sorted, func(a, b Finding) int { return severity[a.Level] - severity[b.Level] })
	return sorted
}

func outcomeOf(sorted []Finding) Outcome {
	if len(sorted) == 0 {
		return OutcomeAllow
	}
	switch sorted[0].Level {
	case LevelDeny:
		return OutcomeDeny
	case LevelRequireApproval:
		return OutcomeRequireApproval
	case LevelWarn:
		return OutcomeWarn
	default:
		return OutcomeAllow
	}
}
