# What the tests beside the rules on a plan start from.
package roadbed.lib.plan_fixture_test

import data.roadbed.lib.fixture_test.request

# A plan of one change, for a request that has a parameter exposed.
planned(change) := object.union(request, {
	"stage": "plan",
	"offering": {"titles": {"exposed": "Public access"}},
	"parameters": {"exposed": true},
	"changes": [object.union({"address": "aws_thing.main", "action": "create"}, change)],
})
