package roadbed.guardrails.team_owner_test

import data.roadbed.guardrails.team_owner
import data.roadbed.lib.fixture_test.request

test_inside_is_allowed if {
	team_owner.findings == set() with input as request with input.owner as "group:default/payments"
}

test_exactly_at_one_character_is_allowed if {
	team_owner.findings == set() with input as request with input.owner as "x"
}

test_outside_is_denied if {
	team_owner.findings == {{
		"rule": "team_owner",
		"level": "deny",
		"message": "team_owner is required for cost allocation.",
		"path": "team_owner",
		"way_out": "Choose the team that owns this.",
	}} with input as request with input.owner as ""
}

test_outside_blank_or_absent_is_denied if {
	count(team_owner.findings) == 1 with input as request with input.owner as "  "
	count(team_owner.findings) == 1 with input as object.remove(request, ["owner"])
}

test_lifted_for_destroy if {
	team_owner.findings == set() with input as request with input.owner as "" with input.action as "destroy"
}
