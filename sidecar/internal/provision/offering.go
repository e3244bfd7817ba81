package provision

import (
	"encoding/json"
	"slices"
	"time"
)

// Offering is one published version of what can be asked for. It is immutable;
// Digest names exactly it and its Terraform.
type Offering struct {
	ID              string                  `json:"id"`   // the folder's name
	Name            string                  `json:"name"` // its title
	Description     string                  `json:"description"`
	Category        string                  `json:"category"`
	Icon            string                  `json:"icon"`
	Version         string                  `json:"version"`
	Digest          string                  `json:"digest"` // "sha256:<hex>" over the folder's contract and modules
	Parameters      []Parameter             `json:"parameters"`
	Outputs         []Output                `json:"outputs"`
	Cost            CostEstimate            `json:"cost_estimate"`
	Roles           Roles                   `json:"roles"`
	Presets         []Preset                `json:"presets"`
	Implementations []string                `json:"implementations"`    // sorted names of module folders
	Pricing         map[string]PlanPricing  `json:"pricing,omitempty"`  // by implementation: how its plan is priced
	Activity        map[string]ActivityRule `json:"activity,omitempty"` // by implementation: how its use is measured
	Import          map[string]ImportRule   `json:"import,omitempty"`   // by implementation: how what exists becomes an instance
	Steps           []StepDefinition        `json:"steps"`
	Drift           DriftRules              `json:"drift"`
	Rotates         bool                    `json:"rotates"` // its modules make new credentials for a new credentials version
	Tags            map[string]string       `json:"tags"`
	Docs            string                  `json:"docs"`         // URL, may be empty
	EscapeHatch     string                  `json:"escape_hatch"` // Markdown: how to get what this offering does not do; never empty
	Preview         PreviewRules            `json:"preview"`      // how its instances are shrunk in an ephemeral environment
	Expiry          ExpiryRules             `json:"expiry"`
	ApplyTimeout    time.Duration           `json:"-"`
	State           VersionState            `json:"-"`      // how far this version has come; "" is published
	Schema          json.RawMessage         `json:"schema"` // JSON Schema 2020-12 of the parameters
}

// Parameter is one input of an offering.
type Parameter struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"` // its label in a form
	Type        string   `json:"type"`  // string, enum, integer, boolean, map
	Required    bool     `json:"required"`
	Default     any      `json:"default,omitempty"`
	Pattern     string   `json:"pattern,omitempty"` // a map's is for its keys
	Min         *int64   `json:"min,omitempty"`     // a string's is its length
	Max         *int64   `json:"max,omitempty"`
	Options     []Option `json:"options,omitempty"`
	Description string   `json:"description"`
	Placeholder string   `json:"placeholder,omitempty"`
	Level       string   `json:"level"` // basic, advanced or expert
	Immutable   bool     `json:"immutable"`
	Replaces    bool     `json:"replaces"` // changing it makes the resource anew, and what it holds is lost
	Sensitive   bool     `json:"sensitive"`
	Multiline   bool     `json:"multiline"`
	Takes       *Taken   `json:"takes,omitempty"` // nil when its value is what is given
}

// Option is one choice of an enum parameter.
type Option struct {
	Value       string `json:"value"`
	Label       string `json:"label"`
	MonthlyCost *Money `json:"monthly_cost,omitempty"` // nil: the price book has it
}

// Output is one result value that an offering promises.
type Output struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// CostEstimate is how an offering prices itself.
type CostEstimate struct {
	MonthlyMin Money             `json:"monthly_min"`
	MonthlyMax Money             `json:"monthly_max"`
	Formula    string            `json:"formula"` // Starlark; sets total
	Items      map[string]string `json:"items"`   // label to the formula's variable
}

// Roles says which parameters carry the meanings that every request has.
type Roles struct {
	Name        string `json:"name"`
	Environment string `json:"environment"`
	Owner       string `json:"owner"`
	CostCenter  string `json:"cost_center"`
}

// Preset is a named set of parameter values.
type Preset struct {
	Name        string     `json:"name"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Parameters  Parameters `json:"parameters"`
	MonthlyCost Money      `json:"monthly_cost"` // computed, never declared
}

// StepDefinition is a step and the Terraform addresses that belong to it; a
// step with neither addresses nor phase has what belongs to no other. Phase is set instead of Addresses for the steps that are not resources:
// "validate" (the sidecar's), "plan" (init and plan).
type StepDefinition struct {
	Name      string   `json:"name"`
	Phase     string   `json:"phase,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
}

// Parameters are a request's inputs by name; values are JSON values, integers
// as json.Number or int64.
type Parameters map[string]any

// Text is the string value of a parameter, "" when it is absent or not a string.
func (p Parameters) Text(name string) string {
	s, _ := p[name].(string)
	return s
}

// Names are the parameters' names, sorted.
func (p Parameters) Names() []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Parameter is the parameter called name.
func (o Offering) Parameter(name string) (Parameter, bool) {
	i := slices.IndexFunc(o.Parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return Parameter{}, false
	}
	return o.Parameters[i], true
}

// titles are the parameters' labels by name.
func (o Offering) titles() map[string]string {
	titles := make(map[string]string, len(o.Parameters))
	for _, p := range o.Parameters {
		titles[p.Name] = p.Title
	}
	return titles
}

// Environment is where things are made.
type Environment struct {
	Name           string            `json:"name" yaml:"name"`
	Title          string            `json:"title" yaml:"title"`
	Implementation string            `json:"implementation" yaml:"implementation"`
	Pool           string            `json:"pool" yaml:"pool"`
	Account        string            `json:"account" yaml:"account"`
	Region         string            `json:"region" yaml:"region"`
	Settings       map[string]string `json:"settings" yaml:"settings"` // network ids and the like, for modules

	// Ring orders environments in a rollout, the lowest first; those without one
	// come last. Neither rules nor modules see it.
	Ring int `json:"-" yaml:"ring"`
}

// activity is how the implementation's use is measured, nil when it is not.
func (o Offering) activity(implementation string) *ActivityRule {
	rule, measured := o.Activity[implementation]
	if !measured {
		return nil
	}
	return &rule
}
