# METADATA
# title: Plan
# description: What rules on a plan share; which attributes match a check, and which parameter made them so.
# scope: package
# related_resources:
#   - ref: docs/policies.md#rules-on-the-plan
package roadbed.lib.plan

# METADATA
# description: The changes after which a resource is there and is not as it was.
made contains change if {
	some change in input.changes
	change.action in {"create", "update", "replace"}
}

# METADATA
# description: >
#   Where a change leaves a value that a check names, as {change, check, value}; checks are
#   by resource type. A value that is not known until apply matches nothing.
hits(checks) := {{"change": change, "check": check, "value": value} |
	some change in made
	some check in object.get(checks, change.type, [])
	_meant(check, change)
	steps := split(check.attribute, ".")
	last := count(steps) - 1
	some holder in _holders(change.after, array.slice(steps, 0, last))
	not _authorised(holder)
	some value in _values(holder[steps[last]])
	value in check.is
}

_meant(check, change) if every name, value in object.get(check, "where", {}) { change.after[name] == value }

# The objects at a path, through every list on the way.
_holders(after, path) := {node |
	walk(after, [steps, node])
	is_object(node)
	[step | some step in steps; is_string(step)] == path
}

_values(value) := {member | some member in value} if is_array(value)

_values(value) := {value} if not is_array(value)

# A firewall's opening at one of the ports where anybody may come.
_authorised(holder) if {
	some port in data.plan.open_to_world.authorised_ports
	{holder.from_port, holder.to_port} == {port}
	object.get(holder, "protocol", object.get(holder, "ip_protocol", "")) == "tcp"
}

# METADATA
# description: A rule's level in the environment of the request.
level(rule) := object.get(rule.levels, input.environment.name, rule.level)

# METADATA
# description: >
#   A finding about an attribute of a change, says being what is wrong with it in words.
#   Its path is the parameter that made it so, "" when none did.
finding(rule, says, at) := {
	"rule": rule,
	"level": level(data.plan[rule]),
	"message": sprintf("%s %s %s %s", [_because(parameter), _kind(at.change.type), at.change.address, says]),
	"path": parameter,
	"way_out": _way_out(parameter),
	"address": at.change.address,
	"attribute": at.attribute,
	"source": at.source,
} if {
	parameter := _parameter(at.causes, at.value)
}

# METADATA
# description: The parameters that an attribute comes from, nearest first; of the whole that it is in when no more is known.
causes(change, attribute) := list[0] if {
	steps := split(attribute, ".")
	list := [sources |
		some n in numbers.range(count(steps), 1)
		sources := change.sources[concat(".", array.slice(steps, 0, n))]
	]
} else := []

# Of several the one that has changed, else the one with the attribute's value,
# else the nearest.
_parameter(list, value) := changed[0] if {
	is_object(input.before)
	changed := [name |
		some name in list
		object.get(input.parameters, name, null) != object.get(input.before, name, null)
	]
} else := same[0] if {
	same := [name | some name in list; input.parameters[name] == value]
} else := list[0] if {
	count(list) > 0
} else := ""

_because("") := "The"

_because(parameter) := sprintf("Because of %s, the", [_title(parameter)]) if parameter != ""

_way_out("") := sprintf("Nothing that was filled in makes it so: ask %s.", [data.limits.contact])

_way_out(parameter) := sprintf("Change %s, or ask %s.", [_title(parameter), data.limits.contact]) if parameter != ""

_title(parameter) := object.get(input.offering, ["titles", parameter], parameter)

_kind(type) := object.get(data.plan.kinds, type, "resource")
