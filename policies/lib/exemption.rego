# METADATA
# title: Exemption
# description: >
#   A finding that a dated exemption lifts. It becomes a note that says until when, why and
#   by whose word. A price that nobody knows is never exempt.
# scope: package
# related_resources:
#   - ref: docs/policies.md#exemptions
package roadbed.lib.exemption

import data.roadbed.lib.clock

# METADATA
# description: The finding as it counts, lifted or not.
applied(finding) := object.union(object.remove(finding, ["approvers", "count"]), {
	"level": "info",
	"message": sprintf("%s Exempt until %s: %s (granted by %s).", [
		finding.message,
		granted.until,
		trim_right(granted.reason, "."),
		granted.granted_by,
	]),
	"way_out": "",
	"exemption": granted,
}) if {
	finding.level in {"deny", "require_approval", "warn"}
	not unpriced(finding.rule)
	granted := of(finding.rule)
} else := finding

# METADATA
# description: >
#   What exempts the ask from a rule now, as {until, granted_by, reason}; the one that lasts
#   longest. Undefined when nothing does.
of(rule) := max({[exemption.until, exemption] |
	some granted in data.exemptions.exemptions
	granted.rule == rule
	_matches(granted)
	clock.ns(granted.from) <= clock.now
	clock.now < clock.ns(granted.until)
	exemption := {
		"until": substring(granted.until, 0, 10),
		"granted_by": granted.granted_by,
		"reason": granted.reason,
	}
})[1]

# All that it names is so.
_matches(granted) if {
	every key, value in object.filter(granted, ["owner", "offering", "environment", "name"]) {
		_asked[key] == value
	}
}

_asked := {
	"owner": input.owner,
	"offering": input.offering.id,
	"environment": input.environment.name,
	"name": input.name,
}

# METADATA
# description: Whether a rule speaks of a price that nobody knows.
unpriced(rule) if {
	rule == "cost_limit"
	not input.price.known == true
}
