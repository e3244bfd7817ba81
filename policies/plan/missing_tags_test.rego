package roadbed.plan.missing_tags_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.missing_tags

_all := {"Team": "group:default/payments", "CostCenter": "CC-1", "Environment": "dev", "ManagedBy": "platform"}

_bucket(after) := planned({"address": "aws_s3_bucket.main", "type": "aws_s3_bucket", "after": after})

test_inside_is_allowed if {
	missing_tags.findings == set() with input as _bucket({"tags": _all})
}

test_exactly_at_the_providers_own_default_tags_is_allowed if {
	missing_tags.findings == set() with input as _bucket({"tags": null, "tags_all": _all})
}

test_outside_warns_with_what_is_missing if {
	tags := {"Team": "", "CostCenter": null, "Environment": "dev", "ManagedBy": "platform"}
	missing_tags.findings == {{
		"rule": "missing_tags",
		"level": "warn",
		"message": concat(" ", [
			"The bucket aws_s3_bucket.main would lack the tags Team, CostCenter,",
			"so that nobody could tell whose it is.",
		]),
		"path": "",
		"way_out": "Nothing that was filled in makes it so: ask #platform-team.",
		"address": "aws_s3_bucket.main",
		"attribute": "tags",
		"source": "https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
	}} with input as _bucket({"tags": tags})
}

test_outside_one_tag_is_enough_to_be_named if {
	some finding in missing_tags.findings with input as _bucket({"tags": object.remove(_all, ["Team"])})
	contains(finding.message, "would lack the tags Team, so")
}

test_outside_in_every_type_that_the_data_names if {
	every type in {
		"aws_db_instance", "aws_dynamodb_table", "aws_ebs_volume", "aws_efs_file_system", "aws_instance",
		"aws_rds_cluster", "aws_rds_cluster_instance", "aws_s3_bucket", "aws_security_group",
	} {
		count(missing_tags.findings) == 1 with input as planned({"type": type, "after": {"tags": null}})
	}
}

test_outside_without_any_tags_in_staging_and_prod_is_denied if {
	every environment in ["staging", "prod"] {
		some finding in missing_tags.findings with input as _bucket({"tags": null}) with input.environment.name as environment
		finding.level == "deny"
		contains(finding.message, "the tags Team, CostCenter, Environment, ManagedBy,")
	}
}

test_lifted_for_what_has_no_tags if {
	missing_tags.findings == set() with input as planned({"type": "postgres_database", "after": {"tags": null}})
}

test_lifted_for_tags_that_are_not_known_yet if {
	missing_tags.findings == set() with input as _bucket({})
	missing_tags.findings == set() with input as planned({
		"type": "aws_s3_bucket", "after": {"tags": {"Team": "a"}}, "unknown": ["tags", "tags_all"],
	})
}

test_lifted_for_destroy if {
	missing_tags.findings == set() with input as object.union(_bucket({"tags": null}), {"action": "destroy"})
}
