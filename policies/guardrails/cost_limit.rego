# METADATA
# title: Cost limit
# description: >
#   What costs more a month than its environment's limit is denied or needs approval, as the
#   data says. What has no price is refused.
# scope: package
# related_resources:
#   - ref: docs/policies.md#cost_limit
package roadbed.guardrails.cost_limit

import data.roadbed.lib.allowance
import data.roadbed.lib.money

findings contains finding if {
	not input.action == "destroy"
	_priced
	not _within

	finding := {
		"rule": "cost_limit",
		"level": _level,
		"message": sprintf("Estimated cost %s/month exceeds limit %s/month for %s.", [
			money.beside(input.price.monthly_mills, _limit),
			money.limit_text(_limit),
			input.environment.name,
		]),
		"path": "",
		"way_out": _way_out,
		"measure": input.price.monthly_mills,
	}
}

# No price is no estimate: an approval has nothing to approve.
findings contains finding if {
	not input.action == "destroy"
	not _priced

	finding := {
		"rule": "cost_limit",
		"level": "deny",
		"message": sprintf("The cost is not known, so it cannot be held against the limit of %s/month for %s: %s.", [
			money.limit_text(_limit),
			input.environment.name,
			trim_right(object.get(input, ["price", "reason"], "there is no estimate"), "."),
		]),
		"path": "",
		"way_out": sprintf("Choose what has a price, or ask %s to add it to the price book.", [data.limits.contact]),
	}
}

default _level := "deny"

_level := object.get(
	data.limits.cost_limit.levels,
	input.environment.name,
	data.limits.cost_limit.level,
) if not _above_ceiling

_above_ceiling if {
	ceiling := data.limits.cost_limit.ceilings[input.environment.name]
	not input.price.monthly_mills <= money.mills(ceiling)
}

default _way_out := "Choose something smaller."

_way_out := sprintf("Please request approval from %s.", [data.limits.contact]) if not _above_ceiling

_priced if {
	input.price.known == true
	is_number(input.price.monthly_mills)
}

_within if input.price.monthly_mills <= _limit

_limit := allowance.limit_mills
