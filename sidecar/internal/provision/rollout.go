package provision

import (
	"slices"

	"github.com/google/uuid"
)

// RuleRollout is what a campaign may do to an instance and what its plan does, as
// guardrails see it: shapes by their digests, and in words.
type RuleRollout struct {
	Campaign string `json:"campaign"`
	Approved string `json:"approved"`
	Planned  string `json:"planned"`
	Title    string `json:"title"` // of the planned shape
}

// rolloutRule is the rule that answers for a plan of another shape than the
// approved one.
const rolloutRule = "rollout_shape"

func (r *Rollout) planned(changes []Change, request uuid.UUID) *RuleRollout {
	shape := shapeOf(changes, request)
	return &RuleRollout{Campaign: r.Campaign.String(), Approved: r.Shape, Planned: shape.Digest(), Title: shape.Title()}
}

// held is a verdict that lets no plan go on which nobody has approved: where no
// rule answers for another shape than the approved one, it is denied. nil holds
// nothing.
func (r *RuleRollout) held(v Verdict) Verdict {
	if r == nil || r.Planned == r.Approved || slices.ContainsFunc(v.Findings, func(f Finding) bool {
		return f.Rule == rolloutRule && severity[f.Level] <= severity[LevelRequireApproval]
	}) {
		return v
	}
	v.Findings = worstFirst(append(slices.Clone(v.Findings), Finding{
		Rule: rolloutRule, Level: LevelDeny, Message: "Its campaign was approved for another plan; this would " + r.Title + ".",
		WayOut: "Ask for the upgrade of this instance by itself.",
	}))
	v.Outcome = outcomeOf(v.Findings)
	return v
}

// asker is on whose word the request is: nobody approves what they have asked
// for themselves.
func (r Request) asker() string {
	if r.Rollout != nil {
		return r.Rollout.ApprovedBy
	}
	return r.RequestedBy
}
