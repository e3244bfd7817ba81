# METADATA
# title: Final snapshot
# description: In these environments nothing that holds data is destroyed without a last snapshot of it.
# scope: package
# related_resources:
#   - ref: docs/policies.md#final_snapshot
package roadbed.plan.final_snapshot

findings contains finding if {
	input.action == "destroy"
	input.environment.name in data.plan.final_snapshot.environments
	some change in input.changes
	change.action == "delete"
	keeps := data.plan.final_snapshot.types[change.type]
	not _keeps(change, keeps)
	finding := {
		"rule": "final_snapshot",
		"level": "deny",
		"message": sprintf("%s would be deleted without a last snapshot: its %s is not %s.", [change.address, keeps.attribute, _kept(keeps)]),
		"path": "",
		"way_out": sprintf("Have the setting %s of %s put right, then update it, and destroy it again.", [keeps.setting, input.environment.name]),
		"address": change.address,
		"attribute": keeps.attribute,
		"source": keeps.source,
	}
}

_keeps(change, keeps) if change.before[keeps.attribute] == keeps.is

_keeps(change, keeps) if {
	keeps.set
	is_string(change.before[keeps.attribute])
}

_kept(keeps) := "set" if keeps.set

_kept(keeps) := sprintf("%v", [keeps.is])
