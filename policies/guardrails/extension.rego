# METADATA
# title: Extension
# description: Whoever keeps a temporary thing for long says so to somebody else, with what it costs to keep it.
# scope: package
# related_resources:
#   - ref: docs/policies.md#extension
package roadbed.guardrails.extension

import data.roadbed.lib.money

findings contains finding if {
	_beyond

	finding := {
		"rule": "extension",
		"level": data.limits.extension.level,
		"message": sprintf("%s would live %s in all, longer than the %d hours that need no approval in %s.%s", [
			input.name,
			_hours(input.lifetime_seconds),
			_free_hours,
			input.environment.name,
			_cost,
		]),
		"path": "",
		"way_out": sprintf("Extend it by less, or ask %s to approve it.", [data.limits.contact]),
	}
}

# Within what is free, it says what the longer life costs.
findings contains finding if {
	input.action == "extend"
	not _beyond

	finding := {
		"rule": "extension",
		"level": "info",
		"message": sprintf("%s would live %s in all.%s", [input.name, _hours(input.lifetime_seconds), _cost]),
		"path": "",
		"way_out": "",
	}
}

_beyond if {
	input.action == "extend"
	input.lifetime_seconds > _free_hours * 3600
}

_free_hours := object.get(data.limits.extension.free_hours, input.environment.name, data.limits.extension.otherwise)

_hours(seconds) := sprintf("%d hours", [ceil(seconds / 3600)])

default _cost := ""

# A month is 730 hours, as prices count it.
_cost := sprintf(" The extension costs about %s.", [money.text(round(((input.price.monthly_mills * seconds) / 3600) / 730))]) if {
	input.price.known == true
	seconds := input.lifetime_seconds - input.lifetime_before_seconds
}
