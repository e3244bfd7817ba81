# METADATA
# title: Budget
# description: >
#   The monthly budgets of teams, cost centres and environments, in thousandths of a dollar,
#   beside what others than the asking instance have taken of them.
# scope: package
# related_resources:
#   - ref: docs/policies.md#budget
package roadbed.lib.budget

import data.roadbed.lib.money

# METADATA
# description: Those of the input's balances that have a budget, in their order.
applying := [budget |
	some balance in input.balances
	budget := {
		"kind": balance.kind,
		"name": balance.name,
		"limit_mills": _limit_mills(balance.kind, balance.name),
		"level": _level(balance.kind, balance.name),
		"spent_mills": balance.spent_mills,
		"held_mills": balance.held_mills,
	}
]

# METADATA
# description: Everyone that the data names a budget for.
named := [{"kind": kind, "name": name} |
	some kind, budgets in data.budgets
	some name, _ in budgets.amounts
]

_limit_mills(kind, name) := money.mills(amount) if {
	budgets := data.budgets[kind]
	amount := object.get(budgets.amounts, name, object.get(budgets, "otherwise", null))
	amount != null
}

_level(kind, name) := object.get(data.budgets[kind].levels, name, data.budgets[kind].level)
