package roadbed.guardrails.budget_test

import data.roadbed.guardrails.budget
import data.roadbed.lib.fixture_test.request

_team := {"kind": "team", "name": "group:default/payments", "spent_mills": 19914500, "held_mills": 0}

_center := {"kind": "cost_center", "name": "CC-1234", "spent_mills": 24914500, "held_mills": 0}

_environment := {"kind": "environment", "name": "dev", "spent_mills": 9914500, "held_mills": 0}

_asking(balances) := object.union(request, {"balances": balances})

_taken(balance, mills) := object.union(balance, {"spent_mills": balance.spent_mills + mills})

test_inside_every_budget_is_allowed if {
	budget.findings == set() with input as request
	budget.findings == set() with input as _asking([_taken(_team, -1), _taken(_center, -1), _taken(_environment, -1)])
}

test_exactly_at_every_budget_is_allowed if {
	budget.findings == set() with input as _asking([_team, _center, _environment])
}

test_outside_says_whose_budget_and_by_how_much if {
	budget.findings == {{
		"rule": "budget",
		"level": "require_approval",
		"message": concat("", [
			"The budget of team payments is $20,000/month, and $19,949.00 of it is taken: ",
			"with this at $85.50 it would be exceeded by $34.50.",
		]),
		"path": "",
		"way_out": "Choose what costs at least $34.50 a month less, or request approval from #platform-team.",
	}} with input as _asking([_taken(_team, 34500)])
}

test_outside_where_it_is_denied_says_to_ask_for_more if {
	budget.findings == {{
		"rule": "budget",
		"level": "deny",
		"message": concat("", [
			"The budget of environment dev is $10,000/month, and $9,914.50 of it is taken: ",
			"with this at $85.50 it would be exceeded by $0.01.",
		]),
		"path": "",
		"way_out": "Choose what costs at least $0.01 a month less, or ask #platform-team for a larger budget.",
	}} with input as _asking([_taken(_environment, 1)])
}

test_outside_several_budgets_each_is_named if {
	findings := budget.findings with input as _asking([_taken(_team, 1), _taken(_center, 1), _taken(_environment, 1)])
	count(findings) == 3
	some finding in findings
	startswith(finding.message, "The budget of cost centre CC-1234 is $25,000/month")
}

test_outside_with_nothing_left_there_is_nothing_smaller if {
	some used_up in budget.findings with input as _asking([_taken(_team, 85500)])
	used_up.way_out == "Destroy what is no longer needed, or request approval from #platform-team."

	some almost in budget.findings with input as _asking([_taken(_team, 85490)])
	almost.way_out == "Choose what costs at least $85.49 a month less, or request approval from #platform-team."
}

test_outside_a_budget_with_approvers_of_its_own_names_them if {
	finance := {"groups": ["group:default/finance"], "count": 2}
	some finding in budget.findings with input as _asking([_taken(_team, 1)])
		with data.budgets.team.approvers as finance
	finding.approvers == ["group:default/finance"]
	finding.count == 2

	some denial in budget.findings with input as _asking([_taken(_team, 1)])
		with data.budgets.team.approvers as finance
		with data.budgets.team.level as "deny"
	not denial.approvers
}

test_outside_a_change_that_costs_more_is_held_to_the_budget if {
	some finding in budget.findings with input as _asking([object.union(_taken(_team, 1), {"held_mills": 85499})])
	finding.level == "require_approval"
}

test_lifted_for_what_does_not_raise_the_cost if {
	every held in [85500, 85501] {
		budget.findings == set() with input as _asking([object.union(_taken(_team, 1000000), {"held_mills": held})])
	}
}

test_lifted_for_destroy if {
	budget.findings == set() with input as _asking([_taken(_team, 1000000)]) with input.action as "destroy"
}

test_lifted_by_a_larger_budget if {
	budget.findings == set() with input as _asking([_taken(_team, 1000)])
		with data.budgets.team.amounts as {"group:default/payments": 20001}
}

test_lifted_for_an_ask_that_was_made_before_there_were_budgets if {
	budget.findings == set() with input as object.remove(_asking([_taken(_team, 1)]), ["balances"])
	budget.findings == set() with input as object.union(_asking([_taken(_team, 1)]), {"balances": null})
}
