package roadbed.plan.unencrypted_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.unencrypted

_database(encrypted) := planned({
	"address": "module.db.aws_db_instance.main[0]",
	"type": "aws_db_instance",
	"after": {"storage_encrypted": encrypted},
	"sources": {"storage_encrypted": ["encrypted"]},
})

test_inside_is_allowed if {
	unencrypted.findings == set() with input as _database(true)
}

test_exactly_at_what_is_not_known_yet_is_allowed if {
	unencrypted.findings == set() with input as planned({
		"type": "aws_rds_cluster", "after": {"engine": "aurora-postgresql"}, "unknown": ["storage_encrypted"],
	})
}

test_outside_is_denied_by_the_parameter_that_makes_it_so if {
	unencrypted.findings == {{
		"rule": "unencrypted",
		"level": "deny",
		"message": "Because of encrypted, the database module.db.aws_db_instance.main[0] would hold data unencrypted (storage_encrypted is false).",
		"path": "encrypted",
		"way_out": "Change encrypted, or ask #platform-team.",
		"address": "module.db.aws_db_instance.main[0]",
		"attribute": "storage_encrypted",
		"source": "https://docs.aws.amazon.com/securityhub/latest/userguide/rds-controls.html#rds-3",
	}} with input as _database(false)
}

test_outside_what_the_provider_leaves_unencrypted_by_itself if {
	some finding in unencrypted.findings with input as _database(null)
	contains(finding.message, "(storage_encrypted is not set)")
}

test_outside_in_every_type_that_the_data_names if {
	every type, attribute in {
		"aws_ebs_volume": "encrypted",
		"aws_efs_file_system": "encrypted",
		"aws_rds_cluster": "storage_encrypted",
	} {
		every value in [false, null] {
			count(unencrypted.findings) == 1 with input as planned({"type": type, "after": {attribute: value}})
		}
	}
}

test_lifted_for_destroy if {
	unencrypted.findings == set() with input as object.union(_database(false), {"action": "destroy"})
}
