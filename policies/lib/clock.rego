# METADATA
# title: Clock
# description: Instants as nanoseconds since 1970, and the wall clock of a time zone. Nothing here knows what time it is.
# scope: package
# related_resources:
#   - ref: docs/policies.md#freezes-and-windows
package roadbed.lib.clock

# METADATA
# description: The instant of the ask.
now := ns(input.at)

# METADATA
# description: An instant as it stands in data, for example 2026-12-20T00:00:00+01:00; a date alone is its first moment in UTC.
ns(text) := time.parse_rfc3339_ns(text) if {
	contains(text, "T")
} else := time.parse_rfc3339_ns(concat("", [text, "T00:00:00Z"]))

# METADATA
# description: What a wall clock in the zone shows at an instant, as the instant at which one in UTC would.
wall(instant, zone) := time.parse_rfc3339_ns(sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", array.concat(
	time.date([instant, zone]),
	time.clock([instant, zone]),
)))

# METADATA
# description: >
#   The instant at which a wall clock in the zone shows this. An hour that is skipped in
#   spring is the one before it; of one that comes twice in autumn, it is the first.
instant(shown, zone) := _at(shown, zone, _at(shown, zone, shown - day))

# METADATA
# description: A day of 24 hours, in nanoseconds.
day := 86400000000000

# METADATA
# description: An instant for people, for example Mon 4 Jan 2027 08:00 UTC.
text(instant, zone) := sprintf("%s %s %s", [
	substring(time.weekday([instant, zone]), 0, 3),
	time.format([instant, zone, "2 Jan 2006 15:04"]),
	zone,
])

# The instant, by the zone's offset at another one nearby.
_at(shown, zone, near) := shown - (wall(near, zone) - (floor(near / 1000000000) * 1000000000))
