# METADATA
# title: Adopt changes nothing
# description: To adopt is to ask for what is there, so the plan leaves alone what has drifted and deletes nothing.
# scope: package
# related_resources:
#   - ref: docs/policies.md#adopt_changes
package roadbed.plan.adopt_changes

findings contains finding if {
	input.action == "adopt"
	some change in input.changes
	_disturbed(change)
	finding := {
		"rule": "adopt_changes",
		"level": "deny",
		"message": sprintf("To adopt what is there must leave it alone, but %s would be changed: %s.", [change.address, change.action]),
		"path": "",
		"way_out": "Have it checked for drift again, or revert it.",
		"address": change.address,
	}
}

_disturbed(change) if change.action in {"delete", "replace"}

_disturbed(change) if {
	change.action in {"create", "update"}
	change.address in object.get(input, "drifted", [])
}
