# METADATA
# title: Money
# description: Amounts in thousandths of a dollar (mills) as text. Compare mills, never text.
# scope: package
# related_resources:
#   - ref: docs/policies.md#money
package roadbed.lib.money

# METADATA
# description: Dollars as mills.
mills(dollars) := round(dollars * 1000)

# METADATA
# description: The amount in dollars and cents, half a cent up, for example $2,130.00.
text(mills) := sprintf("$%s.%02d", [_grouped(floor(cents / 100)), cents % 100]) if {
	cents := floor((mills + 5) / 10)
}

# METADATA
# description: A limit as it is spoken of, for example $100, with cents only when it has some.
limit_text(mills) := concat("", ["$", _grouped(mills / 1000)]) if {
	mills % 1000 == 0
} else := text(mills)

# METADATA
# description: >
#   The amount next to a limit. Within a cent of the limit it has three decimals where
#   they matter, so that an amount over the limit never reads as equal to it.
beside(mills, limit) := sprintf("$%s.%03d", [_grouped(floor(mills / 1000)), mills % 1000]) if {
	mills % 10 != 0
	abs(mills - limit) < 10
} else := text(mills)

_grouped(n) := sprintf("%d", [n]) if n < 1000

_grouped(n) := sprintf("%d,%03d", [floor(n / 1000), n % 1000]) if {
	n >= 1000
	n < 1000000
}

_grouped(n) := sprintf("%d,%03d,%03d", [floor(n / 1000000), floor(n / 1000) % 1000, n % 1000]) if {
	n >= 1000000
}
