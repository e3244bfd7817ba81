package roadbed.lib.arm_test

import data.roadbed.lib.arm

test_a_class_of_a_family_with_a_twin_has_one if {
	arm.twin("db.r5.xlarge") == {"class": "db.r6g.xlarge", "saving_percent": 20}
}

test_others_have_none if {
	every class in ["db.r6g.xlarge", "db.r5b.xlarge", "db.r5", "", 5, {"set": true}] {
		not arm.twin(class)
	}
}
