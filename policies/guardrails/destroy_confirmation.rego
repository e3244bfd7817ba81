# METADATA
# title: Destroy confirmation
# description: In these environments a destroy is confirmed by the name of what is destroyed.
# scope: package
# related_resources:
#   - ref: docs/policies.md#destroy_confirmation
package roadbed.guardrails.destroy_confirmation

findings contains finding if {
	input.stage == "submit"
	_asked
	input.confirm != input.name

	finding := {
		"rule": "destroy_confirmation",
		"level": "deny",
		"message": sprintf("Destroying %s in %s must be confirmed by its name.", [input.name, input.environment.name]),
		"path": "confirm",
		"way_out": sprintf("Type %s to confirm.", [input.name]),
	}
}

# While it is only looked at, it says what will be asked.
findings contains finding if {
	input.stage == "form"
	_asked

	finding := {
		"rule": "destroy_confirmation",
		"level": "info",
		"message": sprintf("Destroying it in %s asks for its name, %s.", [input.environment.name, input.name]),
		"path": "confirm",
		"way_out": "",
	}
}

_asked if {
	input.action == "destroy"
	input.environment.name in data.limits.destroy_confirmation.environments
}
