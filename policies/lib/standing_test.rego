package roadbed.lib.standing_test

import data.roadbed.decision
import data.roadbed.lib.fixture_test.request
import data.roadbed.lib.standing

# An instance of 600 GB at $85.50, in dev, that is asked to become other.
_change(over) := object.union(
	object.union(request, {
		"action": "update",
		"parameters": {"storage_gb": 600},
		"before": object.union(request.parameters, {"storage_gb": 600}),
		"was": {
			"version": "1.1.0",
			"owner": "group:default/payments",
			"cost_center": "CC-1234",
			"price": request.price,
			"lifetime_seconds": 0,
		},
	}),
	over,
)

_levels(rule) := {finding.level | some finding in decision.findings; finding.rule == rule}

_priced(mills, before) := _change({
	"price": {"monthly_mills": mills},
	"was": {"price": {"monthly_mills": before}},
})

test_what_was_so_before_and_is_no_worse_is_a_warning if {
	some finding in decision.findings with input as _change({"parameters": {"multi_az": true}})
	finding == {
		"rule": "large_database",
		"level": "warn",
		"message": concat(" ", [
			"Databases over 500 GB require approval in dev; this asks for 600 GB.",
			"It is so already, and this makes it no worse.",
		]),
		"path": "storage_gb",
		"way_out": "",
	}
}

test_what_becomes_less_but_is_still_too_much_is_a_warning if {
	_levels("large_database") == {"warn"} with input as _change({"parameters": {"storage_gb": 501}})
	_levels("cost_limit") == {"warn"} with input as _priced(171000, 171001)
	_levels("cost_limit") == {"warn"} with input as _priced(171000, 171000)
}

test_what_becomes_worse_is_held_up if {
	_levels("large_database") == {"require_approval"} with input as _change({"parameters": {"storage_gb": 601}})
	_levels("cost_limit") == {"deny"} with input as _priced(171001, 171000)
	_levels("cost_limit") == {"deny"} with input as _priced(171000, 85500)
}

test_backups_that_are_too_short_may_become_longer_and_no_shorter if {
	kept := _change({"environment": {"name": "prod"}, "parameters": {"storage_gb": 100}, "before": {"backup_retention_days": 3}})
	every days in [3, 6] {
		_levels("backup_retention") == {"warn"} with input as object.union(kept, {"parameters": {"backup_retention_days": days}})
	}
	_levels("backup_retention") == {"deny"} with input as object.union(kept, {"parameters": {"backup_retention_days": 2}})
}

test_what_is_new_is_judged_as_ever if {
	_levels("large_database") == {"require_approval"} with input as _change({"before": {"storage_gb": 500}})
	_levels("large_database") == {"require_approval"} with input as object.remove(_change({}), ["was"])
	_levels("cost_center") == {"deny"} with input as _change({"cost_center": ""})
	_levels("team_owner") == {"deny"} with input as _change({"owner": ""})
}

test_who_owned_and_paid_counts_as_it_was if {
	_levels("cost_center") == {"warn"} with input as _change({"cost_center": "", "was": {"cost_center": ""}})
	_levels("team_owner") == {"warn"} with input as _change({"owner": "", "was": {"owner": ""}})
}

test_a_price_that_nobody_knows_is_never_let_be if {
	unknown := {"known": false, "reason": "no price"}
	_levels("cost_limit") == {"deny"} with input as _change({"price": unknown, "was": {"price": unknown}})
	_levels("cost_limit") == {"deny"} with input as _change({"price": {"monthly_mills": 171000}, "was": {"price": unknown}})
}

test_a_budget_is_held_against_what_is_taken_anew if {
	full := [{"kind": "environment", "name": "dev", "spent_mills": 10000000, "held_mills": 0}]
	_levels("budget") == {"deny"} with input as _change({"balances": full})
}

test_an_extension_is_longer_than_it_was if {
	longer := _change({
		"action": "extend",
		"lifetime_seconds": 900000,
		"lifetime_before_seconds": 800000,
		"was": {"lifetime_seconds": 800000},
	})
	_levels("extension") == {"require_approval"} with input as longer
	_levels("large_database") == {"warn"} with input as longer
}

test_a_destroy_is_no_change if {
	end := object.union(object.remove(_change({"action": "destroy", "environment": {"name": "prod"}}), ["was"]), {"confirm": "orders"})
	_levels("destroy_approval") == {"require_approval"} with input as end
}

