package roadbed.plan.open_to_world_test

import data.roadbed.lib.plan_fixture_test.planned
import data.roadbed.plan.open_to_world

_database(public) := planned({
	"address": "aws_db_instance.main",
	"type": "aws_db_instance",
	"after": {"publicly_accessible": public},
	"sources": {"publicly_accessible": ["exposed"]},
})

_firewall(ingress) := planned({
	"type": "aws_security_group",
	"after": {"ingress": [ingress], "egress": [{"cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": ["::/0"]}]},
})

test_inside_is_allowed if {
	open_to_world.findings == set() with input as _database(false)
	open_to_world.findings == set() with input as _firewall({"cidr_blocks": ["10.0.0.0/8"], "from_port": 5432, "to_port": 5432, "protocol": "tcp"})
}

test_exactly_at_an_authorised_port_is_allowed if {
	everyone := {"cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": ["::/0"], "protocol": "tcp"}
	open_to_world.findings == set() with input as _firewall(object.union(everyone, {"from_port": 443, "to_port": 443}))
	every ports in [{"from_port": 443, "to_port": 444}, {"from_port": 442, "to_port": 443}, {"from_port": 0, "to_port": 0}, {}] {
		count(open_to_world.findings) == 2 with input as _firewall(object.union(everyone, ports))
	}
	other := object.union(everyone, {"from_port": 443, "to_port": 443, "protocol": "udp"})
	count(open_to_world.findings) == 2 with input as _firewall(other)
}

test_exactly_at_an_authorised_port_of_a_rule_of_its_own_is_allowed if {
	rule := {"cidr_ipv4": "0.0.0.0/0", "from_port": 443, "to_port": 443, "ip_protocol": "tcp"}
	open_to_world.findings == set() with input as planned({"type": "aws_vpc_security_group_ingress_rule", "after": rule})
	count(open_to_world.findings) == 1 with input as planned({
		"type": "aws_vpc_security_group_ingress_rule",
		"after": object.union(rule, {"ip_protocol": "udp"}),
	})
}

test_outside_a_public_database_is_denied_by_the_parameter_that_makes_it_so if {
	open_to_world.findings == {{
		"rule": "open_to_world",
		"level": "deny",
		"message": concat(" ", [
			"Because of Public access, the database aws_db_instance.main",
			"would be open to everyone (publicly_accessible is true).",
		]),
		"path": "exposed",
		"way_out": "Change Public access, or ask #platform-team.",
		"address": "aws_db_instance.main",
		"attribute": "publicly_accessible",
		"source": "https://docs.aws.amazon.com/securityhub/latest/userguide/rds-controls.html#rds-2",
	}} with input as _database(true)
}

test_outside_and_of_the_modules_own_making_it_says_so if {
	some finding in open_to_world.findings with input as _firewall({"cidr_blocks": ["10.0.0.0/8", "0.0.0.0/0"], "from_port": 22, "to_port": 22})
	finding.message == "The firewall aws_thing.main would be open to everyone (ingress.cidr_blocks is 0.0.0.0/0)."
	finding.path == ""
	finding.way_out == "Nothing that was filled in makes it so: ask #platform-team."
}

test_outside_in_every_way_that_the_data_names if {
	every type, after in {
		"aws_rds_cluster_instance": {"publicly_accessible": true},
		"aws_security_group_rule": {"type": "ingress", "cidr_blocks": ["0.0.0.0/0"]},
		"aws_vpc_security_group_ingress_rule": {"cidr_ipv6": "::/0"},
	} {
		count(open_to_world.findings) == 1 with input as planned({"type": type, "after": after})
	}
}

test_outside_a_bucket_that_everyone_may_read_or_write_by_either_resource if {
	every type in ["aws_s3_bucket", "aws_s3_bucket_acl"] {
		open_to_world.findings == set() with input as planned({"type": type, "after": {"acl": "private"}})
		every acl in ["public-read", "public-read-write"] {
			count(open_to_world.findings) == 1 with input as planned({"type": type, "after": {"acl": acl}})
		}
	}
}

test_outside_every_way_around_a_buckets_block if {
	every left in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] {
		every value in [false, null] {
			closed := {name: true | some name in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]}
			some finding in open_to_world.findings with input as planned({
				"type": "aws_s3_bucket_public_access_block",
				"after": object.union(closed, {left: value}),
			})
			finding.attribute == left
		}
	}
}

test_outside_every_range_of_a_firewall if {
	every attribute, range in {"cidr_blocks": "0.0.0.0/0", "ipv6_cidr_blocks": "::/0"} {
		count(open_to_world.findings) == 1 with input as _firewall({attribute: [range]})
		count(open_to_world.findings) == 1 with input as planned({
			"type": "aws_security_group_rule",
			"after": {"type": "ingress", attribute: [range]},
		})
	}
}

test_lifted_for_what_goes_out if {
	open_to_world.findings == set() with input as planned({
		"type": "aws_security_group_rule",
		"after": {"type": "egress", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": ["::/0"]},
	})
}

test_lifted_for_what_is_not_known_yet if {
	open_to_world.findings == set() with input as planned({
		"type": "aws_db_instance", "after": {}, "unknown": ["publicly_accessible"],
	})
}

test_lifted_by_data_to_a_warning if {
	rule := object.union(data.plan.open_to_world, {"levels": {"dev": "warn"}})
	some finding in open_to_world.findings with input as _database(true) with data.plan.open_to_world as rule
	finding.level == "warn"
}

test_lifted_for_destroy if {
	open_to_world.findings == set() with input as object.union(_database(true), {"action": "destroy"})
}
