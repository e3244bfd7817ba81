package provision

import (
	"context"
	"errors"
	"slices"
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

// Budgets are those that p may see, by kind and name: every one that the
// policies name, and of the others that spend, those that have one.
func (s *Service) Budgets(ctx context.Context, p Principal) ([]BudgetBalance, error) {
	balances, err := s.Store.Balances(ctx, nil)
	if err != nil {
		return nil, err
	}
	named, err := s.Judge.Rules.Budgets(ctx, nil)
	if err != nil {
		return nil, err
	}
	taken, scopes := map[Scope]Balance{}, []Scope{}
	for _, b := range balances {
		taken[b.Scope], scopes = b, append(scopes, b.Scope)
	}
	for _, b := range named {
		scopes = append(scopes, b.Scope)
	}
	slices.SortFunc(scopes, compareScopes)
	budgets, err := s.Judge.Rules.Budgets(ctx, slices.Compact(scopes))
	if err != nil {
		return nil, err
	}
	seen := []BudgetBalance{}
	for _, b := range budgets {
		may, err := s.seesBudget(ctx, p, b.Scope)
		if err != nil {
			return nil, err
		}
		if may {
			t := taken[b.Scope]
			seen = append(seen, BudgetBalance{b.Scope, b.Limit, t.Reserved, t.Committed, b.Limit - t.Spent(), b.Level})
		}
	}
	return seen, nil
}

func (s *Service) seesBudget(ctx context.Context, p Principal, scope Scope) (bool, error) {
	access := Access{Principal: p, Verb: VerbReadBudget}
	switch scope.Kind {
	case BudgetTeam:
		access.Owner = scope.Name
	case BudgetEnvironment:
		access.Environment = scope.Name
	}
	err := s.Authorizer.Allow(ctx, access)
	if err != nil && KindOf(err) == Denied {
		return false, nil
	}
	return err == nil, err
}

// InstanceBudgets are those that an instance is paid from; never nil.
func (s *Service) InstanceBudgets(ctx context.Context, i Instance) ([]BudgetLeft, error) {
	balances, err := s.Store.Balances(ctx, scopesOf(i.Owner, i.CostCenter, i.Environment))
	if err != nil {
		return nil, err
	}
	return s.Judge.budgets(ctx, others(balances, i, 0), i.Reserved+i.Committed)
}
