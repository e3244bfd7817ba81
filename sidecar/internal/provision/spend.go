package provision

import (
	"cmp"
	"slices"
	"time"
)

// BudgetKind is whose spend a budget caps.
type BudgetKind string

// The kinds of budget; every instance spends from one of each.
const (
	BudgetTeam        BudgetKind = "team"        // named by the owner's entity ref
	BudgetCostCenter  BudgetKind = "cost_center" // named as requests name it
	BudgetEnvironment BudgetKind = "environment"
)

// Scope names one that spends.
type Scope struct {
	Kind BudgetKind `json:"kind"`
	Name string     `json:"name"`
}

func (s Scope) key() string { return string(s.Kind) + "/" + s.Name }

// scopesOf are those that pay for what an owner has in an environment, without
// those that have no name.
func scopesOf(owner, costCenter, environment string) []Scope {
	all := []Scope{{BudgetTeam, owner}, {BudgetCostCenter, costCenter}, {BudgetEnvironment, environment}}
	return slices.DeleteFunc(all, func(s Scope) bool { return s.Name == "" })
}

// Balance is what is taken a month by all living instances of a scope.
type Balance struct {
	Scope
	Reserved  Money // held for requests that have not begun to apply
	Committed Money // of what is there, or is being applied
	Held      Money // apart from these, by the instance that asks; 0 unless it asks
}

// Spent is all that is taken.
func (b Balance) Spent() Money { return b.Reserved + b.Committed }

// Budget is a scope's limit a month, and what happens above it.
type Budget struct {
	Scope
	Limit Money
	Level Level // deny or require_approval
}

// BudgetLeft is a budget as an ask finds it.
type BudgetLeft struct {
	Scope
	Limit     Money `json:"limit"`
	Spent     Money `json:"spent"`      // by others than the asking instance
	Left      Money `json:"left"`       // the limit less what is spent; negative above it
	LeftAfter Money `json:"left_after"` // Left less what the ask would take
	Level     Level `json:"level"`
}

// BudgetBalance is a budget and what is taken of it.
type BudgetBalance struct {
	Scope
	Limit     Money `json:"limit"`
	Reserved  Money `json:"reserved"`
	Committed Money `json:"committed"`
	Left      Money `json:"left"` // negative above the limit
	Level     Level `json:"level"`
}

// monthHours are the hours that a monthly price is for, as clouds count them.
const monthHours = 730

// charge is what something takes of a monthly budget. A lifetime that is
// shorter than a month counts for its share of one, a part of a mill up; 0 is
// without end.
func charge(monthly Money, lifetime time.Duration) Money {
	const month = monthHours * time.Hour
	if lifetime <= 0 || lifetime >= month {
		return monthly
	}
	minutes := Money((lifetime + time.Minute - 1) / time.Minute)
	return (monthly*minutes + monthHours*60 - 1) / (monthHours * 60)
}

// others are the balances without what i itself has taken of them. Of that it
// need not ask for held again.
func others(balances []Balance, i Instance, held Money) []Balance {
	own := scopesOf(i.Owner, i.CostCenter, i.Environment)
	less := slices.Clone(balances)
	for n, b := range less {
		if slices.Contains(own, b.Scope) {
			less[n].Reserved -= i.Reserved
			less[n].Committed -= i.Committed
			less[n].Held = held
		}
	}
	return less
}

// left are the budgets as an ask that would take charge finds them.
func left(budgets []Budget, balances []Balance, charge Money) []BudgetLeft {
	spent := map[Scope]Money{}
	for _, b := range balances {
		spent[b.Scope] = b.Spent()
	}
	lefts := make([]BudgetLeft, len(budgets))
	for i, b := range budgets {
		rest := b.Limit - spent[b.Scope]
		lefts[i] = BudgetLeft{Scope: b.Scope, Limit: b.Limit, Spent: spent[b.Scope], Left: rest, LeftAfter: rest - charge, Level: b.Level}
	}
	return lefts
}

// fitting is how much of charge no budget is too small for.
func fitting(budgets []BudgetLeft, charge Money) Money {
	for _, b := range budgets {
		charge = min(charge, b.Left)
	}
	return max(0, charge)
}

// overdrawn is by how much taking charge exceeds each budget, by its key; nil
// when it exceeds none.
func overdrawn(budgets []BudgetLeft, charge Money) map[string]Money {
	var over map[string]Money
	for _, b := range budgets {
		if by := charge - b.Left; by > 0 {
			if over == nil {
				over = map[string]Money{}
			}
			over[b.key()] = by
		}
	}
	return over
}

// BalanceMove is by how much a record moves a scope's balance.
type BalanceMove struct {
	Scope
	Reserved  Money
	Committed Money
	Cap       *Money // what the balance may not exceed if the move raises it; nil is no cap
}

// spending is what an instance has taken, and of whom.
type spending struct {
	scopes              []Scope
	reserved, committed Money
}

func spendingOf(i *Instance) spending {
	if i == nil {
		return spending{}
	}
	return spending{scopesOf(i.Owner, i.CostCenter, i.Environment), i.Reserved, i.Committed}
}

// balanceMoves are the differences from before to after, sorted by scope so that
// whoever writes several locks them in one order.
func balanceMoves(before, after spending, caps map[Scope]Money) []BalanceMove {
	by := map[Scope]BalanceMove{}
	for _, scope := range before.scopes {
		by[scope] = BalanceMove{Reserved: -before.reserved, Committed: -before.committed}
	}
	for _, scope := range after.scopes {
		m := by[scope]
		m.Reserved += after.reserved
		m.Committed += after.committed
		by[scope] = m
	}
	var sorted []BalanceMove
	for scope, m := range by {
		if m.Reserved == 0 && m.Committed == 0 {
			continue
		}
		m.Scope = scope
		if limit, ok := caps[scope]; ok {
			m.Cap = &limit
		}
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b BalanceMove) int { return compareScopes(a.Scope, b.Scope) })
	return sorted
}

func compareScopes(a, b Scope) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
