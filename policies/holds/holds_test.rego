package roadbed.holds_test

import data.roadbed.holds

_ask := {
	"action": "create",
	"subject": "user:default/ann",
	"offering": {"id": "postgres-database"},
	"environment": {"name": "prod", "pool": "aws"},
	"name": "orders",
	"owner": "group:default/payments",
	"pauses": [],
	"at": "2026-12-24T12:00:00Z",
}

_pause(kind, name) := {"kind": kind, "name": name, "reason": "the disk is full", "by": "user:default/pat"}

_freeze := {
	"name": "year end",
	"environments": ["staging", "prod"],
	"from": "2026-12-20T00:00:00+01:00",
	"until": "2027-01-04T08:00:00+01:00",
	"reason": "the shops are busy",
}

# Tuesday and Thursday night; 24 December 2026 is a Thursday.
_nights := {"prod": [{"days": ["tue", "thu"], "from": "22:00", "to": "04:00", "timezone": "Europe/Berlin"}]}

_with(changes) := object.union(_ask, changes)

_kinds(asked, freezes, windows) := {hold.kind | some hold in _held(asked, freezes, windows)}

_held(asked, freezes, windows) := result if {
	result := holds.holds with input as asked
		with data.calendar.freezes as freezes
		with data.calendar.windows as windows
}

test_nothing_is_held_without_a_reason if _held(_ask, [], {}) == set()

test_a_pause_holds_what_it_names_and_says_by_whom if {
	_held(_with({"pauses": [_pause("offering", "postgres-database")]}), [], {}) == {{
		"kind": "pause",
		"name": "postgres-database",
		"reason": "the disk is full",
		"until": null,
		"message": "paused by pat: the disk is full",
	}}
	count(_held(_with({"pauses": [_pause("pool", "aws")]}), [], {})) == 1
	count(_held(_with({"pauses": [_pause("everything", "")]}), [], {})) == 1
	count(_held(_with({"pauses": [_pause("pool", "aws"), _pause("everything", "")]}), [], {})) == 2
}

test_a_pause_of_something_else_holds_nothing if {
	_held(_with({"pauses": [_pause("offering", "static-site"), _pause("pool", "local"), _pause("pool", "postgres-database")]}), [], {}) == set()
	_held(_with({"pauses": [_pause("offering", "aws")]}), [], {}) == set()
}

test_a_pause_holds_the_system_too if {
	system := _with({"subject": "system:expiry", "action": "destroy", "pauses": [_pause("everything", "")]})
	count(_held(system, [], {})) == 1
}

test_a_freeze_holds_its_environments_until_its_end if {
	_held(_ask, [_freeze], {}) == {{
		"kind": "freeze",
		"name": "year end",
		"reason": "the shops are busy",
		"until": "2027-01-04T07:00:00Z",
		"message": "waiting for the change freeze 'year end' to end on Mon 4 Jan 2027 07:00 UTC",
	}}
	_held(_with({"environment": {"name": "dev"}}), [_freeze], {}) == set()
}

test_a_freeze_holds_from_its_first_moment_to_its_last if {
	_kinds(_with({"at": "2026-12-19T22:59:59Z"}), [_freeze], {}) == set()
	_kinds(_with({"at": "2026-12-19T23:00:00Z"}), [_freeze], {}) == {"freeze"}
	_kinds(_with({"at": "2027-01-04T06:59:59Z"}), [_freeze], {}) == {"freeze"}
	_kinds(_with({"at": "2027-01-04T07:00:00Z"}), [_freeze], {}) == set()
}

test_a_freeze_may_be_of_offerings_and_actions_alone if {
	_kinds(_ask, [object.union(_freeze, {"offerings": ["postgres-database"], "actions": ["create"]})], {}) == {"freeze"}
	_kinds(_ask, [object.union(_freeze, {"offerings": ["static-site"]})], {}) == set()
	_kinds(_ask, [object.union(_freeze, {"actions": ["destroy"]})], {}) == set()
}

test_what_the_system_destroys_passes_unless_data_says_otherwise if {
	system := _with({"subject": "system:expiry", "action": "destroy"})
	_kinds(system, [_freeze], _nights) == set()
	_kinds(object.union(system, {"action": "create"}), [_freeze], _nights) == {"freeze", "window"}
	_kinds(object.union(system, {"subject": "user:default/ann"}), [_freeze], _nights) == {"freeze", "window"}
	kinds := _kinds(system, [_freeze], _nights) with data.calendar.system_passes as []
	kinds == {"freeze", "window"}
}

test_outside_its_windows_an_environment_waits_for_the_next if {
	_held(_ask, [], _nights) == {{
		"kind": "window",
		"name": "prod",
		"reason": "",
		"until": "2026-12-24T21:00:00Z",
		"message": "the maintenance window of prod opens Thu 24 Dec 2026 22:00 Europe/Berlin",
	}}
}

test_an_environment_without_windows_is_always_open if _held(_with({"environment": {"name": "dev"}}), [], _nights) == set()

test_a_window_is_open_from_its_first_moment_to_its_last_over_midnight if {
	_kinds(_with({"at": "2026-12-24T20:59:59Z"}), [], _nights) == {"window"}
	_kinds(_with({"at": "2026-12-24T21:00:00Z"}), [], _nights) == set()
	_kinds(_with({"at": "2026-12-25T02:59:59Z"}), [], _nights) == set()
	_kinds(_with({"at": "2026-12-25T03:00:00Z"}), [], _nights) == {"window"}
}

