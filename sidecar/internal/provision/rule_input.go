package provision

import (
	"encoding/json"
	"time"
)

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
