package provision

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// CampaignSubject is who asks for what a campaign rolls out.
const CampaignSubject = "system:campaign"

// CampaignState is how a campaign stands.
type CampaignState string

// A campaign's states.
const (
	CampaignOpen     CampaignState = "open"     // its plans are made and its groups approved; nothing is touched
	CampaignRunning  CampaignState = "running"  // approved groups are upgraded, ring by ring
	CampaignHalted   CampaignState = "halted"   // nothing more is asked for until somebody resumes it
	CampaignFinished CampaignState = "finished" // nothing is left to do
	CampaignStopped  CampaignState = "stopped"  // somebody has ended it
)

// Campaign is the upgrade of many instances to one version. Its groups are the
// shapes of their plans; only what is of an approved shape is touched.
type Campaign struct {
	ID        uuid.UUID     `json:"-"`
	State     CampaignState `json:"-"`
	Sequence  int64         `json:"-"`
	CreatedAt time.Time     `json:"-"`
	UpdatedAt time.Time     `json:"-"`

	Offering string `json:"offering"`
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	By       string `json:"by"`

	Environments []string `json:"environments"` // of these alone; nil is of all
	Owners       []string `json:"owners"`       // likewise

	Rings     []Ring `json:"rings"`      // in their order
	HaltAfter int    `json:"halt_after"` // failures that nobody has accepted
	AtOnce    int    `json:"at_once"`    // upgrades on their way at most

	Approved map[string]GroupApproval `json:"approved"` // by shape
	OptOuts  map[string]OptOut        `json:"opt_outs"` // by owner
	Reason   string                   `json:"reason"`   // why it is halted or stopped; "" else
}

// Ring is a part of a campaign that begins when the one before has ended well:
// what is in some environments, or so many instances.
type Ring struct {
	Name         string   `json:"name"`
	Environments []string `json:"environments,omitempty"`
	Size         int      `json:"size,omitempty"` // 0 is the rest
}

