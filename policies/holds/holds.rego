# METADATA
# title: Holds
# description: >
#   What an accepted change waits for before it is carried out: a pause, a change freeze, a
#   maintenance window. Input is {action, subject, offering, environment, name, owner, pauses, at}.
# scope: package
# related_resources:
#   - ref: docs/policies.md#freezes-and-windows
package roadbed.holds

import data.roadbed.lib.clock
import data.roadbed.lib.exemption

# METADATA
# description: Each as {kind, name, reason, until, message}; until is null for what ends by someone's word.
holds contains hold if {
	some pause in input.pauses
	_paused(pause)
	hold := {
		"kind": "pause",
		"name": pause.name,
		"reason": pause.reason,
		"until": null,
		"message": sprintf("paused by %s: %s", [_person(pause.by), pause.reason]),
	}
}

holds contains hold if {
	not _passes
	not exemption.of("freeze")
	some freeze in data.calendar.freezes
	_frozen(freeze)
	hold := {
		"kind": "freeze",
		"name": freeze.name,
		"reason": freeze.reason,
		"until": time.format(clock.ns(freeze.until)),
		"message": sprintf("waiting for the change freeze '%s' to end on %s", [
			freeze.name,
			clock.text(clock.ns(freeze.until), "UTC"),
		]),
	}
}

holds contains hold if {
	not _passes
	not exemption.of("window")
	input.action in data.calendar.window_actions
	windows := data.calendar.windows[input.environment.name]
	not _open(windows)
	[opens, zone] := min({[opening.from, opening.zone] |
		some opening in openings(windows, 8)
		opening.from > clock.now
	})
	hold := {
		"kind": "window",
		"name": input.environment.name,
		"reason": "",
		"until": time.format(opens),
		"message": sprintf("the maintenance window of %s opens %s", [input.environment.name, clock.text(opens, zone)]),
	}
}

# METADATA
# description: When windows are open from yesterday until some days ahead, as {from, until, zone}.
openings(windows, days) := {opening |
	some window in windows
	some ahead in numbers.range(-1, days)

	# Days are counted on the zone's own calendar, where each has 24 hours.
	midnight := (floor(clock.wall(clock.now, window.timezone) / clock.day) + ahead) * clock.day
	lower(substring(time.weekday(midnight), 0, 3)) in window.days
	begins := midnight + _minutes(window.from)
	opening := {
		"from": clock.instant(begins, window.timezone),
		"until": clock.instant(_ends(midnight, window), window.timezone),
		"zone": window.timezone,
	}
	opening.until > opening.from # in spring an hour is skipped, and a window with it
}

# METADATA
# description: >
#   What the calendar has for the environments in input.environments in the 30 days from
#   input.at, as {kind, environment, name, reason, from, until}.
calendar contains entry if {
	some freeze in data.calendar.freezes
	some environment in freeze.environments
	environment in input.environments
	_soon(clock.ns(freeze.from), clock.ns(freeze.until))
	entry := {
		"kind": "freeze",
		"environment": environment,
		"name": freeze.name,
		"reason": freeze.reason,
		"from": time.format(clock.ns(freeze.from)),
		"until": time.format(clock.ns(freeze.until)),
	}
}

calendar contains entry if {
	some environment in input.environments
	windows := data.calendar.windows[environment]
	some opening in openings(windows, 30)
	_soon(opening.from, opening.until)
	entry := {
		"kind": "window",
		"environment": environment,
		"name": "",
		"reason": "",
		"from": time.format(opening.from),
		"until": time.format(opening.until),
	}
}

_soon(from, until) if {
	until > clock.now
	from < clock.now + (30 * clock.day)
}

_paused(pause) if pause.kind == "everything"

_paused(pause) if {
	pause.kind == "offering"
	pause.name == input.offering.id
}

_paused(pause) if {
	pause.kind == "pool"
	pause.name == input.environment.pool
}

_frozen(freeze) if {
	input.environment.name in freeze.environments
	input.offering.id in object.get(freeze, "offerings", [input.offering.id])
	input.action in object.get(freeze, "actions", [input.action])
	clock.ns(freeze.from) <= clock.now
	clock.now < clock.ns(freeze.until)
}

_open(windows) if {
	some opening in openings(windows, 0)
	opening.from <= clock.now
	clock.now < opening.until
}

_passes if {
	startswith(input.subject, "system:")
	input.action in data.calendar.system_passes
}

_ends(midnight, window) := midnight + _minutes(window.to) if {
	window.to > window.from
} else := (midnight + clock.day) + _minutes(window.to)

# A time of day such as 22:30, in nanoseconds.
_minutes(text) := ((to_number(hour) * 60) + to_number(minute)) * 60000000000 if {
	[hour, minute] := split(text, ":")
}

_person(ref) := trim_prefix(ref, "user:default/")
