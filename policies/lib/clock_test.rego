package roadbed.lib.clock_test

import data.roadbed.lib.clock

_ns(text) := time.parse_rfc3339_ns(text)

test_a_date_alone_is_its_first_moment_in_utc if {
	clock.ns("2027-01-31") == _ns("2027-01-31T00:00:00Z")
	clock.ns("2027-01-31T00:00:00+01:00") == _ns("2027-01-30T23:00:00Z")
}

test_now_is_when_it_was_asked if clock.now == 1000000000 with input as {"at": "1970-01-01T00:00:01Z"}

test_a_wall_clock_follows_its_zone_through_summer_time if {
	clock.wall(_ns("2026-07-01T12:30:15Z"), "Europe/Berlin") == _ns("2026-07-01T14:30:15Z")
	clock.wall(_ns("2026-12-01T12:30:15Z"), "Europe/Berlin") == _ns("2026-12-01T13:30:15Z")
	clock.wall(_ns("2026-12-01T02:00:00Z"), "America/New_York") == _ns("2026-11-30T21:00:00Z")
}

test_an_instant_is_what_shows_that_wall_clock if {
	clock.instant(_ns("2026-07-01T14:30:00Z"), "Europe/Berlin") == _ns("2026-07-01T12:30:00Z")
	clock.instant(_ns("2026-12-01T13:30:00Z"), "Europe/Berlin") == _ns("2026-12-01T12:30:00Z")
	clock.instant(_ns("2026-12-01T22:00:00Z"), "America/New_York") == _ns("2026-12-02T03:00:00Z")
	clock.instant(_ns("2026-12-01T22:00:00Z"), "UTC") == _ns("2026-12-01T22:00:00Z")
}

# Clocks go from 02:00 to 03:00 on 29 March 2026 and from 03:00 to 02:00 on 25 October.
test_an_hour_that_is_skipped_is_the_one_before_it_and_one_that_comes_twice_is_the_first if {
	clock.instant(_ns("2026-03-29T02:30:00Z"), "Europe/Berlin") == _ns("2026-03-29T00:30:00Z")
	clock.instant(_ns("2026-03-29T03:30:00Z"), "Europe/Berlin") == _ns("2026-03-29T01:30:00Z")
	clock.instant(_ns("2026-10-25T02:30:00Z"), "Europe/Berlin") == _ns("2026-10-25T00:30:00Z")
	clock.instant(_ns("2026-10-25T04:00:00Z"), "Europe/Berlin") == _ns("2026-10-25T03:00:00Z")
}

test_an_instant_in_words if {
	clock.text(_ns("2027-01-04T07:05:00Z"), "UTC") == "Mon 4 Jan 2027 07:05 UTC"
	clock.text(_ns("2027-01-04T07:05:00Z"), "Europe/Berlin") == "Mon 4 Jan 2027 08:05 Europe/Berlin"
}
