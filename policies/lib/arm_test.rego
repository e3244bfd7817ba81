package roadbed.lib.arm_test

import data.roadbed.lib.arm

test_a_class_of_a_family_with_a_twin_has_one if {
	arm.twin == {"class": "db.r6g.xlarge", "saving_percent": 20} with input.parameters.instance_class as "db.r5.xlarge"
}

test_others_have_none if {
	every class in ["db.r6g.xlarge", "db.r5b.xlarge", "db.r5", "", 5, {"set": true}] {
		not arm.twin with input.parameters.instance_class as class
	}
}

test_what_has_no_class_has_none if {
	not arm.twin with input as {"parameters": {}}
}
