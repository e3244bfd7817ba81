# METADATA
# title: Offering version
# description: Nothing is made with a version that is withdrawn or upgraded to it; a deprecated one warns whoever begins with it.
# scope: package
# related_resources:
#   - ref: docs/policies.md#offering_version
package roadbed.guardrails.offering_version

findings contains finding if {
	level := _level[input.offering.state][input.action]
	finding := {
		"rule": "offering_version",
		"level": level,
		"message": sprintf("Version %s of %s is %s.", [input.offering.version, input.offering.id, input.offering.state]),
		"path": "",
		"way_out": sprintf("%s, or ask %s.", [_way_out[input.offering.state], data.limits.contact]),
	}
}

_level := {
	"draft": {"create": "deny", "import": "deny", "upgrade": "deny"},
	"deprecated": {"create": "warn", "import": "warn"},
	"withdrawn": {"create": "deny", "import": "deny", "upgrade": "deny"},
}

_way_out := {
	"draft": "Wait until it is published",
	"deprecated": "See in the offering's versions what to take instead",
	"withdrawn": "Ask again for the version that is published",
}
