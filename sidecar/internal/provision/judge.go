package provision

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

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
