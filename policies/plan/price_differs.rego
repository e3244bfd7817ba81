# METADATA
# title: Price differs
# description: What a plan makes costs something else than the form said; the plan's price counts.
# scope: package
# related_resources:
#   - ref: docs/policies.md#price_differs
package roadbed.plan.price_differs

import data.roadbed.lib.money

findings contains finding if {
	not input.action == "destroy"
	input.price.known == true
	form := input.price.form_mills
	is_number(form)
	planned := input.price.monthly_mills
	planned != form

	finding := {
		"rule": "price_differs",
		"level": _level(planned > form),
		"message": sprintf("What the plan makes costs %s/month; the form said %s/month.", [
			money.beside(planned, form),
			money.beside(form, planned),
		]),
		"path": "",
		"way_out": _way_out(planned > form),
	}
}

_level(higher) := "warn" if higher

_level(higher) := "info" if not higher

_way_out(higher) := sprintf("Cancel it if that is too much, and tell %s.", [data.limits.contact]) if higher

_way_out(higher) := "" if not higher
