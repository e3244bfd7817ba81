# METADATA
# title: Rollout's shape
# description: A campaign's upgrade does what its group was approved for; for anything else somebody is asked.
# scope: package
# related_resources:
#   - ref: docs/policies.md#rollout_shape
package roadbed.plan.rollout_shape

findings contains finding if {
	input.action == "upgrade"
	input.rollout.planned != input.rollout.approved
	finding := {
		"rule": "rollout_shape",
		"level": "require_approval",
		"message": sprintf("The campaign was approved for other changes than these: %s.", [input.rollout.title]),
		"path": "",
		"way_out": sprintf("Look at the plan, then ask %s to approve it for %s alone.", [data.limits.contact, input.name]),
	}
}
