# METADATA
# title: Backup retention
# description: In production, backups are kept for at least a week.
# scope: package
# related_resources:
#   - ref: docs/policies.md#backup_retention
package roadbed.guardrails.backup_retention

findings contains finding if {
	not input.action == "destroy"
	input.environment.name in data.limits.backup_retention.environments
	days := input.parameters.backup_retention_days
	not _long_enough

	finding := {
		"rule": "backup_retention",
		"level": "deny",
		"message": sprintf("Databases in %s must have at least %d days backup retention; this asks for %v.", [
			input.environment.name,
			data.limits.backup_retention.minimum_days,
			days,
		]),
		"path": "backup_retention_days",
		"way_out": sprintf("Set it to %d or more.", [data.limits.backup_retention.minimum_days]),
		"measure": 0 - _kept_days,
	}
}

_kept_days := input.parameters.backup_retention_days if {
	is_number(input.parameters.backup_retention_days)
} else := 0

# What is not a number is not long enough.
_long_enough if {
	is_number(input.parameters.backup_retention_days)
	input.parameters.backup_retention_days >= data.limits.backup_retention.minimum_days
}
