package roadbed.lib.exemption_test

import data.roadbed.lib.exemption
import data.roadbed.lib.fixture_test.request

_granted := {
	"rule": "multi_az",
	"environment": "dev",
	"from": "2026-11-01",
	"until": "2026-12-01",
	"granted_by": "user:default/pat",
	"reason": "the load test.",
}

_finding(level) := {"rule": "multi_az", "level": level, "message": "It is not.", "path": "multi_az", "way_out": "Turn it on."}

_note := {
	"rule": "multi_az",
	"level": "info",
	"message": "It is not. Exempt until 2026-12-01: the load test (granted by user:default/pat).",
	"path": "multi_az",
	"way_out": "",
	"exemption": {"until": "2026-12-01", "granted_by": "user:default/pat", "reason": "the load test."},
}

_applied(finding, granted, asked) := result if {
	result := exemption.applied(finding) with input as asked with data.exemptions.exemptions as granted
}

test_what_is_exempt_is_a_note_that_says_why_until_when_and_by_whom if {
	every level in ["deny", "warn"] {
		_applied(_finding(level), [_granted], request) == _note
	}
	held := object.union(_finding("require_approval"), {"approvers": ["group:default/platform-team"], "count": 1})
	_applied(held, [_granted], request) == _note
}

test_what_says_no_more_than_a_note_stays_as_it_is if {
	_applied(_finding("info"), [_granted], request) == _finding("info")
}

test_nothing_is_exempt_without_an_exemption if {
	_applied(_finding("deny"), [], request) == _finding("deny")
	_applied(_finding("deny"), [object.union(_granted, {"rule": "cost_limit"})], request) == _finding("deny")
}

test_all_that_an_exemption_names_must_be_so if {
	all := object.union(_granted, {"owner": "group:default/payments", "offering": "postgres-database", "name": "orders"})
	_applied(_finding("deny"), [all], request).level == "info"
	every key in ["owner", "offering", "environment", "name"] {
		_applied(_finding("deny"), [object.union(all, {key: "other"})], request).level == "deny"
	}
	_applied(_finding("deny"), [all], object.remove(request, ["owner"])).level == "deny"
}

test_an_exemption_begins_at_from_and_ends_before_until if {
	_at("2026-10-31T23:59:59.999Z") == "deny"
	_at("2026-11-01T00:00:00Z") == "info"
	_at("2026-11-30T23:59:59.999Z") == "info"
	_at("2026-12-01T00:00:00Z") == "deny"
}

test_an_exemption_that_ends_at_an_instant_says_its_day if {
	instant := object.union(_granted, {"until": "2026-12-01T08:00:00Z"})
	_applied(_finding("deny"), [instant], request) == _note
}

_at(text) := _applied(_finding("deny"), [_granted], object.union(request, {"at": text})).level

test_of_several_the_longest_counts if {
	longer := object.union(_granted, {"until": "2026-12-31", "reason": "a longer one"})
	_applied(_finding("deny"), [longer, _granted], request).exemption.reason == "a longer one"
}

test_a_price_that_nobody_knows_is_never_exempt if {
	limit := object.union(_finding("deny"), {"rule": "cost_limit"})
	granted := [object.union(_granted, {"rule": "cost_limit"})]
	_applied(limit, granted, request).level == "info"
	_applied(limit, granted, object.union(request, {"price": {"known": false}})) == limit
	_applied(_finding("deny"), [_granted], object.union(request, {"price": {"known": false}})).level == "info"
}

test_what_is_no_finding_passes_through if _applied("a text", [_granted], request) == "a text"
