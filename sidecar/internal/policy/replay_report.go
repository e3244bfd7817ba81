package policy

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// ReplayReport is what a candidate would change. Money is a month's.
type ReplayReport struct {
	Baseline  Version       `json:"baseline"`
	Candidate Version       `json:"candidate"`
	SelfCheck SelfCheck     `json:"self_check"`
	History   Impact        `json:"history"`   // verdicts that were given
	Fleet     Impact        `json:"fleet"`     // living instances, as if they were asked for now
	Approvals Voided        `json:"approvals"` // that are waited for, or granted and not yet applied
	Undecided int64         `json:"undecided"` // entries that could not be decided again
	Reasons   []Reason      `json:"reasons"`   // why, the commonest first; at most ten
	Took      time.Duration `json:"took_ns"`
}

// Version names policies and their prices.
type Version struct {
	Bundle string `json:"bundle"`
	Prices string `json:"prices"`
}

// SelfCheck compares stored verdicts with what the very policies that gave them
// say now; any difference means that the rest of the report cannot be trusted.
type SelfCheck struct {
	Checked     int64     `json:"checked"`
	Differences int64     `json:"differences"`
	Examples    []Example `json:"examples"`
}

// Impact is what changes in one part of the past.
type Impact struct {
	Decided int64 `json:"decided"`

	NewlyDenied          Group `json:"newly_denied"`
	NewlyNeedingApproval Group `json:"newly_needing_approval"` // was allowed
	NewlyApprovable      Group `json:"newly_approvable"`       // was denied, and could be approved
	NewlyAllowed         Group `json:"newly_allowed"`
	Reworded             Group `json:"reworded"` // the same outcome by other findings

	Prices PriceChange `json:"prices"`
}

// Voided is what changes for approvals: each is counted by what becomes of it
// under the candidate, when that is not what the baseline makes of it.
type Voided struct {
	Decided  int64 `json:"decided"`
	Denied   Group `json:"denied"`     // there would be nothing left to approve
	Anew     Group `json:"asked_anew"` // more or other people would have to approve, or the same ones again
	Unneeded Group `json:"unneeded"`   // nobody would have to approve
}

// Count is how many approvals the candidate would void.
func (v Voided) Count() int64 { return v.Denied.Count + v.Anew.Count }

// Stopped is how many would no longer go on by themselves.
func (i Impact) Stopped() int64 { return i.NewlyDenied.Count + i.NewlyNeedingApproval.Count }

// StoppedCost is the monthly cost of what would no longer go on by itself.
func (i Impact) StoppedCost() provision.Money {
	return i.NewlyDenied.MonthlyCost + i.NewlyNeedingApproval.MonthlyCost
}

// Differences is how many entries change in any way but their price.
func (i Impact) Differences() int64 {
	return i.Stopped() + i.NewlyApprovable.Count + i.NewlyAllowed.Count + i.Reworded.Count
}

// Group is entries that change in the same way. An entry counts once for each
// rule that changes it. Its cost is by the candidate's prices.
type Group struct {
	Count        int64           `json:"count"`
	MonthlyCost  provision.Money `json:"monthly_cost"`
	Rules        []Share         `json:"rules"` // the largest first, as are the others
	Teams        []Share         `json:"teams"`
	Environments []Share         `json:"environments"`
	Examples     []Example       `json:"examples"` // the oldest
}

// Share is one name's part of a group.
type Share struct {
	Name        string          `json:"name"`
	Count       int64           `json:"count"`
	MonthlyCost provision.Money `json:"monthly_cost"`
}

// Example is one entry that changes.
type Example struct {
	RequestID   uuid.UUID         `json:"request_id,omitzero"`
	InstanceID  uuid.UUID         `json:"instance_id,omitzero"`
	Name        string            `json:"name"`
	Owner       string            `json:"owner"`
	Environment string            `json:"environment"`
	Before      provision.Outcome `json:"before"`
	After       provision.Outcome `json:"after"`
	MonthlyCost provision.Money   `json:"monthly_cost"`
	Message     string            `json:"message"` // the first finding that makes the difference; "" when none does

	number int64
}

// PriceChange is how the candidate's prices differ. Before and After are sums
// over what has a price on both sides.
type PriceChange struct {
	Changed      int64           `json:"changed"`
	Before       provision.Money `json:"before"`
	After        provision.Money `json:"after"`
	NewlyUnknown int64           `json:"newly_unknown"`
	NewlyKnown   int64           `json:"newly_known"`
}

// Reason is why entries could not be decided.
type Reason struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

func listed(shares map[string]*Share) []Share {
	list := []Share{}
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		list = append(list, *shares[name])
	}
	slices.SortStableFunc(list, func(a, b Share) int { return cmp.Compare(b.Count, a.Count) })
	return list
}
