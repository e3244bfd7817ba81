# METADATA
# title: Decision
# description: All that the guardrails say, with the one place where a level is translated.
# scope: package
# related_resources:
#   - ref: docs/policies.md#decision
package roadbed.decision

# METADATA
# description: >
#   Every guardrail's findings. One that requires approval is denied and says so, since there
#   are no approvals yet. A finding of any other shape passes through as it is, so that the
#   caller can refuse it.
findings contains _translated(finding) if some finding in data.roadbed.guardrails[_].findings

_translated(finding) := object.union(finding, {
	"level": "deny",
	"message": concat(" ", [
		finding.message,
		"Approvals cannot be given here yet, so it is denied;",
		sprintf("ask %s.", [data.limits.contact]),
	]),
}) if {
	finding.level == "require_approval"
} else := finding
