# METADATA
# title: Large database
# description: A database above its environment's size needs the platform team's word.
# scope: package
# related_resources:
#   - ref: docs/policies.md#large_database
package roadbed.guardrails.large_database

findings contains finding if {
	not input.action == "destroy"
	input.offering.category == "databases"
	storage_gb := input.parameters.storage_gb
	not _fits

	finding := {
		"rule": "large_database",
		"level": data.limits.large_database.level,
		"message": sprintf("Databases over %d GB require approval in %s; this asks for %v GB.", [
			_limit,
			input.environment.name,
			storage_gb,
		]),
		"path": "storage_gb",
		"way_out": sprintf("Choose %d GB or less, or ask %s.", [_limit, data.limits.contact]),
		"measure": storage_gb,
	}
}

# What is not a number does not fit.
_fits if {
	is_number(input.parameters.storage_gb)
	input.parameters.storage_gb <= _limit
}

_limit := object.get(
	data.limits.large_database.environments,
	input.environment.name,
	data.limits.large_database.otherwise,
)
