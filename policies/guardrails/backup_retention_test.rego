package roadbed.guardrails.backup_retention_test

import data.roadbed.guardrails.backup_retention
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_in(environment, days) := object.union(request, {
	"environment": {"name": environment},
	"parameters": {"backup_retention_days": days},
})

test_inside_is_allowed if {
	backup_retention.findings == set() with input as _in("prod", 35)
}

test_exactly_at_the_minimum_is_allowed if {
	backup_retention.findings == set() with input as _in("prod", 7)
}

test_outside_is_denied if {
	backup_retention.findings == {{
		"rule": "backup_retention",
		"level": "deny",
		"message": "Databases in prod must have at least 7 days backup retention; this asks for 6.",
		"path": "backup_retention_days",
		"way_out": "Set it to 7 or more.",
		"measure": -6,
	}} with input as _in("prod", 6)
}

test_outside_what_is_no_number_is_denied if {
	every days in ["30", null] {
		some finding in backup_retention.findings with input as _in("prod", days)
		finding.measure == 0
	}
}

test_lifted_outside_production if {
	backup_retention.findings == set() with input as _in("dev", 1)
	backup_retention.findings == set() with input as _in("staging", 1)
}

test_lifted_for_an_offering_without_backups if {
	backup_retention.findings == set() with input as elsewhere with input.environment.name as "prod"
}

test_lifted_for_destroy if {
	backup_retention.findings == set() with input as _in("prod", 1) with input.action as "destroy"
}
