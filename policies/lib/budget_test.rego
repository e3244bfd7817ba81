package roadbed.lib.budget_test

import data.roadbed.lib.budget

_balances := [
	{"kind": "team", "name": "group:default/payments", "spent_mills": 1000, "held_mills": 10},
	{"kind": "cost_center", "name": "CC-9999", "spent_mills": 2000, "held_mills": 0},
	{"kind": "environment", "name": "prod", "spent_mills": 3000, "held_mills": 0},
]

test_who_is_named_has_a_budget_and_the_others_have_none if {
	budget.applying == [
		{
			"kind": "team", "name": "group:default/payments",
			"limit_mills": 20000000, "level": "require_approval", "spent_mills": 1000, "held_mills": 10,
		},
		{
			"kind": "environment", "name": "prod",
			"limit_mills": 100000000, "level": "require_approval", "spent_mills": 3000, "held_mills": 0,
		},
	] with input.balances as _balances
}

test_a_kind_may_have_a_budget_for_the_others if {
	some one in budget.applying with input.balances as _balances with data.budgets.cost_center.otherwise as 99.5
	one == {
		"kind": "cost_center", "name": "CC-9999",
		"limit_mills": 99500, "level": "require_approval", "spent_mills": 2000, "held_mills": 0,
	}
}

test_what_knows_no_balances_has_no_budgets if {
	budget.applying == [] with input as {}
	budget.applying == [] with input as {"balances": null}
	budget.applying == [] with input as {"balances": [{"kind": "planet", "name": "earth", "spent_mills": 1, "held_mills": 0}]}
}

test_each_name_has_its_amount_and_level if {
	expected := {
		"team": {"group:default/payments": 20000000, "group:default/search": 10000000},
		"cost_center": {"CC-1234": 25000000, "CC-2001": 15000000},
		"environment": {"dev": 10000000, "staging": 15000000, "prod": 100000000},
	}
	{[one.kind, one.name] | some one in budget.named} == {[kind, name] |
		some kind, names in expected
		some name, _ in names
	}
	every one in budget.named {
		[found] := budget.applying with input.balances as [object.union(one, {"spent_mills": 0, "held_mills": 0})]
		found.limit_mills == expected[one.kind][one.name]
		found.level == object.get({"dev": "deny", "staging": "deny"}, one.name, "require_approval")
	}
}

test_a_kind_says_what_happens_above_a_budget if {
	[one] := budget.applying with input.balances as [{"kind": "environment", "name": "sandbox", "spent_mills": 0, "held_mills": 0}]
		with data.budgets.environment.otherwise as 10
	one.level == "deny"
}