test_the_ask_that_changes_nothing_is_the_instance_as_it_is if {
	asked := _change({
		"action": "hand_over",
		"stage": "plan",
		"owner": "group:default/search",
		"cost_center": "CC-2001",
		"lifetime_seconds": 7200,
		"before": {"storage_gb": 700},
		"was": {"price": {"monthly_mills": 1}, "lifetime_seconds": 3600},
		"balances": [{"kind": "environment", "name": "dev", "spent_mills": 1, "held_mills": 0}],
	})
	as_it_is := standing.as_it_is with input as asked
	as_it_is == object.union(object.remove(asked, ["changes", "balances"]), {
		"action": "update",
		"owner": "group:default/payments",
		"cost_center": "CC-1234",
		"lifetime_seconds": 3600,
		"offering": {"version": "1.1.0"},
		"parameters": asked.before,
		"price": {"monthly_mills": 1},
		"balances": [],
		"changes": [],
	})
}

test_a_parameter_that_was_not_there_does_not_count_as_it_is_now if {
	asked := object.union(object.remove(_change({}), ["before"]), {"before": {"environment": "dev"}})
	_levels("large_database") == {"require_approval"} with input as asked
}

# A plan of a database that everyone may reach, and before it was planned too.
_planned(change) := _change({
	"stage": "plan",
	"parameters": {"storage_gb": 100},
	"changes": [object.union({"address": "aws_db_instance.main", "type": "aws_db_instance", "action": "update"}, change)],
})

_open := {"publicly_accessible": true, "storage_encrypted": true}

_closed := {"publicly_accessible": false, "storage_encrypted": true}

test_what_a_plan_leaves_as_open_as_it_is_is_a_warning if {
	every stage in ["plan", "approval"] {
		every action in ["update", "replace"] {
			asked := _planned({"action": action, "before": _open, "after": _open})
			_levels("open_to_world") == {"warn"} with input as object.union(asked, {"stage": stage})
		}
	}
}

test_what_a_plan_opens_is_denied if {
	_levels("open_to_world") == {"deny"} with input as _planned({"before": _closed, "after": _open})
	_levels("open_to_world") == {"deny"} with input as _planned({"after": _open})
	_levels("open_to_world") == {"deny"} with input as _planned({"action": "create", "before": _open, "after": _open})
}

test_what_a_plan_opens_elsewhere_is_denied if {
	other := {"address": "aws_db_instance.other", "type": "aws_db_instance", "action": "update", "before": _closed, "after": _open}
	asked := _planned({"before": _open, "after": _open})
	_levels("open_to_world") == {"deny", "warn"} with input as object.union(asked, {"changes": array.concat(asked.changes, [other])})
}

test_what_a_plan_does_not_know_yet_was_known_before if {
	asked := _planned({"before": {"storage_encrypted": true}, "after": {}, "unknown": ["tags_all"]})
	before := standing.as_it_is with input as asked
	before.changes == [{
		"address": "aws_db_instance.main",
		"type": "aws_db_instance",
		"action": "update",
		"before": {"storage_encrypted": true},
		"after": {"storage_encrypted": true},
	}]
}

test_data_that_would_be_lost_was_not_lost_before if {
	every action in ["delete", "replace"] {
		_levels("data_store_lost") == {"require_approval"} with input as _planned({"action": action, "before": _closed, "after": _closed})
	}
}

test_a_drift_that_an_adoption_disturbs_is_denied if {
	asked := object.union(_planned({"before": _closed, "after": _closed}), {"action": "adopt", "drifted": ["aws_db_instance.main"]})
	_levels("adopt_changes") == {"deny"} with input as asked
}

# Two findings of a rule that no bundle has.
_finding(over) := object.union({"rule": "cost_limit", "level": "deny", "message": "Much.", "path": "", "way_out": ""}, over)

test_a_note_stays_a_note if {
	every level in ["warn", "info"] {
		finding := _finding({"level": level, "measure": 1})
		standing.applied(finding) == finding with input as _priced(171000, 171000)
	}
}

test_only_numbers_of_the_same_rule_path_and_address_are_compared if {
	let_be := {"measure": 171000}
	standing.applied(_finding(let_be)).level == "warn" with input as _priced(171000, 171000)
	every over in [{"rule": "other"}, {"path": "storage_gb"}, {"address": "a.b"}, {"measure": null}, {"measure": 171001}] {
		asked := _finding(object.union(let_be, over))
		standing.applied(asked) == asked with input as _priced(171000, 171000)
	}
	text := _finding({"rule": "large_database", "path": "storage_gb", "measure": 700})
	standing.applied(text) == text with input as _change({"before": {"storage_gb": "600"}})
}
