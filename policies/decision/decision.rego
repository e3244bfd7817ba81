# METADATA
# title: Decision
# description: All that the guardrails say, with whose approval lifts what is held up.
# scope: package
# related_resources:
#   - ref: docs/policies.md#decision
package roadbed.decision

import data.roadbed.lib.exemption
import data.roadbed.lib.standing

# METADATA
# description: >
#   Every guardrail's findings. One that requires approval says whose and of how many,
#   unless the guardrail said so itself. One that an exemption lifts is a note, and one that held
#   before a change, and is no worse after it, a warning. A finding of any other shape passes
#   through as it is, so that the caller can refuse it.
findings contains _settled(finding) if some finding in data.roadbed.guardrails[_].findings

# METADATA
# description: What the rules on a plan say, once there is one.
findings contains _settled(finding) if {
	input.stage in {"plan", "approval"}
	some finding in data.roadbed.plan[_].findings
}

_settled(finding) := object.remove(standing.applied(exemption.applied(_complete(finding))), ["measure"]) if {
	is_object(finding)
} else := finding

_complete(finding) := object.union(_approvers(finding.rule), finding) if {
	finding.level == "require_approval"
} else := finding

_approvers(rule) := {"approvers": approvers.groups, "count": approvers.count} if {
	approvers := object.get(data.limits, [rule, "approvers"], data.limits.approvers)
}
