package roadbed.plan.price_differs_test

import data.roadbed.lib.fixture_test.request
import data.roadbed.plan.price_differs

_costs(planned, form) := object.union(request, {
	"stage": "plan",
	"price": {"monthly_mills": planned, "form_mills": form},
})

test_inside_is_allowed if {
	price_differs.findings == set() with input as request
	price_differs.findings == set() with input as _costs(85500, null)
}

test_exactly_at_the_forms_price_is_allowed if {
	price_differs.findings == set() with input as _costs(85500, 85500)
}

test_outside_a_higher_price_is_a_warning if {
	price_differs.findings == {{
		"rule": "price_differs",
		"level": "warn",
		"message": "What the plan makes costs $171.00/month; the form said $85.50/month.",
		"path": "",
		"way_out": "Cancel it if that is too much, and tell #platform-team.",
	}} with input as _costs(171000, 85500)
	some least in price_differs.findings with input as _costs(85501, 85500)
	least.message == "What the plan makes costs $85.501/month; the form said $85.50/month."
}

test_outside_a_lower_price_is_a_note if {
	price_differs.findings == {{
		"rule": "price_differs",
		"level": "info",
		"message": "What the plan makes costs $60.00/month; the form said $85.50/month.",
		"path": "",
		"way_out": "",
	}} with input as _costs(60000, 85500)
}

test_lifted_for_a_price_that_is_not_known if {
	price_differs.findings == set() with input as _costs(0, 85500) with input.price.known as false
}

test_lifted_for_destroy if {
	price_differs.findings == set() with input as object.union(_costs(171000, 85500), {"action": "destroy"})
}
