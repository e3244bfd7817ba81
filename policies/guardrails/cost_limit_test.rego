package roadbed.guardrails.cost_limit_test

import data.roadbed.guardrails.cost_limit
import data.roadbed.lib.fixture_test.request

_at(environment, mills) := object.union(request, {
	"environment": {"name": environment},
	"price": {"monthly_mills": mills},
})

test_inside_the_limit_is_allowed if {
	cost_limit.findings == set() with input as request
	cost_limit.findings == set() with input as _at("staging", 499990)
	cost_limit.findings == set() with input as _at("prod", 2130000)
}

test_exactly_at_the_limit_is_allowed if {
	cost_limit.findings == set() with input as _at("dev", 100000)
	cost_limit.findings == set() with input as _at("staging", 500000)
	cost_limit.findings == set() with input as _at("prod", 10000000)
}

test_outside_the_limit_is_denied_with_the_numbers if {
	cost_limit.findings == {{
		"rule": "cost_limit",
		"level": "deny",
		"message": "Estimated cost $171.00/month exceeds limit $100/month for dev.",
		"path": "",
		"way_out": "Please request approval from #platform-team.",
		"measure": 171000,
	}} with input as _at("dev", 171000)
}

test_outside_where_an_approval_lifts_it_requires_one if {
	every environment in ["staging", "prod"] {
		some finding in cost_limit.findings with input as _at(environment, 10000001)
		finding.level == "require_approval"
		finding.way_out == "Please request approval from #platform-team."
	}
}

test_outside_and_at_the_ceiling_requires_an_approval_and_above_it_is_denied if {
	some at in cost_limit.findings with input as _at("staging", 2000000)
		with data.limits.cost_limit.ceilings as {"staging": 2000}
	at.level == "require_approval"

	some above in cost_limit.findings with input as _at("staging", 2000001)
		with data.limits.cost_limit.ceilings as {"staging": 2000}
	above.level == "deny"
	above.way_out == "Choose something smaller."
}

test_outside_by_one_mill_is_denied_and_does_not_read_as_equal if {
	some finding in cost_limit.findings with input as _at("dev", 100001)
	finding.message == "Estimated cost $100.001/month exceeds limit $100/month for dev."

	some half_cent in cost_limit.findings with input as _at("dev", 100005)
	half_cent.message == "Estimated cost $100.005/month exceeds limit $100/month for dev."

	some large in cost_limit.findings with input as _at("prod", 10000010)
	large.message == "Estimated cost $10,000.01/month exceeds limit $10,000/month for prod."
}

test_outside_in_an_unknown_environment_uses_its_own_limit if {
	cost_limit.findings == set() with input as _at("sandbox", 100000)
	count(cost_limit.findings) == 1 with input as _at("sandbox", 100001)
}

test_outside_an_unknown_price_is_denied_with_the_reason if {
	price := {"known": false, "monthly_mills": 0, "reason": "instance_class db.r6g.2xlarge has no price.", "item_mills": {}}
	some finding in cost_limit.findings with input as request with input.price as price
	finding.level == "deny"
	finding.message == concat("", [
		"The cost is not known, so it cannot be held against the limit of $100/month for dev: ",
		"instance_class db.r6g.2xlarge has no price.",
	])
	contains(finding.way_out, "#platform-team")
}

test_outside_an_unknown_price_is_one_denial_whatever_the_number if {
	every mills in [0, 100001, "50", null] {
		findings := cost_limit.findings with input as request
			with input.price as {"known": false, "monthly_mills": mills, "reason": "no price"}
		count(findings) == 1
	}
}

test_outside_a_price_that_is_no_number_is_denied if {
	every mills in ["50", null, false] {
		some finding in cost_limit.findings with input as request
			with input.price as {"known": true, "monthly_mills": mills, "reason": "no number"}
		contains(finding.message, "The cost is not known")
	}
}

test_outside_no_price_at_all_is_denied if {
	count(cost_limit.findings) == 1 with input as object.remove(request, ["price"])
}

test_outside_an_unknown_price_is_denied_whatever_the_level if {
	some finding in cost_limit.findings with input as request
		with input.price as {"known": false, "reason": "no price"}
		with data.limits.cost_limit.level as "require_approval"
	finding.level == "deny"
}

test_lifted_by_data_to_an_approval if {
	some finding in cost_limit.findings with input as _at("dev", 171000)
		with data.limits.cost_limit.level as "require_approval"
	finding.level == "require_approval"
}

test_lifted_by_a_higher_limit if {
	cost_limit.findings == set() with input as _at("dev", 171000)
		with data.limits.cost_limit.environments.dev as 171
}

test_lifted_for_destroy if {
	cost_limit.findings == set() with input as _at("dev", 171000) with input.action as "destroy"
	cost_limit.findings == set() with input as request with input.action as "destroy" with input.price as {"known": false}
}
