package roadbed.plan.final_snapshot_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.final_snapshot

_destroying(change) := object.union(
	planned(object.union({"address": "aws_db_instance.main", "type": "aws_db_instance", "action": "delete"}, change)),
	{"action": "destroy", "environment": {"name": "prod"}},
)

test_inside_a_last_snapshot_is_kept if {
	final_snapshot.findings == set() with input as _destroying({"before": {"skip_final_snapshot": false}})
}

test_outside_none_is_kept if {
	every before in [{"skip_final_snapshot": true}, {"skip_final_snapshot": null}, {"skip_final_snapshot": "no"}, {}] {
		final_snapshot.findings == {{
			"rule": "final_snapshot",
			"level": "deny",
			"message": "aws_db_instance.main would be deleted without a last snapshot: its skip_final_snapshot is not false.",
			"path": "",
			"way_out": "Have the setting final_snapshot of prod put right, then update it, and destroy it again.",
			"address": "aws_db_instance.main",
			"attribute": "skip_final_snapshot",
			"source": "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DeleteInstance.html",
		}} with input as _destroying({"before": before})
	}
	count(final_snapshot.findings) == 1 with input as object.remove(_destroying({}), ["before"])
}

_dropping(before) := _destroying({"address": "postgres_database.main", "type": "postgres_database", "before": before})

test_inside_a_dump_is_written if {
	final_snapshot.findings == set() with input as _dropping({"final_snapshot": "/snapshots/orders_ab12cd34.dump"})
}

test_outside_no_dump_is_written if {
	every before in [{"final_snapshot": null}, {}] {
		some finding in final_snapshot.findings with input as _dropping(before)
		finding.message == "postgres_database.main would be deleted without a last snapshot: its final_snapshot is not set."
		finding.source == "https://www.postgresql.org/docs/current/sql-dropdatabase.html"
		finding.way_out == "Have the setting snapshots_directory of prod put right, then update it, and destroy it again."
	}
}

test_exactly_at_what_holds_no_data_is_silent if {
	final_snapshot.findings == set() with input as _destroying({"type": "aws_security_group"})
	every action in ["no-op", "update", "create"] {
		final_snapshot.findings == set() with input as _destroying({"action": action})
	}
}

test_lifted_elsewhere_and_for_what_destroys_nothing if {
	final_snapshot.findings == set() with input as _destroying({}) with input.environment.name as "dev"
	final_snapshot.findings == set() with input as _destroying({}) with input.action as "update"
}
