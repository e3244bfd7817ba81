# METADATA
# title: Team owner
# description: Every request names the team that pays for it.
# scope: package
# related_resources:
#   - ref: docs/policies.md#team_owner
package roadbed.guardrails.team_owner

findings contains finding if {
	not input.action == "destroy"
	not _given

	finding := {
		"rule": "team_owner",
		"level": "deny",
		"message": "team_owner is required for cost allocation.",
		"path": "team_owner",
		"way_out": "Choose the team that owns this.",
	}
}

_given if trim_space(input.owner) != ""
