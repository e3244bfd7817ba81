# METADATA
# title: ARM
# description: The ARM twin of the instance class that is asked for.
# scope: package
# related_resources:
#   - ref: docs/policies.md#cheaper_arm_twin
package roadbed.lib.arm

# METADATA
# description: The twin's class and the listed saving, as {class, saving_percent}; undefined without a twin.
twin := {"class": concat("", [row.twin, size]), "saving_percent": row.saving_percent} if {
	class := input.parameters.instance_class
	is_string(class)
	some family, row in data.arm_twins.families
	startswith(class, concat("", [family, "."]))
	size := trim_prefix(class, family)
}
