# METADATA
# title: ARM saving
# description: What the ARM twin of an instance class would save a month, when that is worth naming. Nothing is refused.
# scope: package
# related_resources:
#   - ref: docs/policies.md#arm_saving
package roadbed.guardrails.arm_saving

import data.roadbed.lib.arm
import data.roadbed.lib.money

findings contains finding if {
	not input.action == "destroy"
	saving := _compute - _twin_compute
	saving > money.mills(data.limits.arm_saving.above_monthly)

	finding := {
		"rule": "arm_saving",
		"level": "info",
		"message": sprintf("%s would cost %s/month less than %s, instance for instance.", [
			arm.twin.class,
			money.text(saving),
			input.parameters.instance_class,
		]),
		"path": "instance_class",
		"way_out": "",
	}
}

# The instance alone: storage and backups cost the same with either.
_compute := input.price.item_mills.compute

_twin_compute := money.mills(price) if {
	price := data.prices.prices[arm.twin.class]
} else := floor((_compute * (100 - arm.twin.saving_percent)) / 100)
