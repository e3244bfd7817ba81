# METADATA
# title: Open to the world
# description: Nothing that a plan makes is reachable, or readable, by everyone.
# scope: package
# related_resources:
#   - ref: docs/policies.md#open_to_world
package roadbed.plan.open_to_world

import data.roadbed.lib.plan

findings contains plan.finding("open_to_world", says, at) if {
	not input.action == "destroy"
	some hit in plan.hits(data.plan.open_to_world.checks)
	at := {
		"change": hit.change,
		"attribute": hit.check.attribute,
		"value": hit.value,
		"causes": plan.causes(hit.change, hit.check.attribute),
		"source": hit.check.source,
	}
	says := sprintf("would be open to everyone (%s is %v).", [hit.check.attribute, hit.value])
}
