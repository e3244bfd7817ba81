package roadbed.plan.unpriced_resources_test

import data.roadbed.lib.fixture_test.request
import data.roadbed.plan.unpriced_resources

_with(unpriced) := object.union(request, {"stage": "plan", "price": {"unpriced": unpriced}})

_queue := {"address": "aws_sqs_queue.main", "type": "aws_sqs_queue"}

test_inside_is_allowed if {
	unpriced_resources.findings == set() with input as _with([])
}

test_exactly_at_a_plan_that_is_not_priced_by_what_it_makes_it_is_silent if {
	unpriced_resources.findings == set() with input as _with(null)
	unpriced_resources.findings == set() with input as request
}

test_outside_a_single_resource_is_named if {
	unpriced_resources.findings == {{
		"rule": "unpriced_resources",
		"level": "warn",
		"message": "The price does not include aws_sqs_queue.main.",
		"path": "",
		"way_out": "Ask #platform-team to price it in the offering, or to say that it costs nothing.",
	}} with input as _with([_queue])
}

test_outside_every_resource_is_named if {
	some finding in unpriced_resources.findings with input as _with([_queue, {"address": "a.b", "type": "a"}])
	finding.message == "The price does not include aws_sqs_queue.main, a.b."
}

test_lifted_for_destroy if {
	unpriced_resources.findings == set() with input as object.union(_with([_queue]), {"action": "destroy"})
}
