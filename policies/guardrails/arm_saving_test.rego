package roadbed.guardrails.arm_saving_test

import data.roadbed.guardrails.arm_saving
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

# An instance among dear storage and backups, which must not count.
_on(class, compute) := object.union(request, {
	"parameters": {"instance_class": class},
	"price": {"monthly_mills": compute + 900000, "item_mills": {"compute": compute, "storage": 500000, "backup": 400000}},
})

test_inside_an_arm_class_is_silent if {
	arm_saving.findings == set() with input as _on("db.r6g.xlarge", 250000)
}

test_exactly_at_ten_dollars_is_silent if {
	arm_saving.findings == set() with input as _on("db.r5.xlarge", 260000)
}

test_outside_is_told_the_amount_of_the_instance_alone if {
	arm_saving.findings == {{
		"rule": "arm_saving",
		"level": "info",
		"message": "db.r6g.xlarge would cost $10.01/month less than db.r5.xlarge, instance for instance.",
		"path": "instance_class",
		"way_out": "",
	}} with input as _on("db.r5.xlarge", 260010)
}

test_outside_a_twin_without_a_price_saves_what_its_family_does if {
	some finding in arm_saving.findings with input as _on("db.r5.2xlarge", 500000)
	finding.message == "db.r6g.2xlarge would cost $100.00/month less than db.r5.2xlarge, instance for instance."
	arm_saving.findings == set() with input as _on("db.r5.2xlarge", 50000)
}

test_lifted_when_the_twin_is_dearer if {
	arm_saving.findings == set() with input as _on("db.r5.xlarge", 200000)
}

test_lifted_without_a_price if {
	price := {"known": false, "monthly_mills": 0, "reason": "no price", "item_mills": {}}
	arm_saving.findings == set() with input as _on("db.r5.xlarge", 300000) with input.price as price
}

test_lifted_for_an_offering_without_classes if {
	arm_saving.findings == set() with input as elsewhere
	arm_saving.findings == set() with input as _on({"set": true}, 300000)
}

test_lifted_for_destroy if {
	arm_saving.findings == set() with input as _on("db.r5.xlarge", 300000) with input.action as "destroy"
}
