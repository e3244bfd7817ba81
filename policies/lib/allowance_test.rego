package roadbed.lib.allowance_test

import data.roadbed.lib.allowance
import data.roadbed.lib.fixture_test.request

test_an_environment_has_its_own_limit if {
	allowance == {"limit_mills": 100000, "scope": "dev", "rule": "cost_limit"} with input as request
	allowance == {"limit_mills": 10000000, "scope": "prod", "rule": "cost_limit"} with input as request
		with input.environment.name as "prod"
}

test_another_environment_has_the_limit_for_the_rest if {
	allowance == {"limit_mills": 75500, "scope": "sandbox", "rule": "cost_limit"} with input as request
		with input.environment.name as "sandbox"
		with data.limits.cost_limit.otherwise as 75.5
}
