package roadbed.guardrails.destroy_confirmation_test

import data.roadbed.guardrails.destroy_confirmation
import data.roadbed.lib.fixture_test.request

_destroy(stage, environment, confirm) := object.union(request, {
	"stage": stage,
	"action": "destroy",
	"environment": {"name": environment},
	"confirm": confirm,
})

test_inside_is_silent if {
	destroy_confirmation.findings == set() with input as _destroy("submit", "prod", "orders")
}

test_outside_is_denied if {
	every typed in ["", "order", "ORDERS"] {
		destroy_confirmation.findings == {{
			"rule": "destroy_confirmation",
			"level": "deny",
			"message": "Destroying orders in prod must be confirmed by its name.",
			"path": "confirm",
			"way_out": "Type orders to confirm.",
		}} with input as _destroy("submit", "prod", typed)
	}
}

test_a_form_is_told_what_will_be_asked if {
	destroy_confirmation.findings == {{
		"rule": "destroy_confirmation",
		"level": "info",
		"message": "Destroying it in prod asks for its name, orders.",
		"path": "confirm",
		"way_out": "",
	}} with input as _destroy("form", "prod", "")
}

test_exactly_at_the_name_is_enough if {
	destroy_confirmation.findings == set() with input as _destroy("submit", "prod", "orders-eu") with input.name as "orders-eu"
	count(destroy_confirmation.findings) == 1 with input as _destroy("submit", "prod", "orders") with input.name as "orders-eu"
}

# It was confirmed when it was asked for.
test_lifted_later if {
	every stage in ["queue", "plan", "approval"] {
		destroy_confirmation.findings == set() with input as _destroy(stage, "prod", "")
	}
}

test_lifted_elsewhere if {
	every stage in ["form", "submit"] {
		destroy_confirmation.findings == set() with input as _destroy(stage, "dev", "")
	}
}

test_lifted_for_what_destroys_nothing if {
	every action in ["create", "update", "upgrade"] {
		destroy_confirmation.findings == set() with input as _destroy("submit", "prod", "") with input.action as action
	}
	destroy_confirmation.findings == set() with input as _destroy("form", "prod", "") with input.action as "create"
}
