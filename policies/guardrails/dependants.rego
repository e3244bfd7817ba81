# METADATA
# title: Dependants
# description: What others take an output of is not destroyed under them.
# scope: package
# related_resources:
#   - ref: docs/policies.md#dependants
package roadbed.guardrails.dependants

findings contains finding if {
	input.action == "destroy"
	some dependant in input.dependants

	finding := {
		"rule": "dependants",
		"level": "deny",
		"message": sprintf("%s takes its %s as %s.", [dependant.entity_ref, dependant.output, dependant.parameter]),
		"path": "",
		"way_out": sprintf("Ask %s to change or destroy it first.", [dependant.owner]),
	}
}
