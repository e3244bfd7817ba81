package roadbed.plan.adopt_changes_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.adopt_changes

_adopting(change) := object.union(planned(object.union(change, {"address": "db.main"})), {"action": "adopt", "drifted": ["db.main"]})

test_inside_what_drifted_is_left_alone if {
	every action in ["no-op", "read"] {
		adopt_changes.findings == set() with input as _adopting({"action": action})
	}
}

test_exactly_at_a_record_of_what_was_asked_for_may_follow if {
	every action in ["create", "update"] {
		adopt_changes.findings == set() with input as object.union(_adopting({"action": action}), {"drifted": ["db.other"]})
	}
}

test_outside_what_drifted_would_be_changed if {
	every action in ["create", "update", "replace", "delete"] {
		some finding in adopt_changes.findings with input as _adopting({"action": action})
		finding == {
			"rule": "adopt_changes",
			"level": "deny",
			"message": sprintf("To adopt what is there must leave it alone, but db.main would be changed: %s.", [action]),
			"path": "",
			"way_out": "Have it checked for drift again, or revert it.",
			"address": "db.main",
		}
	}
}

test_outside_anything_would_be_lost if {
	every action in ["replace", "delete"] {
		count(adopt_changes.findings) == 1 with input as object.remove(_adopting({"action": action}), ["drifted"])
	}
}

test_lifted_for_every_other_action if {
	every action in ["create", "update", "upgrade", "revert", "destroy"] {
		adopt_changes.findings == set() with input as object.union(_adopting({"action": "update"}), {"action": action})
	}
}
