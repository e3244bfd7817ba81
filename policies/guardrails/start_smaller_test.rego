package roadbed.guardrails.start_smaller_test

import data.roadbed.guardrails.start_smaller
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_in(environment, storage_gb) := object.union(request, {
	"environment": {"name": environment},
	"parameters": {"storage_gb": storage_gb},
})

test_inside_is_silent if {
	start_smaller.findings == set() with input as request
}

test_exactly_at_the_size_is_silent if {
	start_smaller.findings == set() with input as _in("dev", 500)
}

test_outside_is_recommended_less if {
	start_smaller.findings == {{
		"rule": "start_smaller",
		"level": "info",
		"message": "501 GB is much for dev. Consider starting with 250GB.",
		"path": "storage_gb",
		"way_out": "",
	}} with input as _in("dev", 501)
	count(start_smaller.findings) == 1 with input as _in("staging", 501)
}

test_lifted_in_production if {
	start_smaller.findings == set() with input as _in("prod", 1000)
}

test_lifted_for_an_offering_without_storage if {
	start_smaller.findings == set() with input as elsewhere
	start_smaller.findings == set() with input as _in("dev", "1000")
	start_smaller.findings == set() with input as _in("dev", {"set": true})
}

test_lifted_for_destroy if {
	start_smaller.findings == set() with input as _in("dev", 501) with input.action as "destroy"
}
