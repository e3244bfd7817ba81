# METADATA
# title: Unencrypted
# description: What holds data is encrypted where it lies.
# scope: package
# related_resources:
#   - ref: docs/policies.md#unencrypted
package roadbed.plan.unencrypted

import data.roadbed.lib.plan

findings contains plan.finding("unencrypted", says, at) if {
	not input.action == "destroy"
	some hit in plan.hits(data.plan.unencrypted.checks)
	at := {
		"change": hit.change,
		"attribute": hit.check.attribute,
		"value": hit.value,
		"causes": plan.causes(hit.change, hit.check.attribute),
		"source": hit.check.source,
	}
	says := sprintf("would hold data unencrypted (%s is %v).", [hit.check.attribute, _text(hit.value)])
}

_text(null) := "not set"

_text(value) := value if value != null
