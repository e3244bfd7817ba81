package roadbed.guardrails.destroy_approval_test

import data.roadbed.guardrails.destroy_approval
import data.roadbed.lib.fixture_test.request

_in(environment, action) := object.union(request, {"environment": {"name": environment}, "action": action})

test_outside_needs_a_word if {
	destroy_approval.findings == {{
		"rule": "destroy_approval",
		"level": "require_approval",
		"message": "Destroying orders in prod, and what it holds, needs a second person's word.",
		"path": "",
		"way_out": "Ask #platform-team to approve it.",
	}} with input as _in("prod", "destroy")
}

test_its_level_is_data if {
	some finding in destroy_approval.findings with input as _in("prod", "destroy")
		with data.limits.destroy_approval.level as "deny"
	finding.level == "deny"
}

test_inside_is_silent if {
	destroy_approval.findings == set() with input as _in("dev", "destroy")
	destroy_approval.findings == set() with input as _in("staging", "destroy")
}

test_exactly_at_the_environments_of_the_data if {
	destroy_approval.findings == set() with input as _in("prod", "destroy")
		with data.limits.destroy_approval.environments as ["staging"]
	count(destroy_approval.findings) == 1 with input as _in("staging", "destroy")
		with data.limits.destroy_approval.environments as ["staging"]
}

test_lifted_for_what_destroys_nothing if {
	every action in ["create", "update", "upgrade"] {
		destroy_approval.findings == set() with input as _in("prod", action)
	}
}
