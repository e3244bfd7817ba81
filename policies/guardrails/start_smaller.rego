# METADATA
# title: Start smaller
# description: Outside production, an offer to begin with less storage. Nothing is refused.
# scope: package
# related_resources:
#   - ref: docs/policies.md#start_smaller
package roadbed.guardrails.start_smaller

findings contains finding if {
	not input.action == "destroy"
	not input.environment.name in data.limits.start_smaller.except
	storage_gb := input.parameters.storage_gb
	is_number(storage_gb)
	storage_gb > data.limits.start_smaller.above_gb

	finding := {
		"rule": "start_smaller",
		"level": "info",
		"message": sprintf("%v GB is much for %s. Consider starting with %vGB.", [
			storage_gb,
			input.environment.name,
			data.limits.start_smaller.start_gb,
		]),
		"path": "storage_gb",
		"way_out": "",
	}
}
