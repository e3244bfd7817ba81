# METADATA
# title: Cost center
# description: Every request names the cost center that it is billed to.
# scope: package
# related_resources:
#   - ref: docs/policies.md#cost_center
package roadbed.guardrails.cost_center

findings contains finding if {
	not input.action == "destroy"
	not _given

	finding := {
		"rule": "cost_center",
		"level": "deny",
		"message": "cost_center is required for billing.",
		"path": "cost_center",
		"way_out": "Enter your team's cost center, for example CC-1234.",
	}
}

_given if trim_space(input.cost_center) != ""
