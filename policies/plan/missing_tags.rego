# METADATA
# title: Missing tags
# description: What can be tagged carries the tags by which its owner and its bill are found.
# scope: package
# related_resources:
#   - ref: docs/policies.md#missing_tags
package roadbed.plan.missing_tags

import data.roadbed.lib.plan

findings contains plan.finding("missing_tags", says, at) if {
	not input.action == "destroy"
	some change in plan.made
	change.type in data.plan.missing_tags.types
	known := [name |
		some name in data.plan.missing_tags.attributes
		object.get(change.after, name, "unknown") != "unknown"
		not name in object.get(change, "unknown", [])
	]
	missing := [tag |
		some tag in data.plan.missing_tags.required
		not _tagged(change.after[known[0]], tag)
	]
	count(missing) > 0
	at := {
		"change": change,
		"attribute": known[0],
		"value": change.after[known[0]],
		"causes": plan.causes(change, known[0]),
		"source": data.plan.missing_tags.source,
	}
	says := sprintf("would lack the tags %s, so that nobody could tell whose it is.", [concat(", ", missing)])
}

_tagged(tags, tag) if {
	is_string(tags[tag])
	tags[tag] != ""
}
