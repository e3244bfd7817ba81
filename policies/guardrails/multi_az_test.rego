package roadbed.guardrails.multi_az_test

import data.roadbed.guardrails.multi_az
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_in(environment, enabled) := object.union(request, {
	"environment": {"name": environment},
	"parameters": {"multi_az": enabled},
})

test_inside_is_silent if {
	multi_az.findings == set() with input as _in("prod", true)
}

test_exactly_at_the_default_is_warned_about_in_production if {
	count(multi_az.findings) == 1 with input as request with input.environment.name as "prod"
}

test_outside_is_warned_about if {
	multi_az.findings == {{
		"rule": "multi_az",
		"level": "warn",
		"message": "This database in prod is not multi-AZ. Consider enabling for high availability.",
		"path": "multi_az",
		"way_out": "",
	}} with input as _in("prod", false)
}

test_lifted_outside_production if {
	multi_az.findings == set() with input as _in("staging", false)
}

test_lifted_for_an_offering_without_it if {
	multi_az.findings == set() with input as elsewhere with input.environment.name as "prod"
}

test_lifted_for_destroy if {
	multi_az.findings == set() with input as _in("prod", false) with input.action as "destroy"
}
