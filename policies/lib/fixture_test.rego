# What the tests beside the guardrails start from.
package roadbed.lib.fixture_test

# A request with only the required fields, in dev.
request := {
	"stage": "submit",
	"action": "create",
	"subject": {"ref": "user:default/ann", "groups": ["group:default/payments", "user:default/ann"]},
	"offering": {"id": "postgres-database", "version": "1.2.0", "category": "databases"},
	"environment": {"name": "dev", "title": "Development"},
	"name": "orders",
	"confirm": "",
	"owner": "group:default/payments",
	"cost_center": "CC-1234",
	"parameters": {
		"database_name": "orders",
		"environment": "dev",
		"instance_class": "db.t3.medium",
		"storage_gb": 100,
		"backup_retention_days": 7,
		"multi_az": false,
		"team_owner": "payments",
		"cost_center": "CC-1234",
	},
	"before": null,
	"price": {
		"known": true,
		"monthly_mills": 85500,
		"charge_mills": 85500,
		"reason": "",
		"item_mills": {"compute": 60000, "storage": 11500, "backup": 14000},
		"form_mills": null,
		"unpriced": null,
	},
	"balances": [],
	"changes": null,
	"at": "2026-11-24T12:00:00Z",
}

# The same from an offering that has none of a database's parameters.
elsewhere := object.union(object.remove(request, ["parameters"]), {
	"offering": {"id": "message-topic", "version": "1.0.0", "category": "messaging"},
	"parameters": {"topic": "orders"},
})
