package provision

import (
	"context"
	"errors"
)

// budgetTries is how often an ask is judged again because others took what was
// left of a budget while it was judged.
const budgetTries = 5

// errContended is the answer to who has lost that race every time.
var errContended = &Error{Kind: Unavailable, Message: "many are spending from the same budget at this moment; nothing was lost, ask again shortly"}

// fund has the ask know what those who would pay for it have taken, instance
// itself apart; it is nil for something new. Without a store nobody counts, and
// what is destroyed needs no money.
func (s *Service) fund(ctx context.Context, ask *Ask, instance *Instance) error {
	scopes := scopesOf(ask.Owner, ask.CostCenter, ask.Environment.Name)
	if s.Store == nil || ask.Action == Destroy || len(scopes) == 0 {
		return nil
	}
	balances, err := s.Store.Balances(ctx, scopes)
	if err != nil {
		return err
	}
	if instance != nil {
		balances = others(balances, *instance, instance.Reserved+instance.Committed)
	}
	ask.Balances = balances
	return nil
}

// whileOthersSpend has submit judge and accept an ask, and judge it anew when
// others took what it was to take meanwhile.
func (s *Service) whileOthersSpend(ctx context.Context, ask *Ask, instance *Instance, submit func() (Request, error)) (Request, error) {
	for range budgetTries {
		if err := s.fund(ctx, ask, instance); err != nil {
			return Request{}, err
		}
		request, err := submit()
		if !errors.Is(err, ErrBudget) {
			return request, err
		}
	}
	return Request{}, errContended
}
