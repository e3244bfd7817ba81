package roadbed.guardrails.cost_center_test

import data.roadbed.guardrails.cost_center
import data.roadbed.lib.fixture_test.request

test_inside_is_allowed if {
	cost_center.findings == set() with input as request with input.cost_center as "CC-1234"
}

test_exactly_at_one_character_is_allowed if {
	cost_center.findings == set() with input as request with input.cost_center as "x"
}

test_outside_is_denied if {
	cost_center.findings == {{
		"rule": "cost_center",
		"level": "deny",
		"message": "cost_center is required for billing.",
		"path": "cost_center",
		"way_out": "Enter your team's cost center, for example CC-1234.",
	}} with input as request with input.cost_center as ""
}

test_outside_blank_or_absent_is_denied if {
	count(cost_center.findings) == 1 with input as request with input.cost_center as "  "
	count(cost_center.findings) == 1 with input as object.remove(request, ["cost_center"])
}

test_lifted_for_destroy if {
	cost_center.findings == set() with input as request with input.cost_center as "" with input.action as "destroy"
}
