package provision

import (
	"encoding/json"
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
