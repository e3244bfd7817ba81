package provision

import (
	"context"
	"time"
)

// Hold is one thing that an accepted request waits for before it is given a run.
type Hold struct {
	Kind    HoldKind   `json:"kind"`
	Name    string     `json:"name"`   // what is paused, the freeze, the window's environment; "" when everything is paused
	Reason  string     `json:"reason"` // "" for a window
	Until   *time.Time `json:"until"`  // nil when it ends by someone's word
	Message string     `json:"message"`
}

// HoldKind says what holds a request.
type HoldKind string

// The kinds of hold.
const (
	HoldFreeze HoldKind = "freeze" // nothing is changed until its end
	HoldWindow HoldKind = "window" // changes are made inside maintenance windows alone
	HoldPause  HoldKind = "pause"  // until the platform team resumes
)

// HoldInput is the document that the rules about holds see as `input`.
type HoldInput struct {
	Action      Action
	Subject     string
	Offering    string
	Environment Environment
	Name        string
	Owner       string
	Pauses      []Pause // those in force
	At          time.Time
}

// Exemption lets the asks that it names break one rule for a while.
type Exemption struct {
	Rule        string         `json:"rule"`
	Owner       string         `json:"owner"`    // "" is any, as for the three that follow
	Offering    string         `json:"offering"` // its id
	Environment string         `json:"environment"`
	Name        string         `json:"name"`
	From        string         `json:"from"`  // a day in UTC, 2026-11-01: its first
	Until       string         `json:"until"` // a day in UTC: the first on which it no longer counts
	GrantedBy   string         `json:"granted_by"`
	Reason      string         `json:"reason"`
	State       ExemptionState `json:"state"`
}

// ExemptionState is whether an exemption counts.
type ExemptionState string

// An exemption's states.
const (
	ExemptionPlanned ExemptionState = "planned" // it has not begun
	ExemptionActive  ExemptionState = "active"
	ExemptionExpired ExemptionState = "expired"
)

// Exempted is what an exemption says in a finding that it lifts.
type Exempted struct {
	Until     string `json:"until"` // a day in UTC: the first on which it no longer counts
	GrantedBy string `json:"granted_by"`
	Reason    string `json:"reason"`
}

// CalendarEntry is a change freeze, or one opening of a maintenance window, in
// one environment.
type CalendarEntry struct {
	Kind        HoldKind  `json:"kind"`
	Environment string    `json:"environment"`
	Name        string    `json:"name"`   // of the freeze
	Reason      string    `json:"reason"` // of the freeze
	From        time.Time `json:"from"`
	Until       time.Time `json:"until"`
}

// Calendar is what the policies say of when changes are made, and of who need
// not keep a rule. It may be asked from many goroutines.
type Calendar interface {
	// Holds are what an ask would wait for now: pauses, freezes, windows, in that
	// order; empty when nothing holds it. It is pure over its input.
	Holds(ctx context.Context, input HoldInput) ([]Hold, error)
	// Upcoming are the freezes and windows of the environments in the 30 days
	// from at, by time.
	Upcoming(ctx context.Context, environments []string, at time.Time) ([]CalendarEntry, error)
	// Exemptions are all, as they stand at a time: those that count first, then
	// by when they end.
	Exemptions(at time.Time) ([]Exemption, error)
}
