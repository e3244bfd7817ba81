package roadbed.guardrails.large_database_test

import data.roadbed.guardrails.large_database
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_in(environment, storage_gb) := object.union(request, {
	"environment": {"name": environment},
	"parameters": {"storage_gb": storage_gb},
})

test_inside_is_allowed if {
	large_database.findings == set() with input as request
}

test_exactly_at_the_limit_is_allowed if {
	large_database.findings == set() with input as _in("dev", 500)
	large_database.findings == set() with input as _in("staging", 500)
	large_database.findings == set() with input as _in("prod", 800)
}

test_outside_requires_approval if {
	large_database.findings == {{
		"rule": "large_database",
		"level": "require_approval",
		"message": "Databases over 800 GB require approval in prod; this asks for 801 GB.",
		"path": "storage_gb",
		"way_out": "Choose 800 GB or less, or ask #platform-team.",
		"measure": 801,
	}} with input as _in("prod", 801)
}

test_outside_requires_approval_in_each_environment if {
	count(large_database.findings) == 1 with input as _in("dev", 501)
	count(large_database.findings) == 1 with input as _in("staging", 501)
}

test_outside_in_an_unknown_environment_uses_its_own_limit if {
	large_database.findings == set() with input as _in("sandbox", 500)
	count(large_database.findings) == 1 with input as _in("sandbox", 501)
}

test_outside_what_is_no_number_requires_approval if {
	count(large_database.findings) == 1 with input as _in("dev", "100")
	count(large_database.findings) == 1 with input as _in("dev", null)
}

test_lifted_by_a_higher_limit if {
	large_database.findings == set() with input as _in("prod", 801)
		with data.limits.large_database.environments.prod as 1000
}

test_lifted_for_what_is_no_database if {
	large_database.findings == set() with input as elsewhere
	large_database.findings == set() with input as elsewhere with input.parameters.storage_gb as 5000
}

test_lifted_for_destroy if {
	large_database.findings == set() with input as _in("prod", 801) with input.action as "destroy"
}
