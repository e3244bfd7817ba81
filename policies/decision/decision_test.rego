package roadbed.decision_test

import data.roadbed.decision
import data.roadbed.lib.fixture_test.request

_rules := {finding.rule | some finding in decision.findings}

test_a_request_with_only_the_required_fields_has_no_findings if {
	decision.findings == set() with input as request
}

test_all_denials_are_reported_at_once if {
	faulty := object.union(request, {"owner": "", "cost_center": "", "price": {"monthly_mills": 171000}})
	_rules == {"cost_limit", "team_owner", "cost_center"} with input as faulty
}

test_a_plain_denial_passes_through_as_it_is if {
	some finding in decision.findings with input as object.union(request, {"owner": ""})
	finding.message == "team_owner is required for cost allocation."
}

test_what_requires_approval_says_whose_and_of_how_many if {
	large := object.union(request, {"parameters": {"storage_gb": 501}})
	decision.findings == {{
		"rule": "large_database",
		"level": "require_approval",
		"message": "Databases over 500 GB require approval in dev; this asks for 501 GB.",
		"path": "storage_gb",
		"way_out": "Choose 500 GB or less, or ask #platform-team.",
		"approvers": ["group:default/platform-team"],
		"count": 1,
	}} with input as large with data.limits.start_smaller.above_gb as 1000
}

test_a_limit_may_have_approvers_of_its_own if {
	dear := object.union(request, {"environment": {"name": "prod"}, "price": {"monthly_mills": 10000001}})
	limit := object.union(data.limits.cost_limit, {"approvers": {"groups": ["group:default/finance"], "count": 2}})
	some finding in decision.findings with input as dear with data.limits.cost_limit as limit
	finding.rule == "cost_limit"
	finding.approvers == ["group:default/finance"]
	finding.count == 2
}

test_a_denial_names_no_approvers if {
	dear := object.union(request, {"price": {"monthly_mills": 171000}})
	some finding in decision.findings with input as dear
	finding.level == "deny"
	not finding.approvers
}

test_what_is_destroyed_is_judged_as_that_alone if {
	faulty := object.union(request, {
		"action": "destroy",
		"environment": {"name": "prod"},
		"name": "orders-prod",
		"owner": "",
		"cost_center": "",
		"parameters": {"backup_retention_days": 1, "storage_gb": 1000, "instance_class": "db.r5.large"},
	})
	rules := {finding.rule | some finding in decision.findings} with input as faulty
	rules == {"destroy_approval", "destroy_confirmation"}
}

test_an_exempt_denial_is_a_note_that_needs_nobody if {
	dear := object.union(request, {"price": {"monthly_mills": 171000}})
	some finding in decision.findings with input as dear
		with data.exemptions.exemptions as [{
			"rule": "cost_limit", "owner": "group:default/payments", "from": "2026-11-01", "until": "2026-12-01",
			"granted_by": "user:default/pat", "reason": "the load test",
		}]
	finding.rule == "cost_limit"
	finding.level == "info"
	finding.exemption.until == "2026-12-01"
	not finding.approvers
}

test_the_rules_on_a_plan_speak_once_there_is_one if {
	planned := object.union(request, {"stage": "plan", "changes": [{
		"address": "aws_db_instance.main",
		"type": "aws_db_instance",
		"action": "delete",
	}]})
	some finding in decision.findings with input as planned
	finding.rule == "data_store_lost"
	finding.approvers == ["group:default/platform-team"]
	some approved in decision.findings with input as planned with input.stage as "approval"
	approved == finding
	decision.findings == set() with input as planned with input.stage as "queue"
}

test_what_is_no_finding_is_left_for_the_caller_to_refuse if {
	decision.findings == {"nonsense"} with input as request with data.roadbed.guardrails.team_owner.findings as {"nonsense"}
}
