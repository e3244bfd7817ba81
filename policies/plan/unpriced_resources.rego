# METADATA
# title: Unpriced resources
# description: What a plan makes or keeps and nothing prices is named; it is never counted as nothing.
# scope: package
# related_resources:
#   - ref: docs/policies.md#unpriced_resources
package roadbed.plan.unpriced_resources

findings contains finding if {
	not input.action == "destroy"
	addresses := [resource.address | some resource in input.price.unpriced]
	count(addresses) > 0

	finding := {
		"rule": "unpriced_resources",
		"level": "warn",
		"message": sprintf("The price does not include %s.", [concat(", ", addresses)]),
		"path": "",
		"way_out": sprintf("Ask %s to price it in the offering, or to say that it costs nothing.", [data.limits.contact]),
	}
}
