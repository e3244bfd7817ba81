# METADATA
# title: Data store lost
# description: Only a request to destroy deletes what holds data; replacing it deletes it too.
# scope: package
# related_resources:
#   - ref: docs/policies.md#data_store_lost
package roadbed.plan.data_store_lost

import data.roadbed.lib.plan

findings contains plan.finding("data_store_lost", says, at) if {
	not input.action == "destroy"
	some change in input.changes
	source := data.plan.data_store_lost.types[change.type]
	attribute := _attribute(change)
	says := _says(change)
	at := {
		"change": change,
		"attribute": attribute,
		"value": object.get(change, ["after", attribute], null),
		"causes": [name | some cause in _causes(change); some name in plan.causes(change, cause)],
		"source": source,
	}
}

_says(change) := "would be deleted, and its data with it." if change.action == "delete"

_says(change) := sprintf("would be replaced by an empty one, and its data deleted%s.", [_why(change)]) if {
	change.action == "replace"
}

_why(change) := sprintf(" (%s changes)", [concat(", ", change.replaces)]) if change.replaces

_why(change) := "" if not change.replaces

_causes(change) := object.get(change, "replaces", ["count"])

_attribute(change) := _causes(change)[0]
