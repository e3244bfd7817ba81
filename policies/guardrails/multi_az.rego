# METADATA
# title: Multi-AZ
# description: In production, a database in a single availability zone is pointed out.
# scope: package
# related_resources:
#   - ref: docs/policies.md#multi_az
package roadbed.guardrails.multi_az

findings contains finding if {
	not input.action == "destroy"
	input.environment.name in data.limits.multi_az.environments
	multi_az := input.parameters.multi_az
	multi_az != true

	finding := {
		"rule": "multi_az",
		"level": "warn",
		"message": sprintf(
			"This database in %s is not multi-AZ. Consider enabling for high availability.",
			[input.environment.name],
		),
		"path": "multi_az",
		"way_out": "",
	}
}
