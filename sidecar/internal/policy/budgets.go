package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Budgets are those of scopes that have a budget, in their order, from
// data.roadbed.lib.budget; of nil, all that the bundle names. A bundle without
// that package has none. A budget that is no whole number of mills, or whose
// level is neither deny nor require_approval, is an Internal error.
func (b *Bundle) Budgets(ctx context.Context, scopes []provision.Scope) ([]provision.Budget, error) {
	if scopes == nil {
		var err error
		if scopes, err = answer[provision.Scope](ctx, b.named, ast.NewObject()); err != nil {
			return nil, fmt.Errorf("read whose budgets there are: %w", err)
		}
	}
	spent := make([]provision.RuleBalance, len(scopes))
	for i, s := range scopes {
		spent[i] = provision.RuleBalance{Kind: s.Kind, Name: s.Name}
	}
	input, err := ast.InterfaceToValue(map[string]any{"balances": balances(spent)})
	if err != nil {
		return nil, fmt.Errorf("read budgets: %w", err)
	}
	said, err := answer[struct {
		provision.Scope
		Limit *int64          `json:"limit_mills"`
		Level provision.Level `json:"level"`
	}](ctx, b.budgets, input)
	if err != nil {
		return nil, fmt.Errorf("read budgets: %w", err)
	}
	budgets := make([]provision.Budget, len(said))
	for i, one := range said {
		if one.Limit == nil || one.Level != provision.LevelDeny && one.Level != provision.LevelRequireApproval {
			return nil, fmt.Errorf("read budgets: that of %s %s needs a limit and a level, deny or require_approval", one.Kind, one.Name)
		}
		budgets[i] = provision.Budget{Scope: one.Scope, Limit: provision.Money(*one.Limit), Level: one.Level}
	}
	return budgets, nil
}

// answer is a query's list; an undefined one is empty.
func answer[T any](ctx context.Context, query rego.PreparedEvalQuery, input ast.Value) ([]T, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results, err := query.Eval(ctx, rego.EvalParsedInput(input))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case len(results) == 0:
		return []T{}, nil
	case len(results) != 1 || len(results[0].Expressions) != 1:
		return nil, errors.New("the rules gave no answer")
	}
	text, err := json.Marshal(results[0].Expressions[0].Value)
	if err != nil {
		return nil, err
	}
	list := []T{}
	return list, json.Unmarshal(text, &list)
}