test_a_window_follows_summer_time if {
	_kinds(_with({"at": "2026-07-02T20:00:00Z"}), [], _nights) == set()
	_kinds(_with({"at": "2026-07-02T19:59:59Z"}), [], _nights) == {"window"}
	_kinds(_with({"at": "2026-07-03T02:00:00Z"}), [], _nights) == {"window"}
}

# Clocks go from 02:00 to 03:00 on 29 March 2026, a Sunday.
test_a_window_that_summer_time_takes_away_is_waited_for_until_the_next if {
	swallowed := {"prod": [{"days": ["sun"], "from": "01:30", "to": "02:30", "timezone": "Europe/Berlin"}]}
	some hold in _held(_with({"at": "2026-03-29T00:30:00Z"}), [], swallowed)
	hold.until == "2026-04-04T23:30:00Z"

	some before in _held(_with({"at": "2026-03-28T12:00:00Z"}), [], swallowed)
	before.until == "2026-04-04T23:30:00Z"
}

test_a_window_within_a_day_ends_on_it if {
	mornings := {"prod": [{"days": ["thu"], "from": "08:30", "to": "09:45", "timezone": "UTC"}]}
	_kinds(_with({"at": "2026-12-24T08:29:59Z"}), [], mornings) == {"window"}
	_kinds(_with({"at": "2026-12-24T08:30:00Z"}), [], mornings) == set()
	_kinds(_with({"at": "2026-12-24T09:44:59Z"}), [], mornings) == set()
	some hold in _held(_with({"at": "2026-12-24T09:45:00Z"}), [], mornings)
	hold.until == "2026-12-31T08:30:00Z"
}

test_a_window_from_and_to_one_time_lasts_a_day if {
	days := {"prod": [{"days": ["thu"], "from": "06:00", "to": "06:00", "timezone": "UTC"}]}
	_kinds(_with({"at": "2026-12-25T05:59:59Z"}), [], days) == set()
	_kinds(_with({"at": "2026-12-25T06:00:00Z"}), [], days) == {"window"}
}

test_every_action_waits_for_a_window_unless_data_leaves_it_out if {
	every action in ["create", "update", "upgrade", "hand_over", "rotate", "import", "destroy"] {
		_kinds(_with({"action": action}), [], _nights) == {"window"}
	}
	kinds := _kinds(_ask, [], _nights) with data.calendar.window_actions as ["destroy"]
	kinds == set()
}

test_an_exemption_lifts_a_freeze_or_a_window_and_not_the_other if {
	granted := {
		"environment": "prod", "from": "2026-12-01", "until": "2026-12-25",
		"granted_by": "user:default/pat", "reason": "the fix must go out",
	}
	every rule, other in {"freeze": "window", "window": "freeze"} {
		kinds := _kinds(_ask, [_freeze], _nights) with data.exemptions.exemptions as [object.union(granted, {"rule": rule})]
		kinds == {other}
	}
	paused := _with({"pauses": [_pause("everything", "")]})
	kinds := _kinds(paused, [], {}) with data.exemptions.exemptions as [object.union(granted, {"rule": "freeze"})]
	kinds == {"pause"}
}

_calendar(environments, freezes, windows) := entries if {
	entries := holds.calendar with input as {"environments": environments, "at": "2026-12-24T12:00:00Z"}
		with data.calendar.freezes as freezes
		with data.calendar.windows as windows
}

test_the_calendar_has_each_freeze_for_each_environment if {
	_calendar(["dev", "staging", "prod"], [_freeze], {}) == {entry |
		some environment in ["staging", "prod"]
		entry := {
			"kind": "freeze",
			"environment": environment,
			"name": "year end",
			"reason": "the shops are busy",
			"from": "2026-12-19T23:00:00Z",
			"until": "2027-01-04T07:00:00Z",
		}
	}
}

test_the_calendar_leaves_out_what_is_over_or_far_away if {
	over := object.union(_freeze, {"until": "2026-12-24T12:00:00Z"})
	far := object.union(_freeze, {"from": "2027-01-23T12:00:00Z", "until": "2027-02-01"})
	near := object.union(_freeze, {"from": "2027-01-23T11:59:59Z", "until": "2027-02-01"})
	ending := object.union(_freeze, {"until": "2026-12-24T12:00:01Z"})
	_calendar(["prod"], [over, far], {}) == set()
	count(_calendar(["prod"], [near], {})) == 1
	count(_calendar(["prod"], [ending], {})) == 1
}

test_the_calendar_has_every_window_of_thirty_days if {
	entries := _calendar(["dev", "prod"], [], _nights)
	count(entries) == 9
	min({entry.from | some entry in entries}) == "2026-12-24T21:00:00Z"
	max({entry.until | some entry in entries}) == "2027-01-22T03:00:00Z"
	{entry.kind | some entry in entries} == {"window"}
	{entry.environment | some entry in entries} == {"prod"}
}

test_the_calendar_leaves_out_a_window_that_is_over if {
	yesterday := {"prod": [{"days": ["wed"], "from": "22:00", "to": "04:00", "timezone": "UTC"}]}
	min({entry.from | some entry in _calendar(["prod"], [], yesterday)}) == "2026-12-30T22:00:00Z"
}
