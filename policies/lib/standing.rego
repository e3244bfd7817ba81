# METADATA
# title: Standing
# description: >
#   A finding that holds of the instance already, before it is changed, and that the change
#   makes no worse. It becomes a warning: nobody is held up for what was so before. A price
#   that nobody knows is never let be.
# scope: package
# related_resources:
#   - ref: docs/policies.md#changes
package roadbed.lib.standing

import data.roadbed.lib.exemption

# METADATA
# description: The finding as it counts, let be or not.
applied(finding) := object.union(object.remove(finding, ["approvers", "count"]), {
	"level": "warn",
	"message": sprintf("%s It is so already, and this makes it no worse.", [finding.message]),
	"way_out": "",
}) if {
	finding.level in {"deny", "require_approval"}
	not exemption.unpriced(finding.rule)
	some before in _before
	_no_worse(finding, before)
} else := finding

# With no larger a measure, or without any in the same words.
_no_worse(finding, before) if {
	not is_number(object.get(finding, "measure", null))
	[finding.rule, finding.message] == [before.rule, before.message]
}

_no_worse(finding, before) if {
	[finding.rule, finding.path, _address(finding)] == [before.rule, before.path, _address(before)]
	is_number(finding.measure)
	is_number(before.measure)
	finding.measure <= before.measure
}

_address(finding) := object.get(finding, "address", "")

# What the rules say of the instance as it is.
_before contains finding if some finding in data.roadbed.guardrails[_].findings with input as as_it_is

_before contains finding if some finding in data.roadbed.plan[_].findings with input as as_it_is

# METADATA
# description: >
#   The ask that would change nothing. Rules about an action do not speak of it, and neither
#   does what the ask would make or take anew, such as of a budget.
as_it_is := object.union(object.remove(input, ["parameters", "offering", "price", "balances", "changes"]), {
	"action": "update",
	"owner": input.was.owner,
	"cost_center": input.was.cost_center,
	"lifetime_seconds": input.was.lifetime_seconds,
	"offering": object.union(input.offering, {"version": input.was.version}),
	"parameters": input.before,
	"price": input.was.price,
	"balances": [],
	"changes": _changes,
})

# What is there stays as it is: whatever a rule says of it now, it says again.
_changes := [object.union(object.remove(change, ["after", "unknown", "replaces"]), {
	"action": "update",
	"after": object.get(change, "before", {}),
}) |
	some change in input.changes
	not change.action in {"create", "read"}
]
