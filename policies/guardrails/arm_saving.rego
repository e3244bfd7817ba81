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
	twin := arm.twin(input.parameters.instance_class)
	saving := _compute - _twin_compute(twin)
	saving > money.mills(data.limits.arm_saving.above_monthly)

	finding := {
		"rule": "arm_saving",
		"level": "info",
		"message": sprintf("%s would cost %s/month less than %s, instance for instance.", [
			twin.class,
			money.text(saving),
			input.parameters.instance_class,
		]),
		"path": "instance_class",
		"way_out": "",
	}
}

# The instance alone: storage and backups cost the same with either.
_compute := input.price.item_mills.compute

_twin_compute(twin) := money.mills(data.prices.prices[twin.class])

_twin_compute(twin) := floor((_compute * (100 - twin.saving_percent)) / 100) if {
	not data.prices.prices[twin.class]
}
