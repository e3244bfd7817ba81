# METADATA
# title: Name contains environment
# description: A name need not repeat its environment, which is tagged separately.
# scope: package
# related_resources:
#   - ref: docs/policies.md#name_contains_environment
package roadbed.guardrails.name_contains_environment

findings contains finding if {
	not input.action == "destroy"
	input.environment.name != ""

	# Whole words only: device-db does not contain dev.
	contains(sprintf("-%s-", [input.name]), sprintf("-%s-", [input.environment.name]))

	finding := {
		"rule": "name_contains_environment",
		"level": "warn",
		"message": sprintf("The name %s contains environment '%s'. Environment is already tagged separately.", [
			input.name,
			input.environment.name,
		]),
		"path": _path,
		"way_out": "",
	}
}

default _path := ""

_path := "database_name" if input.parameters.database_name == input.name
