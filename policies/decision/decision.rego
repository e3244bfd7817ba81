# METADATA
# title: Decision
# description: All that the guardrails say, with whose approval lifts what is held up.
# scope: package
# related_resources:
#   - ref: docs/policies.md#decision
package roadbed.decision

import data.roadbed.lib.exemption

# METADATA
# description: >
#   Every guardrail's findings. One that requires approval says whose and of how many,
#   unless the guardrail said so itself. One that an exemption lifts is a note. A finding of
#   any other shape passes through as it is, so that the caller can refuse it.
findings contains exemption.applied(_complete(finding)) if some finding in data.roadbed.guardrails[_].findings

# METADATA
# description: What the rules on a plan say, once there is one.
findings contains exemption.applied(_complete(finding)) if {
	input.stage == "plan"
	some finding in data.roadbed.plan[_].findings
}

_complete(finding) := object.union(_approvers(finding.rule), finding) if {
	finding.level == "require_approval"
} else := finding

_approvers(rule) := {"approvers": approvers.groups, "count": approvers.count} if {
	approvers := object.get(data.limits, [rule, "approvers"], data.limits.approvers)
}
