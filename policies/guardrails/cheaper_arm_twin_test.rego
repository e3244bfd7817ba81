package roadbed.guardrails.cheaper_arm_twin_test

import data.roadbed.guardrails.cheaper_arm_twin
import data.roadbed.lib.fixture_test.elsewhere
import data.roadbed.lib.fixture_test.request

_on(class) := object.union(request, {"parameters": {"instance_class": class}})

test_inside_an_arm_class_is_silent if {
	cheaper_arm_twin.findings == set() with input as _on("db.r6g.xlarge")
}

test_inside_a_class_without_a_twin_is_silent if {
	cheaper_arm_twin.findings == set() with input as request
	cheaper_arm_twin.findings == set() with input as _on("db.r5b.xlarge")
}

test_exactly_at_the_twins_price_is_silent if {
	cheaper_arm_twin.findings == set() with input as _on("db.r5.xlarge")
		with data.prices.prices as {"db.r5.xlarge": 250, "db.r6g.xlarge": 250}
}

test_outside_is_warned_about if {
	cheaper_arm_twin.findings == {{
		"rule": "cheaper_arm_twin",
		"level": "warn",
		"message": concat(" ", [
			"ARM instances are 20% cheaper than Intel.",
			"Consider db.r6g.xlarge instead of db.r5.xlarge.",
			"Proceeding with your selection.",
		]),
		"path": "instance_class",
		"way_out": "",
	}} with input as _on("db.r5.xlarge")
}

test_outside_with_both_prices_the_saving_is_computed if {
	some finding in cheaper_arm_twin.findings with input as _on("db.r5.xlarge")
		with data.prices.prices as {"db.r5.xlarge": 280, "db.r6g.xlarge": 250}
	startswith(finding.message, "ARM instances are 10% cheaper than Intel.")
}

test_outside_a_saving_of_one_percent_is_told if {
	some finding in cheaper_arm_twin.findings with input as _on("db.r5.xlarge")
		with data.prices.prices as {"db.r5.xlarge": 253, "db.r6g.xlarge": 250}
	startswith(finding.message, "ARM instances are 1% cheaper than Intel.")
}

test_outside_nearly_all_is_not_all if {
	some finding in cheaper_arm_twin.findings with input as _on("db.r5.xlarge")
		with data.prices.prices as {"db.r5.xlarge": 1000, "db.r6g.xlarge": 5}
	startswith(finding.message, "ARM instances are 99% cheaper than Intel.")
}

test_outside_without_the_twins_price_the_listed_saving_is_told if {
	some finding in cheaper_arm_twin.findings with input as _on("db.r5.xlarge")
		with data.prices.prices as {"db.r5.xlarge": 280}
	startswith(finding.message, "ARM instances are 20% cheaper than Intel.")
}

test_lifted_when_the_twin_is_dearer if {
	cheaper_arm_twin.findings == set() with input as _on("db.r5.xlarge")
		with data.prices.prices as {"db.r5.xlarge": 200, "db.r6g.xlarge": 250}
}

test_lifted_for_an_offering_without_classes if {
	cheaper_arm_twin.findings == set() with input as elsewhere
	cheaper_arm_twin.findings == set() with input as _on({"set": true})
}

test_lifted_for_destroy if {
	cheaper_arm_twin.findings == set() with input as _on("db.r5.xlarge") with input.action as "destroy"
}
