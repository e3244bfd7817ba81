package roadbed.plan.import_changes_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.import_changes

_importing(change) := object.union(
	planned(object.union({"address": "db.main", "imported": true}, change)),
	{"action": "import", "import_makes": ["note.asked"]},
)

_levels(input_) := [finding.level | some finding in import_changes.findings with input as input_]

test_inside_what_is_as_it_should_be_is_silent if {
	import_changes.findings == set() with input as _importing({"action": "no-op", "before": {"limit": 5}, "after": {"limit": 5}})
}

test_exactly_at_what_the_offering_makes if {
	import_changes.findings == set() with input as _importing({"action": "create", "address": "note.asked", "imported": false})
}

test_exactly_at_each_of_what_the_offering_makes if {
	import_changes.findings == set() with input as _importing({"action": "create", "address": "note.asked[\"10.0.0.0/8\"]", "imported": false})
	_levels(_importing({"action": "create", "address": "note.other[0]", "imported": false})) == ["deny"]
}

test_outside_anything_else_would_be_made_or_lost if {
	every action in ["create", "delete", "replace"] {
		some finding in import_changes.findings with input as _importing({"action": action})
		finding == {
			"rule": "import_changes",
			"level": "deny",
			"message": sprintf("An import takes over what is there, but its plan would %s db.main.", [action]),
			"path": "",
			"way_out": "Ask for parameters that are as the thing is, and name every resource that it has.",
			"address": "db.main",
		}
	}
	_levels(_importing({"action": "replace", "address": "note.asked"})) == ["deny"]
	_levels(object.remove(_importing({"action": "create"}), ["import_makes"])) == ["deny"]
}

test_outside_it_belongs_to_another_instance if {
	some finding in import_changes.findings with input as _importing({
		"action": "update",
		"before": {"comment": "roadbed:one"},
		"after": {"comment": "roadbed:two"},
	})
	finding == {
		"rule": "import_changes",
		"level": "deny",
		"message": "db.main belongs to another instance: its comment is roadbed:one.",
		"path": "",
		"way_out": "Name another, or have that instance handed over.",
		"address": "db.main",
	}
	not "deny" in _levels(_importing({"action": "update", "before": {"comment": "theirs"}, "after": {"comment": "roadbed:two"}}))
	_levels(_importing({"action": "update", "before": {"comment": null}, "after": {"comment": "roadbed:two"}})) == ["info"]
	_levels(_importing({"action": "no-op", "before": {"comment": "roadbed:two"}, "after": {"comment": "roadbed:two"}})) == []
	not "deny" in _levels(_importing({
		"action": "update", "imported": false,
		"before": {"comment": "roadbed:one"}, "after": {"comment": "roadbed:two"},
	}))
}

test_outside_its_tag_is_of_another_instance if {
	theirs := {"RoadbedInstance": "one", "Team": "x"}
	every after in [{"tags": {"RoadbedInstance": "two"}}, {"tags": {}}, {"tags": null}, {}] {
		some finding in import_changes.findings with input as _importing({"action": "update", "before": {"tags": theirs}, "after": after})
		finding == {
			"rule": "import_changes",
			"level": "deny",
			"message": "db.main belongs to another instance: its tag RoadbedInstance is one.",
			"path": "",
			"way_out": "Name another, or have that instance handed over.",
			"address": "db.main",
		}
	}
	every before in [{"tags": null}, {"tags": {"Team": "x"}}, {"tags": {"RoadbedInstance": "two"}}] {
		not "deny" in _levels(_importing({"action": "update", "before": before, "after": {"tags": {"RoadbedInstance": "two"}}}))
	}
	not "deny" in _levels(_importing({"action": "update", "imported": false, "before": {"tags": theirs}, "after": {"tags": {}}}))
}

test_outside_a_secret_would_be_new if {
	import_changes.findings == {{
		"rule": "import_changes",
		"level": "warn",
		"message": "Nobody can read the password that db.main has, so it gets a new one.",
		"path": "",
		"way_out": "Give the new one to whoever uses the old.",
		"address": "db.main",
	}} with input as _importing({"action": "update", "unknown": ["password"]})
	_levels(object.union(_importing({"action": "update", "unknown": ["password"]}), {"environment": {"name": "prod"}})) == ["require_approval"]
	"warn" in _levels(_importing({"action": "update", "before": {"password_wo_version": null}, "after": {"password_wo_version": 1}}))
	"warn" in _levels(_importing({"action": "update", "before": {}, "after": {"password_wo_version": 1}}))
	not "warn" in _levels(_importing({"action": "update", "before": {"password_wo_version": 1}, "after": {"password_wo_version": 1}}))
	not "warn" in _levels(_importing({"action": "update", "imported": false, "after": {"password_wo_version": 1}}))
	import_changes.findings == set() with input as _importing({"action": "update", "unknown": ["port"]})
	import_changes.findings == set() with input as _importing({"action": "create", "address": "note.asked", "imported": false, "unknown": ["password"]})
}

test_outside_what_changes_is_shown if {
	import_changes.findings == {{
		"rule": "import_changes",
		"level": "info",
		"message": "Importing db.main changes its comment, limit.",
		"path": "",
		"way_out": "",
		"address": "db.main",
	}} with input as _importing({
		"action": "update",
		"before": {"limit": 5, "name": "x", "note": null, "tags": ""},
		"after": {"limit": 7, "comment": "ours", "name": "x", "note": false, "tags": ""},
	})
	import_changes.findings == set() with input as _importing({"action": "create", "address": "note.asked", "imported": false, "after": {"limit": 7}})
	import_changes.findings == set() with input as _importing({"action": "update", "imported": false, "before": {"limit": 5}, "after": {"limit": 7}})
	import_changes.findings == set() with input as _importing({"action": "update", "before": {"login": false}, "after": {"login": null}})
	_levels(_importing({"action": "update", "before": {"login": true}, "after": {"login": null}})) == ["info"]
	_levels(_importing({"action": "update", "before": {"limit": ""}, "after": {"limit": 7}})) == ["info"]
	_levels(_importing({"action": "update", "before": {"limit": 7}, "after": {"limit": ""}})) == ["info"]
}

test_lifted_for_every_other_action if {
	every action in ["create", "update", "adopt", "destroy"] {
		every change in [
			{"action": "replace"}, {"action": "update", "unknown": ["password"]},
			{"action": "update", "before": {"comment": "roadbed:one"}, "after": {"comment": "roadbed:two"}},
			{"action": "update", "before": {"tags": {"RoadbedInstance": "one"}}, "after": {"tags": {"RoadbedInstance": "two"}}},
		] {
			import_changes.findings == set() with input as object.union(_importing(change), {"action": action})
		}
	}
}
