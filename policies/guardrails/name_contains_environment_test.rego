package roadbed.guardrails.name_contains_environment_test

import data.roadbed.guardrails.name_contains_environment
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_called(name, environment) := object.union(request, {
	"name": name,
	"environment": {"name": environment},
	"parameters": {"database_name": name},
})

_silent(name, environment) if {
	name_contains_environment.findings == set() with input as _called(name, environment)
}

_warned(name, environment) if {
	count(name_contains_environment.findings) == 1 with input as _called(name, environment)
}

test_inside_a_name_without_it_is_silent if {
	_silent("orders", "dev")
	_silent("orders-prod", "dev")
}

test_inside_a_longer_word_is_silent if {
	_silent("device-db", "dev")
	_silent("product-api", "prod")
	_silent("webdev", "dev")
	_silent("orders-prod-uk", "prod-eu")
}

test_exactly_at_the_whole_name_is_warned_about if {
	_warned("dev", "dev")
}

test_outside_is_warned_about if {
	name_contains_environment.findings == {{
		"rule": "name_contains_environment",
		"level": "warn",
		"message": "The name orders-dev contains environment 'dev'. Environment is already tagged separately.",
		"path": "database_name",
		"way_out": "",
	}} with input as _called("orders-dev", "dev")
}

test_outside_at_any_word_is_warned_about if {
	_warned("dev-orders", "dev")
	_warned("orders-dev-v2", "dev")
	_warned("orders-prod-eu", "prod-eu")
}

test_outside_of_another_offering_names_no_parameter if {
	some finding in name_contains_environment.findings with input as elsewhere with input.name as "orders-dev"
	finding.path == ""
}

test_lifted_without_an_environment if {
	_silent("orders--db", "")
}

test_lifted_for_destroy if {
	name_contains_environment.findings == set() with input as _called("orders-dev", "dev")
		with input.action as "destroy"
}
