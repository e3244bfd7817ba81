package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Approval is whose approval a request needs, and what of it has been given. It
// is bound to a plan's actions, the findings about it and its price: see worse.
type Approval struct {
	Needed []ApprovalNeed  `json:"needed"` // each must be met
	Given  []ApprovalGiven `json:"given"`  // oldest first; each person once

	// What the approval is for; nil and zero until a plan has asked for it.
	Plan    []PlannedAction `json:"plan,omitempty"`    // by address; without what only reads
	Planned bool            `json:"planned,omitempty"` // Plan is known, be it empty
	Digest  string          `json:"digest,omitempty"`  // of Plan
	Found   []string        `json:"found,omitempty"`   // the findings, as findingKey names them
	Ceiling *Money          `json:"ceiling,omitempty"` // the monthly price

	// Over is by how much the request may exceed budgets a month, by the budget's
	// kind/name; nil when it exceeds none.
	Over map[string]Money `json:"over,omitempty"`

	RunID      uuid.UUID  `json:"run_id"`                // the run whose sealed plan is kept; zero when none is
	PlanDigest string     `json:"plan_digest,omitempty"` // of the sealed plan, in hex
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`  // nil while it does not wait
	GrantedAt  *time.Time `json:"granted_at,omitempty"`  // nil until every need is met
	RejectedBy string     `json:"rejected_by,omitempty"`
	Void       string     `json:"void,omitempty"` // why earlier approvals no longer count; "" when none was lost
}

// ApprovalNeed is a quorum: Count of People, who are the members of the
// approving groups when it was asked for, without the requester.
type ApprovalNeed struct {
	Approvers []string `json:"approvers"` // entity refs of groups, sorted
	People    []string `json:"people"`    // entity refs of users, sorted
	Count     int      `json:"count"`
	Rules     []string `json:"rules"` // that ask for it, sorted
}

// Missing is how many of the need's people have still to approve.
func (n ApprovalNeed) Missing(given []ApprovalGiven) int {
	have := 0
	for _, g := range given {
		if slices.Contains(n.People, g.By) {
			have++
		}
	}
	return max(0, n.Count-have)
}

// ApprovalGiven is one person's approval.
type ApprovalGiven struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// PlannedAction is what a plan does to one resource: create, update, replace or
// delete.
type PlannedAction struct {
	Address string `json:"address"`
	Type    string `json:"type"`
	Action  string `json:"action"`
}

// PlanSummary is what a plan does, for people.
type PlanSummary struct {
	Create  int             `json:"create"`
	Update  int             `json:"update"`
	Replace int             `json:"replace"`
	Delete  int             `json:"delete"`
	Changes []PlannedAction `json:"changes"` // by address
}

// GoOn is the answer to a plan that was not refused: the run may apply, unless
// people must approve first.
type GoOn struct {
	Wait bool `json:"wait,omitempty"`
}

// Granted reports whether every need is met.
func (a *Approval) Granted() bool { return a != nil && a.GrantedAt != nil }

// approvedPlan is the digest of the sealed plan that was approved, "" when there
// is none.
func (a *Approval) approvedPlan() string {
	if !a.Granted() {
		return ""
	}
	return a.PlanDigest
}

// MayApprove reports whether subject is one of the people who may approve.
func (a *Approval) MayApprove(subject string) bool {
	return a != nil && slices.ContainsFunc(a.Needed, func(n ApprovalNeed) bool { return slices.Contains(n.People, subject) })
}

// GivenBy reports whether a person's approval counts already.
func (a *Approval) GivenBy(person string) bool {
	return a != nil && slices.ContainsFunc(a.Given, func(g ApprovalGiven) bool { return g.By == person })
}

// Summary is the plan that the approval is for; nil until there is one.
func (a *Approval) Summary() *PlanSummary {
	if a == nil || !a.Planned {
		return nil
	}
	return summaryOf(a.Plan)
}

func summaryOf(actions []PlannedAction) *PlanSummary {
	s := &PlanSummary{Changes: append([]PlannedAction{}, actions...)}
	for _, c := range actions {
		switch c.Action {
		case "create":
			s.Create++
		case "update":
			s.Update++
		case "replace":
			s.Replace++
		case "delete":
			s.Delete++
		}
	}
	return s
}

// missing says in words whose approval has still to come.
func (a *Approval) missing() string {
	var waits []string
	for _, n := range a.Needed {
		if m := n.Missing(a.Given); m > 0 {
			text := "approval by " + shortRefs(n.Approvers)
			if n.Count > 1 {
				text += fmt.Sprintf(" (%d of %d)", n.Count-m, n.Count)
			}
			waits = append(waits, text)
		}
	}
	return strings.Join(waits, " and ")
}

// shortRefs are groups as people say them: "platform-team or finance".
func shortRefs(refs []string) string {
	short := make([]string, len(refs))
	for i, ref := range refs {
		short[i] = strings.TrimPrefix(strings.TrimPrefix(ref, "group:"), "default/")
	}
	return strings.Join(short, " or ")
}

// clone is an approval that may be changed without changing a.
func (a *Approval) clone() *Approval {
	if a == nil {
		return nil
	}
	c := *a
	c.Needed, c.Given, c.Plan, c.Found = slices.Clone(a.Needed), slices.Clone(a.Given), slices.Clone(a.Plan), slices.Clone(a.Found)
	c.Over = maps.Clone(a.Over)
	return &c
}

// needsOf are the quorums that findings ask for, one for each set of groups;
// rules that name the same groups share the larger count. people are the groups'
// members; the requester is left out.
func needsOf(findings []Finding, people map[string][]string, requester string) []ApprovalNeed {
	byGroups := map[string]*ApprovalNeed{}
	var order []string
	for _, f := range findings {
		if f.Level != LevelRequireApproval {
			continue
		}
		groups := sorted(f.Approvers)
		key := strings.Join(groups, " ")
		need := byGroups[key]
		if need == nil {
			need = &ApprovalNeed{Approvers: groups}
			for _, g := range groups {
				need.People = append(need.People, people[g]...)
			}
			need.People = slices.DeleteFunc(sorted(need.People), func(p string) bool { return p == requester })
			byGroups[key], order = need, append(order, key)
		}
		need.Count = max(need.Count, f.Count, 1)
		need.Rules = sorted(append(need.Rules, f.Rule))
	}
	needs := []ApprovalNeed{}
	for _, key := range order {
		needs = append(needs, *byGroups[key])
	}
	return needs
}

func sorted(texts []string) []string {
	c := append([]string{}, texts...)
	slices.Sort(c)
	return slices.Compact(c)
}

// plannedActions are what a plan changes, by address.
func plannedActions(changes []Change) []PlannedAction {
	actions := []PlannedAction{}
	for _, c := range changes {
		if c.Action != "no-op" && c.Action != "read" {
			actions = append(actions, PlannedAction{c.Address, c.Type, c.Action})
		}
	}
	slices.SortFunc(actions, func(a, b PlannedAction) int { return strings.Compare(a.Address, b.Address) })
	return actions
}

func actionsDigest(actions []PlannedAction) string {
	sum := sha256.New()
	for _, a := range actions {
		_, _ = fmt.Fprintf(sum, "%q %q %q\n", a.Address, a.Type, a.Action) // a hash never fails to write
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// findingKeys name what a verdict complains of, and where in the plan, without
// its numbers.
func findingKeys(findings []Finding) []string {
	keys := []string{}
	for _, f := range findings {
		if f.Level != LevelInfo {
			key := string(f.Level) + " " + f.Rule + " " + f.Path
			if f.Address != "" {
				key += " " + f.Address + " " + f.Attribute
			}
			keys = append(keys, key)
		}
	}
	return sorted(keys)
}

// Fate is what another verdict would make of an approval.
type Fate int

// The fates, best first.
const (
	Unneeded    Fate = iota // nobody need approve any more
	Stands                  // what is asked for, and given, is enough
	AskedAnew               // it needs more or other people, or those who gave it must look again
	DeniedSince             // there is nothing left to approve
)

// Under is what an approval would become were its plan judged so now, and why:
// "" unless it is asked anew.
func (a *Approval) Under(judged Verdict) (fate Fate, why string) {
	switch {
	case !judged.Acceptable():
		return DeniedSince, ""
	case judged.Outcome != OutcomeRequireApproval:
		return Unneeded, ""
	}
	if a.Planned {
		if why := a.worse(a.Plan, judged); why != "" {
			return AskedAnew, why
		}
	}
	for _, need := range needsOf(judged.Findings, nil, "") {
		at := slices.IndexFunc(a.Needed, func(known ApprovalNeed) bool { return slices.Equal(known.Approvers, need.Approvers) })
		switch {
		case at < 0:
			return AskedAnew, "it now needs approval by " + shortRefs(need.Approvers)
		case need.Count > a.Needed[at].Count:
			return AskedAnew, fmt.Sprintf("it now needs approval by %d of %s", need.Count, shortRefs(need.Approvers))
		}
	}
	return Stands, ""
}

// worse says in words why a plan and its verdict are worse than what was
// approved: an address or an action that was not, a finding that was not, or a
// price above the approved one. "" means that they are not.
func (a *Approval) worse(actions []PlannedAction, judged Verdict) string {
	if !a.Planned {
		return "nothing was planned when it was approved"
	}
	for _, action := range actions {
		if !slices.Contains(a.Plan, action) {
			return fmt.Sprintf("the plan would now %s %s", action.Action, action.Address)
		}
	}
	for _, key := range findingKeys(judged.Findings) {
		level, rest, _ := strings.Cut(key, " ")
		known := slices.Contains(a.Found, key) ||
			level == string(LevelWarn) && slices.Contains(a.Found, string(LevelRequireApproval)+" "+rest)
		if !known {
			said := strings.Split(rest, " ") // rule, path and, of a plan, address and attribute
			if len(said) > 2 {
				return "there is a new finding of " + said[0] + " at " + strings.Join(said[2:len(said)-1], " ")
			}
			return "there is a new finding of " + said[0]
		}
	}
	if a.Ceiling == nil || judged.MonthlyCost() > *a.Ceiling {
		return fmt.Sprintf("it would now cost %s a month", judged.MonthlyCost())
	}
	return ""
}
