package roadbed.lib.plan_test

import data.roadbed.lib.plan
import data.roadbed.lib.plan_fixture_test.planned

_checks := {"thing": [{"attribute": "door.to", "is": ["all"], "source": "https://example.org/why"}]}

_found(change) := {hit.value | some hit in hits} if {
	hits := plan.hits(_checks) with input as planned(object.union({"type": "thing"}, change))
}

test_a_value_is_found_through_every_list if {
	_found({"after": {"door": [{"to": ["some"]}, {"to": ["none", "all"]}]}}) == {"all"}
	_found({"after": {"door": {"to": "all"}}}) == {"all"}
	_found({"after": {"door": [{"to": ["some"]}], "to": "all", "other": {"door": {"to": "all"}}}}) == set()
}

test_a_value_that_is_not_known_matches_nothing if {
	_found({"after": {"door": [{}]}}) == set()
	_found({"after": {}}) == set()
	_found({}) == set()
}

test_only_what_is_changed_and_stays_is_looked_at if {
	every action in ["create", "update", "replace"] {
		_found({"after": {"door": {"to": "all"}}, "action": action}) == {"all"}
	}
	every action in ["delete", "no-op", "read"] {
		_found({"after": {"door": {"to": "all"}}, "action": action}) == set()
	}
}

test_a_check_may_be_for_some_resources_only if {
	checks := {"thing": [{"attribute": "to", "is": ["all"], "where": {"type": "ingress"}}]}
	in_one := plan.hits(checks) with input as planned({"type": "thing", "after": {"to": "all", "type": "ingress"}})
	count(in_one) == 1
	in_other := plan.hits(checks) with input as planned({"type": "thing", "after": {"to": "all", "type": "egress"}})
	in_other == set()
}

test_causes_are_those_of_the_attribute_else_of_what_it_is_in if {
	sources := {"door": ["wide"], "door.to": ["near", "far"]}
	plan.causes({"sources": sources}, "door.to") == ["near", "far"]
	plan.causes({"sources": sources}, "door.from") == ["wide"]
	plan.causes({"sources": sources}, "window") == []
	plan.causes({}, "door.to") == []
}

_path(causes, parameters, before) := found.path if {
	change := {"address": "thing.main", "type": "thing"}
	at := {"change": change, "attribute": "door", "value": "all", "causes": causes, "source": "https://example.org/why"}
	found := plan.finding("unencrypted", "is wrong.", at) with input.parameters as parameters
		with input.before as before
		with input.environment.name as "dev"
		with input.offering as {}
}

test_the_nearest_parameter_is_named if {
	_path(["near", "far"], {"near": "x", "far": "y"}, null) == "near"
	_path([], {"near": "x"}, null) == ""
}

test_the_parameter_that_has_the_value_is_named_first if {
	_path(["near", "far"], {"near": "x", "far": "all"}, null) == "far"
}

test_the_parameter_that_has_changed_is_named_before_any if {
	before := {"near": "x", "far": "all", "third": "old"}
	_path(["near", "far", "third"], {"near": "x", "far": "all", "third": "new"}, before) == "third"
	_path(["near", "far"], {"near": "x", "far": "all"}, before) == "far"
}

test_an_environment_may_have_a_level_of_its_own if {
	rule := {"level": "warn", "levels": {"prod": "deny"}}
	plan.level(rule) == "warn" with input.environment.name as "dev"
	plan.level(rule) == "deny" with input.environment.name as "prod"
}

test_every_attribute_that_the_data_lists_has_an_https_source if {
	every rule in ["open_to_world", "unencrypted"] {
		every rows in data.plan[rule].checks {
			count(rows) > 0
			every row in rows { _https(row.source) }
		}
	}
	every source in data.plan.data_store_lost.types { _https(source) }
	_https(data.plan.missing_tags.source)
}

_https(source) if regex.match(`^https://[a-z.]+/[a-z0-9./-]+(#[a-z0-9-]+)?$`, source)

test_every_kind_is_plain_words_for_a_sentence if {
	every kind in data.plan.kinds { regex.match(`^[a-z]+( [a-z]+)*$`, kind) }
}
