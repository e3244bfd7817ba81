package roadbed.plan.data_store_lost_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.data_store_lost

_replaced := planned({
	"address": "postgres_database.main",
	"type": "postgres_database",
	"action": "replace",
	"after": {"name": "new"},
	"replaces": ["name", "owner"],
	"sources": {"name": ["exposed"], "owner": ["other"]},
})

_deleted := planned({
	"address": "aws_db_instance.copy[1]",
	"type": "aws_db_instance",
	"action": "delete",
	"sources": {"count": ["copies"]},
})

test_inside_is_allowed if {
	every action in ["create", "update", "no-op"] {
		data_store_lost.findings == set() with input as planned({"type": "aws_db_instance", "action": action, "after": {}})
	}
}

test_exactly_at_what_holds_no_data_is_allowed if {
	every action in ["delete", "replace"] {
		data_store_lost.findings == set() with input as planned({"type": "aws_db_subnet_group", "action": action})
	}
}

test_outside_a_replacement_needs_approval_and_names_what_makes_it if {
	data_store_lost.findings == {{
		"rule": "data_store_lost",
		"level": "require_approval",
		"message": concat(" ", [
			"Because of Public access, the database postgres_database.main would be replaced",
			"by an empty one, and its data deleted (name, owner changes).",
		]),
		"path": "exposed",
		"way_out": "Change Public access, or ask #platform-team.",
		"address": "postgres_database.main",
		"attribute": "name",
		"source": "https://www.postgresql.org/docs/current/sql-dropdatabase.html",
	}} with input as _replaced
}

test_outside_a_deletion_names_what_its_number_comes_from if {
	some finding in data_store_lost.findings with input as _deleted
	finding.path == "copies"
	finding.attribute == "count"
	finding.message == "Because of copies, the database aws_db_instance.copy[1] would be deleted, and its data with it."
}

test_outside_a_replacement_for_no_attribute if {
	some finding in data_store_lost.findings with input as planned({"type": "aws_ebs_volume", "action": "replace", "after": {}})
	finding.path == ""
	finding.message == "The volume aws_thing.main would be replaced by an empty one, and its data deleted."
}

test_outside_in_every_type_that_the_data_names if {
	every type in {
		"aws_db_instance", "aws_dynamodb_table", "aws_ebs_volume", "aws_efs_file_system",
		"aws_rds_cluster", "aws_s3_bucket", "postgres_database",
	} {
		count(data_store_lost.findings) == 1 with input as planned({"type": type, "action": "delete"})
	}
}

test_outside_in_prod_it_is_denied if {
	some finding in data_store_lost.findings with input as _replaced with input.environment.name as "prod"
	finding.level == "deny"
}

test_lifted_for_destroy if {
	data_store_lost.findings == set() with input as object.union(_deleted, {"action": "destroy"})
}
