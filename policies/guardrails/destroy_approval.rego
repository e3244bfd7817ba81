# METADATA
# title: Destroy approval
# description: In these environments nothing is destroyed on one person's word.
# scope: package
# related_resources:
#   - ref: docs/policies.md#destroy_approval
package roadbed.guardrails.destroy_approval

findings contains finding if {
	input.action == "destroy"
	input.environment.name in data.limits.destroy_approval.environments

	finding := {
		"rule": "destroy_approval",
		"level": data.limits.destroy_approval.level,
		"message": sprintf("Destroying %s in %s, and what it holds, needs a second person's word.", [
			input.name,
			input.environment.name,
		]),
		"path": "",
		"way_out": sprintf("Ask %s to approve it.", [data.limits.contact]),
	}
}
