# METADATA
# title: Long backups
# description: In development, backups that are kept for weeks are pointed out. Nothing is refused.
# scope: package
# related_resources:
#   - ref: docs/policies.md#long_backups
package roadbed.guardrails.long_backups

findings contains finding if {
	not input.action == "destroy"
	input.environment.name in data.limits.long_backups.environments
	days := input.parameters.backup_retention_days
	is_number(days)
	days > data.limits.long_backups.above_days

	finding := {
		"rule": "long_backups",
		"level": "info",
		"message": sprintf("Backups are kept for %v days; %s rarely needs more than %v days.", [
			days,
			input.environment.name,
			data.limits.long_backups.enough_days,
		]),
		"path": "backup_retention_days",
		"way_out": "",
	}
}
