# METADATA
# title: High cost
# description: Outside production, a cost within the limit but high for its environment is pointed out.
# scope: package
# related_resources:
#   - ref: docs/policies.md#high_cost
package roadbed.guardrails.high_cost

import data.roadbed.guardrails.cost_limit
import data.roadbed.lib.money

findings contains finding if {
	not input.action == "destroy"
	not input.environment.name in data.limits.high_cost.except
	count(cost_limit.findings) == 0 # what is over the limit has been told so
	threshold := money.mills(data.limits.high_cost.monthly)
	input.price.monthly_mills > threshold

	finding := {
		"rule": "high_cost",
		"level": "warn",
		"message": sprintf("Estimated cost %s/month is high for %s. Consider using a smaller instance.", [
			money.beside(input.price.monthly_mills, threshold),
			input.environment.name,
		]),
		"path": "",
		"way_out": "",
	}
}
