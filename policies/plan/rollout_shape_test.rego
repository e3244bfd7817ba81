package roadbed.plan.rollout_shape_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.rollout_shape

_rolled(shape) := object.union(planned({}), {
	"action": "upgrade",
	"rollout": {"campaign": "c", "approved": "aaaa", "planned": shape, "title": "replace postgres database (name)"},
})

test_inside_what_was_approved_is_silent if {
	rollout_shape.findings == set() with input as _rolled("aaaa")
}

test_exactly_at_an_upgrade_of_no_campaign_is_silent if {
	rollout_shape.findings == set() with input as object.union(planned({}), {"action": "upgrade"})
}

test_outside_what_was_approved_asks_somebody if {
	rollout_shape.findings == {{
		"rule": "rollout_shape",
		"level": "require_approval",
		"message": "The campaign was approved for other changes than these: replace postgres database (name).",
		"path": "",
		"way_out": "Look at the plan, then ask #platform-team to approve it for orders alone.",
	}} with input as _rolled("bbbb")
}

test_lifted_for_every_other_action if {
	rollout_shape.findings == set() with input as object.union(_rolled("bbbb"), {"action": "update"})
}
