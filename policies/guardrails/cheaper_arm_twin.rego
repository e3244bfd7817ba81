# METADATA
# title: Cheaper ARM twin
# description: An instance class that has a cheaper ARM twin is pointed out; the choice stands.
# scope: package
# related_resources:
#   - ref: docs/policies.md#cheaper_arm_twin
package roadbed.guardrails.cheaper_arm_twin

import data.roadbed.lib.arm

findings contains finding if {
	not input.action == "destroy"
	saving := _saving(input.parameters.instance_class, arm.twin.class, arm.twin.saving_percent)
	saving > 0

	finding := {
		"rule": "cheaper_arm_twin",
		"level": "warn",
		"message": sprintf(
			"ARM instances are %d%% cheaper than Intel. Consider %s instead of %s. Proceeding with your selection.",
			[saving, arm.twin.class, input.parameters.instance_class],
		),
		"path": "instance_class",
		"way_out": "",
	}
}

# Whole percent, rounded down: a promise that is kept.
_saving(class, twin, _) := floor((100 * (_price[class] - _price[twin])) / _price[class])

_saving(class, twin, listed) := listed if not _both_priced(class, twin)

_both_priced(class, twin) if {
	_price[class]
	_price[twin]
}

_price := data.prices.prices
