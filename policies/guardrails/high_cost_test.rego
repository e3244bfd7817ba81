package roadbed.guardrails.high_cost_test

import data.roadbed.guardrails.high_cost
import data.roadbed.lib.fixture_test.request

_at(environment, mills) := object.union(request, {
	"environment": {"name": environment},
	"price": {"monthly_mills": mills},
})

test_inside_is_silent if {
	high_cost.findings == set() with input as request
	high_cost.findings == set() with input as _at("staging", 199990)
}

test_exactly_at_the_threshold_is_silent if {
	high_cost.findings == set() with input as _at("staging", 200000)
}

test_outside_is_warned_about if {
	high_cost.findings == {{
		"rule": "high_cost",
		"level": "warn",
		"message": "Estimated cost $342.00/month is high for staging. Consider using a smaller instance.",
		"path": "",
		"way_out": "",
	}} with input as _at("staging", 342000)
}

test_outside_by_one_mill_is_warned_about if {
	some finding in high_cost.findings with input as _at("staging", 200001)
	startswith(finding.message, "Estimated cost $200.001/month is high for staging.")
	count(high_cost.findings) == 1 with input as _at("staging", 500000)
}

test_lifted_above_the_limit_where_it_is_denied if {
	high_cost.findings == set() with input as _at("staging", 500001)
	high_cost.findings == set() with input as _at("dev", 250000)
}

test_lifted_in_production if {
	high_cost.findings == set() with input as _at("prod", 342000)
}

test_lifted_for_destroy if {
	high_cost.findings == set() with input as _at("staging", 342000) with input.action as "destroy"
}
