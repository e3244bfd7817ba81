package roadbed.guardrails.long_backups_test

import data.roadbed.guardrails.long_backups
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_in(environment, days) := object.union(request, {
	"environment": {"name": environment},
	"parameters": {"backup_retention_days": days},
})

test_inside_is_silent if {
	long_backups.findings == set() with input as request
}

test_exactly_at_two_weeks_is_silent if {
	long_backups.findings == set() with input as _in("dev", 14)
}

test_outside_is_recommended_less if {
	long_backups.findings == {{
		"rule": "long_backups",
		"level": "info",
		"message": "Backups are kept for 15 days; dev rarely needs more than 7 days.",
		"path": "backup_retention_days",
		"way_out": "",
	}} with input as _in("dev", 15)
}

test_lifted_outside_development if {
	long_backups.findings == set() with input as _in("staging", 35)
	long_backups.findings == set() with input as _in("prod", 35)
}

test_lifted_for_an_offering_without_backups if {
	long_backups.findings == set() with input as object.union(elsewhere, {"environment": {"name": "dev"}})
	long_backups.findings == set() with input as _in("dev", "30")
	long_backups.findings == set() with input as _in("dev", {"set": true})
}

test_lifted_for_destroy if {
	long_backups.findings == set() with input as _in("dev", 15) with input.action as "destroy"
}
