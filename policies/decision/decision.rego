# METADATA
# title: Decision
# description: All that the guardrails say, with the one place where a level is translated.
# scope: package
# related_resources:
#   - ref: docs/policies.md#decision
package roadbed.decision

# METADATA
# description: >
#   Every guardrail's findings. A finding of any other shape passes through as it is, so that
#   the caller can refuse it.
findings contains finding if {
	some finding in data.roadbed.guardrails[_].findings
	not _needs_approval(finding)
}

# METADATA
# description: There are no approvals yet, so what needs one is denied and says so.
findings contains denied if {
	some finding in data.roadbed.guardrails[_].findings
	_needs_approval(finding)
	denied := object.union(finding, {
		"level": "deny",
		"message": concat(" ", [
			finding.message,
			"Approvals cannot be given here yet, so it is denied;",
			sprintf("ask %s.", [data.limits.contact]),
		]),
	})
}

_needs_approval(finding) if finding.level == "require_approval"
