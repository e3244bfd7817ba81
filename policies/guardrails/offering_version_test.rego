package roadbed.guardrails.offering_version_test

import data.roadbed.guardrails.offering_version
import data.roadbed.lib.fixture_test.request

_of(state, action) := object.union(request, {"action": action, "offering": {"state": state}})

test_inside_a_published_version_is_silent if {
	offering_version.findings == set() with input as request
	offering_version.findings == set() with input as object.union(request, {"action": "upgrade"})
}

test_exactly_at_a_deprecated_version_warns_whoever_begins_with_it if {
	offering_version.findings == {{
		"rule": "offering_version",
		"level": "warn",
		"message": "Version 1.2.0 of postgres-database is deprecated.",
		"path": "",
		"way_out": "See in the offering's versions what to take instead, or ask #platform-team.",
	}} with input as _of("deprecated", "create")
	count(offering_version.findings) == 1 with input as _of("deprecated", "import")
}

test_lifted_for_what_is_of_a_deprecated_version if {
	every action in {"update", "upgrade", "destroy", "rotate"} {
		offering_version.findings == set() with input as _of("deprecated", action)
	}
}

test_outside_nothing_begins_with_a_withdrawn_version if {
	every action in {"create", "import", "upgrade"} {
		offering_version.findings == {{
			"rule": "offering_version",
			"level": "deny",
			"message": "Version 1.2.0 of postgres-database is withdrawn.",
			"path": "",
			"way_out": "Ask again for the version that is published, or ask #platform-team.",
		}} with input as _of("withdrawn", action)
	}
}

test_outside_nothing_begins_with_a_draft if {
	every action in {"create", "import", "upgrade"} {
		some finding in offering_version.findings with input as _of("draft", action)
		finding.level == "deny"
		finding.way_out == "Wait until it is published, or ask #platform-team."
	}
}

test_lifted_for_what_is_of_a_withdrawn_version_can_be_changed_and_ended if {
	every action in {"update", "destroy", "rotate", "revert"} {
		offering_version.findings == set() with input as _of("withdrawn", action)
		offering_version.findings == set() with input as _of("draft", action)
	}
}
