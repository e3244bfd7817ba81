package roadbed.guardrails.dependants_test

import data.roadbed.guardrails.dependants
import data.roadbed.lib.fixture_test.request

_shop := {
	"entity_ref": "resource:dev/shop.static-site",
	"owner": "group:default/web",
	"output": "endpoint",
	"parameter": "database",
}

_destroy(list) := object.union(request, {"action": "destroy", "dependants": list})

test_inside_is_silent if {
	dependants.findings == set() with input as _destroy([])
	dependants.findings == set() with input as object.remove(_destroy([]), ["dependants"])
}

test_outside_is_denied_for_each if {
	dependants.findings == {
		{
			"rule": "dependants",
			"level": "deny",
			"message": "resource:dev/shop.static-site takes its endpoint as database.",
			"path": "",
			"way_out": "Ask group:default/web to change or destroy it first.",
		},
		{
			"rule": "dependants",
			"level": "deny",
			"message": "resource:dev/blog.static-site takes its endpoint as database.",
			"path": "",
			"way_out": "Ask group:default/web to change or destroy it first.",
		},
	} with input as _destroy([_shop, object.union(_shop, {"entity_ref": "resource:dev/blog.static-site"})])
}

test_lifted_for_what_destroys_nothing if {
	every action in ["create", "update", "upgrade", "rotate"] {
		dependants.findings == set() with input as _destroy([_shop]) with input.action as action
	}
}

test_exactly_at_one_is_denied_once if {
	count(dependants.findings) == 1 with input as _destroy([_shop])
}