// GroupApproval is the platform team's word that plans of a shape may be applied.
type GroupApproval struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// OptOut keeps a campaign from an owner's instances until a date.
type OptOut struct {
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Rollout is what a request that a campaign has asked for may do.
type Rollout struct {
	Campaign   uuid.UUID `json:"campaign"`
	Shape      string    `json:"shape"`       // the approved one
	ApprovedBy string    `json:"approved_by"` // whose word it is asked for on
}

// MemberPlan is what the upgrade of one instance would do.
type MemberPlan struct {
	Shape      Shape     `json:"shape"`
	Outcome    Outcome   `json:"outcome"`
	Findings   []Finding `json:"findings"` // without notes
	CostBefore *Money    `json:"cost_before"`
	CostAfter  *Money    `json:"cost_after"`
	Failure    string    `json:"failure,omitempty"` // why it cannot be planned; then the rest is empty
	Generation int64     `json:"generation"`        // of the instance when it was planned
	At         time.Time `json:"at"`
}

// CampaignMember is an instance in a campaign, as it is now.
type CampaignMember struct {
	ID          uuid.UUID // of its check
	InstanceID  uuid.UUID
	Name        string
	Environment string
	Owner       string
	Ring        int // 0-based
	Plan        *MemberPlan
	Accepted    bool // its failure was accepted: it halts nothing any more

	Digest        string // of the version that it is of
	InstanceState InstanceState
	Generation    int64

	RequestID uuid.UUID // zero until it was asked for
	Request   State
	Waiting   string
	Error     string
	Busy      bool // another request is at it
}

// MemberState is a member's part in its campaign.
type MemberState string

// A member's states.
const (
	MemberPlanning   MemberState = "planning"    // its plan is to be made
	MemberUnplanned  MemberState = "cannot_plan" // and why it cannot be
	MemberUnapproved MemberState = "unapproved"  // planned; nobody has approved its group
	MemberOptedOut   MemberState = "opted_out"
	MemberReady      MemberState = "ready"  // its turn has still to come
	MemberAsked      MemberState = "asked"  // its upgrade is on its way
	MemberDone       MemberState = "done"   // it is of the version
	MemberFailed     MemberState = "failed" // its upgrade ended otherwise
	MemberGone       MemberState = "gone"
)

// StateIn is the member's state in a campaign at now.
func (m CampaignMember) StateIn(c Campaign, now time.Time) MemberState {
	switch {
	case m.RequestID != uuid.Nil && !m.Request.Terminal():
		return MemberAsked
	case m.InstanceState.Gone():
		return MemberGone
	case m.Digest == c.Digest:
		return MemberDone
	case m.RequestID != uuid.Nil:
		return MemberFailed
	case m.Plan == nil || m.Plan.Generation != m.Generation:
		if m.InstanceState != Ready {
			return MemberUnplanned
		}
		return MemberPlanning
	case m.Plan.Failure != "":
		return MemberUnplanned
	}
	if _, approved := c.Approved[m.Plan.Shape.Digest()]; !approved {
		return MemberUnapproved
	}
	if c.OptOuts[m.Owner].Until.After(now) {
		return MemberOptedOut
	}
	return MemberReady
}

// KeyIn is the idempotency key of the member's upgrade: by it a campaign finds
// its request, and asks for none twice.
func (m CampaignMember) KeyIn(c Campaign) string {
	return "campaign/" + c.ID.String() + "/" + m.InstanceID.String()
}

// WhyNot says why the member cannot be planned, "" when it can.
func (m CampaignMember) WhyNot() string {
	switch {
	case m.Plan != nil && m.Plan.Generation == m.Generation:
		return m.Plan.Failure
	case m.InstanceState != Ready:
		return "It is " + string(m.InstanceState) + "; only what is ready is planned."
	}
	return ""
}

// CampaignStep is what a running campaign does now.
type CampaignStep struct {
	Ring     int              // the ring that is at work; -1 when none is
	Ask      []CampaignMember // for which an upgrade is to be asked
	Halt     string           // why it halts; "" when it does not
	Finished bool
}

// Step decides what a running campaign does at now, from how its members are and
// nothing else, so that whoever takes it up goes on from there.
func (c Campaign) Step(members []CampaignMember, now time.Time) CampaignStep {
	step := CampaignStep{Ring: -1}
	var failed []string
	var ready []CampaignMember
	left, flying := 0, 0
	for _, m := range members {
		state := m.StateIn(c, now)
		switch state {
		case MemberFailed:
			if !m.Accepted {
				failed = append(failed, m.Environment+"/"+m.Name)
			}
		case MemberDone, MemberGone:
		default:
			left++
		}
		if state != MemberAsked && state != MemberReady {
			continue
		}
		if step.Ring < 0 || m.Ring < step.Ring {
			step.Ring = m.Ring
		}
		if state == MemberReady {
			ready = append(ready, m)
		} else if m.Request != AwaitingApproval {
			flying++
		}
	}
	if len(failed) >= c.HaltAfter {
		step.Halt = fmt.Sprintf("%s failed: %s", counted(len(failed), "upgrade"), strings.Join(failed, ", "))
		return step
	}
	step.Finished = left == 0
	for _, m := range ready {
		if m.Ring == step.Ring && !m.Busy && flying < c.AtOnce {
			step.Ask = append(step.Ask, m)
			flying++
		}
	}
	return step
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// CampaignGroup is what plans have in common: their shape, or why they cannot be
// made.
type CampaignGroup struct {
	Digest         string // of the shape; "" when they cannot be made
	Title          string
	Shape          Shape
	Failure        string // why they cannot be made; "" when they can
	Confirm        string // what is typed to approve it; "" when nothing need be
	Approval       *GroupApproval
	Members        []CampaignMember
	States         map[MemberState]int
	CostDifference *Money         // of all a month; nil when that is not known of each
	Findings       []GroupFinding // the gravest first
}

// GroupFinding is what a rule says of some of a group's plans.
type GroupFinding struct {
	Finding
	Count int // of how many
}

// Groups are the campaign's plans by shape, the gravest first, then those that
// most have, and last what cannot be planned. What is still to be planned is in
// none.
func (c Campaign) Groups(members []CampaignMember, now time.Time) []CampaignGroup {
	groups := map[string]*CampaignGroup{}
	for _, m := range members {
		var group CampaignGroup
		switch why := m.WhyNot(); {
		case why != "":
			group = CampaignGroup{Title: "cannot be planned", Failure: withoutName(why, m.Name)}
		case m.Plan == nil:
			continue
		default:
			group = CampaignGroup{Digest: m.Plan.Shape.Digest(), Title: m.Plan.Shape.Title(), Shape: m.Plan.Shape, Confirm: m.Plan.Shape.Confirm()}
		}
		known := groups[group.Digest+group.Failure]
		if known == nil {
			known = &group
			known.CostDifference, known.States = new(Money), map[MemberState]int{}
			if approval, ok := c.Approved[group.Digest]; ok && group.Failure == "" {
				known.Approval = &approval
			}
			groups[group.Digest+group.Failure] = known
		}
		known.add(m, m.StateIn(c, now))
	}
	sorted := make([]CampaignGroup, 0, len(groups))
	for _, g := range groups {
		slices.SortStableFunc(g.Findings, func(a, b GroupFinding) int {
			return cmp.Or(severity[a.Level]-severity[b.Level], cmp.Compare(b.Count, a.Count), cmp.Compare(a.Rule, b.Rule))
		})
		sorted = append(sorted, *g)
	}
	slices.SortFunc(sorted, func(a, b CampaignGroup) int {
		return cmp.Or(cmp.Compare(b.gravity(), a.gravity()), cmp.Compare(len(b.Members), len(a.Members)), cmp.Compare(a.Digest+a.Failure, b.Digest+b.Failure))
	})
	return sorted
}

// withoutName is why something failed without what is of one instance alone.
func withoutName(why, name string) string {
	return regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`).ReplaceAllString(why, "it")
}

func (g CampaignGroup) gravity() int {
	switch {
	case g.Failure != "":
		return -1
	case len(g.Shape) == 0:
		return 0
	}
	return gravity[g.Shape[0].Action]
}

func (g *CampaignGroup) add(m CampaignMember, state MemberState) {
	g.Members = append(g.Members, m)
	g.States[state]++
	if g.Failure != "" || m.Plan.CostBefore == nil || m.Plan.CostAfter == nil {
		g.CostDifference = nil
	} else if g.CostDifference != nil {
		*g.CostDifference += *m.Plan.CostAfter - *m.Plan.CostBefore
	}
	if m.Plan == nil {
		return
	}
	for _, f := range m.Plan.Findings {
		at := slices.IndexFunc(g.Findings, func(known GroupFinding) bool {
			return known.Rule == f.Rule && known.Level == f.Level && known.Attribute == f.Attribute && known.Path == f.Path
		})
		if at < 0 {
			g.Findings = append(g.Findings, GroupFinding{f, 1})
			continue
		}
		g.Findings[at].Count++
	}
}
