package roadbed.guardrails.extension_test

import data.roadbed.guardrails.extension
import data.roadbed.lib.fixture_test.request

_extended(environment, hours) := object.union(request, {
	"action": "extend",
	"environment": {"name": environment},
	"lifetime_seconds": hours * 3600,
	"lifetime_before_seconds": (hours - 73) * 3600,
	"price": {"monthly_mills": 73000},
})

test_inside_is_priced_and_noted if {
	extension.findings == {{
		"rule": "extension",
		"level": "info",
		"message": "orders would live 100 hours in all. The extension costs about $7.30.",
		"path": "",
		"way_out": "",
	}} with input as _extended("dev", 100)
}

test_exactly_at_the_limit_needs_nobody if {
	some finding in extension.findings with input as _extended("dev", 168)
	finding.level == "info"
	some there in extension.findings with input as _extended("prod", 24)
	there.level == "info"
}

test_outside_needs_approval if {
	extension.findings == {{
		"rule": "extension",
		"level": "require_approval",
		"message": "orders would live 169 hours in all, longer than the 168 hours that need no approval in dev. The extension costs about $7.30.",
		"path": "",
		"way_out": "Extend it by less, or ask #platform-team to approve it.",
	}} with input as _extended("dev", 169)
}

test_outside_in_its_own_environment_needs_approval if {
	some finding in extension.findings with input as _extended("prod", 25)
	finding.level == "require_approval"
}

test_a_second_more_is_outside_and_a_whole_hour if {
	longer := object.union(_extended("dev", 168), {"lifetime_seconds": 604801})
	some finding in extension.findings with input as longer
	finding.level == "require_approval"
	startswith(finding.message, "orders would live 169 hours in all,")
}

test_what_is_dear_is_priced_to_the_cent_by_a_month_of_730_hours if {
	dear := object.union(_extended("dev", 100), {"price": {"monthly_mills": 73000000}})
	some finding in extension.findings with input as dear
	endswith(finding.message, " The extension costs about $7,300.00.")
}

test_without_a_price_no_cost_is_told if {
	unpriced := object.union(_extended("dev", 100), {"price": {"known": false, "monthly_mills": 0}})
	some finding in extension.findings with input as unpriced
	finding.message == "orders would live 100 hours in all."
}

test_lifted_for_what_is_no_extension if {
	extension.findings == set() with input as object.union(_extended("dev", 5000), {"action": "update"})
}
