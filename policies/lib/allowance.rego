# METADATA
# title: Allowance
# description: The cost limit that applies to a request, in thousandths of a dollar a month, and whose it is.
# scope: package
# related_resources:
#   - ref: docs/policies.md#cost_limit
package roadbed.lib.allowance

import data.roadbed.lib.money

limit_mills := money.mills(object.get(
	data.limits.cost_limit.environments,
	input.environment.name,
	data.limits.cost_limit.otherwise,
))

scope := input.environment.name

# The guardrail that holds a request to it.
rule := "cost_limit"
