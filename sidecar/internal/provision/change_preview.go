package provision

import (
	"context"

	"github.com/google/uuid"
)

// ChangePreview is the answer to a change of an instance that nobody has asked for
// yet: its verdict, what would change and what that costs.
type ChangePreview struct {
	Answer
	Before, After  Parameters // as people see them
	Changes        []ParameterChange
	CostBefore     *Money // a month; nil when it is not known
	CostAfter      *Money
	CostDifference *Money   // after less before; nil when either is not known
	Replaces       []string // parameters whose change makes the resource anew
	VersionBefore  string
	VersionAfter   string
}

// immutableRule is the rule of the findings about what must not change.
const immutableRule = "immutable"

// PreviewChange answers what a change of an instance would, and stores nothing. What
// must not change is a finding that denies, so that a form can show it beside
// the rest; every other fault is Invalid.
func (s *Service) PreviewChange(ctx context.Context, p Principal, instanceID uuid.UUID, action Action, given Parameters, advise bool) (ChangePreview, error) {
	instance, err := s.forChange(ctx, p, instanceID)
	if err != nil {
		return ChangePreview{}, err
	}
	var ask intended
	if action == Destroy {
		ask.instance = instance
		ask.prepared, err = s.unchanged(ctx, p, instance, Destroy, StageForm)
	} else {
		ask, err = s.intend(ctx, p, instance, action, given, StageForm)
	}
	if err != nil {
		return ChangePreview{}, err
	}
	answer, err := s.foresee(ctx, &ask)
	if err != nil {
		return ChangePreview{}, err
	}
	if advise && action != Destroy {
		advice, err := s.Judge.Advise(ctx, ask.judged)
		if err != nil {
			return ChangePreview{}, err
		}
		answer.Advice = &advice
	}
	return ask.preview(answer), nil
}

// foresee judges a change that nobody has asked for yet as its submit would be,
// budgets and holds included; ask then knows what those who would pay have taken.
func (s *Service) foresee(ctx context.Context, ask *intended) (Answer, error) {
	if err := s.fund(ctx, &ask.judged, &ask.instance); err != nil {
		return Answer{}, err
	}
	verdict, input, err := s.Judge.weigh(ctx, ask.judged)
	if err != nil {
		return Answer{}, err
	}
	if verdict.Budgets, err = s.Judge.budgets(ctx, ask.judged.Balances, input.Price.ChargeMills); err != nil {
		return Answer{}, err
	}
	for _, f := range ask.frozen {
		verdict.Findings = append(verdict.Findings, Finding{Rule: immutableRule, Level: LevelDeny, Message: f.Message, Path: f.Path[1:]})
	}
	verdict.Findings = worstFirst(verdict.Findings)
	verdict.Outcome = outcomeOf(verdict.Findings)
	answer := Answer{Verdict: verdict}
	if answer.Allowance, err = s.Judge.Rules.Allowance(ctx, input); err != nil {
		return Answer{}, err
	}
	answer.Allowance.waive(verdict.Findings)
	answer.Holds, err = s.holdsNow(ctx, ask.judged)
	return answer, err
}

func (n intended) preview(answer Answer) ChangePreview {
	view := ChangePreview{
		Answer: answer, Before: n.judged.Before, After: n.judged.Parameters, Changes: n.changes, Replaces: []string{},
		CostBefore: n.instance.MonthlyCost, VersionBefore: n.instance.OfferingVersion, VersionAfter: n.offering.Version,
	}
	if answer.Estimate != nil {
		cost := answer.Estimate.MonthlyCost
		view.CostAfter = &cost
	}
	if view.CostBefore != nil && view.CostAfter != nil {
		difference := *view.CostAfter - *view.CostBefore
		view.CostDifference = &difference
	}
	if n.judged.Action == Destroy {
		view.After, view.Changes = Parameters{}, []ParameterChange{}
		return view
	}
	for _, c := range n.changes {
		if p, _ := n.offering.Parameter(c.Parameter); p.Replaces {
			view.Replaces = append(view.Replaces, c.Parameter)
		}
	}
	return view
}
