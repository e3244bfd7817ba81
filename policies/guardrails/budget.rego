# METADATA
# title: Budget
# description: >
#   What would take a team, a cost centre or an environment above its monthly budget is
#   denied or needs approval, as the data says. Whatever does not raise what is spent is let be.
# scope: package
# related_resources:
#   - ref: docs/policies.md#budget
package roadbed.guardrails.budget

import data.roadbed.lib.budget
import data.roadbed.lib.money

findings contains finding if {
	not input.action == "destroy"
	some one in budget.applying
	input.price.charge_mills > one.held_mills
	after := one.spent_mills + input.price.charge_mills
	not after <= one.limit_mills
	over := _cents_up(after - one.limit_mills)

	finding := object.union(_approvers(one), {
		"rule": "budget",
		"level": one.level,
		"message": sprintf("The budget of %s is %s/month, and %s of it is taken: with this at %s it would be exceeded by %s.", [
			_whose(one),
			money.limit_text(one.limit_mills),
			money.text(one.spent_mills),
			money.text(input.price.charge_mills),
			money.text(over),
		]),
		"path": "",
		"way_out": sprintf("%s, or %s.", [_spend_less(over), _ask(one.level)]),
	})
}

_whose(one) := sprintf("team %s", [trim_prefix(one.name, "group:default/")]) if one.kind == "team"

_whose(one) := sprintf("cost centre %s", [one.name]) if one.kind == "cost_center"

_whose(one) := sprintf("environment %s", [one.name]) if one.kind == "environment"

_spend_less(over) := sprintf("Choose what costs at least %s a month less", [money.text(over)]) if {
	over < input.price.charge_mills
} else := "Destroy what is no longer needed"

_ask(level) := sprintf("request approval from %s", [data.limits.contact]) if {
	level == "require_approval"
} else := sprintf("ask %s for a larger budget", [data.limits.contact])

# A budget without approvers of its own has those of every limit.
_approvers(one) := {"approvers": approvers.groups, "count": approvers.count} if {
	one.level == "require_approval"
	approvers := data.budgets[one.kind].approvers
} else := {}

# A part of a cent counts as one: saving what is named has to be enough.
_cents_up(mills) := ceil(mills / 10) * 10
