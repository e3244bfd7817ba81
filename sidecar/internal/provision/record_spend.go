package provision

import (
	"fmt"
	"maps"
	"slices"
)

// ErrBudget is what a Store answers when a record would take more of a budget
// than is left by now. Nothing is stored: whoever asked judges again, with the
// balances as they are.
var ErrBudget = &Error{Kind: Conflict, Message: "others have taken what was left of a budget meanwhile; ask again"}

// Moves are what the record changes of the balances since it was read, for the
// store to add in the transaction that writes the record.
func (r *Record) Moves() []BalanceMove {
	after := spendingOf(r.Instance)
	caps := map[Scope]Money{}
	for _, b := range r.budgets {
		caps[b.Scope] = b.Limit + r.approvedOver()[b.key()]
	}
	return balanceMoves(r.before, after, caps)
}

// approvedOver is by how much people have let the request exceed budgets.
func (r *Record) approvedOver() map[string]Money {
	if !r.Request.Approval.Granted() {
		return nil
	}
	return r.Request.Approval.Over
}

// held is what the request need not ask for again. What is held with an
// approval is asked for again, so that its plan is compared with the approved.
func (r *Record) held() Money {
	if a := r.Request.Approval; a != nil && len(a.Over) > 0 {
		return r.Instance.Committed
	}
	return r.Instance.Reserved + r.Instance.Committed
}

// overApproved says whose budget is exceeded by more than people have approved,
// "" when nobody's is. What the instance holds already is taken from no one.
func (r *Record) overApproved(judged Verdict) string {
	cost := charge(judged.MonthlyCost(), r.Request.Lifetime)
	samePayers := r.Request.Owner == r.Instance.Owner && r.Request.CostCenter == r.Instance.CostCenter
	if samePayers && cost <= r.Instance.Reserved+r.Instance.Committed {
		return ""
	}
	over := overdrawn(judged.Budgets, cost)
	for _, key := range slices.Sorted(maps.Keys(over)) {
		if over[key] > r.Request.Approval.Over[key] {
			return fmt.Sprintf("the budget of %s would now be exceeded by %s", key, over[key])
		}
	}
	return ""
}

// price makes the verdict's price that of the request.
func (r *Record) price(judged Verdict) {
	r.budgets = judged.Budgets
	if judged.Estimate != nil {
		cost := judged.Estimate.MonthlyCost
		r.Request.MonthlyCost = &cost
	}
}

// hold reserves what the request takes beyond what its instance costs already.
func (r *Record) hold() { r.reserve(charge(amount(r.Request.MonthlyCost), r.Request.Lifetime)) }

// holdFitting is hold for a request that people have still to approve: of what
// exceeds a budget nothing is held until they have.
func (r *Record) holdFitting() {
	r.reserve(fitting(r.budgets, charge(amount(r.Request.MonthlyCost), r.Request.Lifetime)))
}

func (r *Record) reserve(cost Money) {
	verb := "adjusted"
	if r.Instance.Reserved == 0 {
		verb = "held"
	}
	r.spend(verb, max(0, cost-r.Instance.Committed), r.Instance.Committed)
}

// commit counts, from the start of apply, the larger of before and after; from
// then on it is owned and paid by whom it is asked for: of an apply that ends
// half way nobody can say that the old ones still have it.
func (r *Record) commit() {
	r.Instance.Owner, r.Instance.CostCenter = r.Request.Owner, r.Request.CostCenter
	cost := charge(amount(r.Request.MonthlyCost), r.Request.Lifetime)
	r.spend("committed", 0, max(cost, r.Instance.Committed))
}

// settle counts what is there once an apply has ended.
func (r *Record) settle(cost Money) { r.spend("settled", 0, cost) }

// settleNothing counts nothing for an apply that has ended without success when
// state holds no resource. Otherwise the larger of before and after stays: what
// is there is not known well enough to count less.
func (r *Record) settleNothing(o RunOutcome) {
	if r.Request.State == Applying && o.Resources != nil && *o.Resources == 0 {
		r.settle(0)
	}
}

// free gives back what was held for a request that never applied.
func (r *Record) free() {
	if r.Instance != nil {
		r.spend("released", 0, r.Instance.Committed)
	}
}

// spend is the only place that changes what an instance has taken.
func (r *Record) spend(verb string, reserved, committed Money) {
	i := r.Instance
	if i.Reserved == reserved && i.Committed == committed {
		return
	}
	r.tell("reservation", verb, r.Request.ID, map[string]any{
		"reserved": reserved, "committed": committed, "reserved_before": i.Reserved, "committed_before": i.Committed,
		"scopes": scopesOf(i.Owner, i.CostCenter, i.Environment),
	})
	i.Reserved, i.Committed = reserved, committed
}

func amount(m *Money) Money {
	if m == nil {
		return 0
	}
	return *m
}
