# METADATA
# title: Import takes over what is there
# description: >
#   An import takes over what nobody else has, may change it in place, and makes nothing but what its
#   offering says.
# scope: package
# related_resources:
#   - ref: docs/policies.md#import_changes
package roadbed.plan.import_changes

findings contains finding if {
	input.action == "import"
	some change in input.changes
	_forbidden(change)
	finding := {
		"rule": "import_changes",
		"level": "deny",
		"message": sprintf("An import takes over what is there, but its plan would %s %s.", [change.action, change.address]),
		"path": "",
		"way_out": "Ask for parameters that are as the thing is, and name every resource that it has.",
		"address": change.address,
	}
}

findings contains finding if {
	input.action == "import"
	some change in input.changes
	change.imported
	some marker in data.plan.import_changes.markers
	is_string(change.before[marker])
	startswith(change.before[marker], data.plan.import_changes.mark)
	change.before[marker] != change.after[marker]
	finding := {
		"rule": "import_changes",
		"level": "deny",
		"message": sprintf("%s belongs to another instance: its %s is %s.", [change.address, marker, change.before[marker]]),
		"path": "",
		"way_out": "Name another, or have that instance handed over.",
		"address": change.address,
	}
}

findings contains finding if {
	input.action == "import"
	some change in input.changes
	change.imported
	some tag in data.plan.import_changes.tags
	theirs := change.before.tags[tag]
	theirs != object.get(change.after, ["tags", tag], "")
	finding := {
		"rule": "import_changes",
		"level": "deny",
		"message": sprintf("%s belongs to another instance: its tag %s is %s.", [change.address, tag, theirs]),
		"path": "",
		"way_out": "Name another, or have that instance handed over.",
		"address": change.address,
	}
}

findings contains finding if {
	input.action == "import"
	some change in input.changes
	change.imported
	some secret in _new_secrets(change)
	finding := {
		"rule": "import_changes",
		"level": object.get(data.plan.import_changes.levels, input.environment.name, data.plan.import_changes.level),
		"message": sprintf("Nobody can read the %s that %s has, so it gets a new one.", [secret, change.address]),
		"path": "",
		"way_out": "Give the new one to whoever uses the old.",
		"address": change.address,
	}
}

findings contains finding if {
	input.action == "import"
	some change in input.changes
	change.imported
	changed := sort([attribute |
		some attribute, after in change.after
		before := object.get(change.before, attribute, null)
		before != after
		not _same_nothing(before, after)
	])
	count(changed) > 0
	finding := {
		"rule": "import_changes",
		"level": "info",
		"message": sprintf("Importing %s changes its %s.", [change.address, concat(", ", changed)]),
		"path": "",
		"way_out": "",
		"address": change.address,
	}
}

_forbidden(change) if change.action in {"delete", "replace"}

_forbidden(change) if {
	change.action == "create"
	makes := object.get(input, "import_makes", [])
	not change.address in makes
	not split(change.address, "[")[0] in makes
}

_new_secrets(change) := {secret | some secret in data.plan.import_changes.secrets; secret in change.unknown} | {secret |
	some version, secret in data.plan.import_changes.versions
	change.after[version] != object.get(change.before, version, null)
}

# Providers say null and empty for the same nothing.
_same_nothing(before, after) if {
	before in {null, "", false}
	after in {null, "", false}
}
