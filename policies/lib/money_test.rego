package roadbed.lib.money_test

import data.roadbed.lib.money

test_dollars_become_mills if {
	money.mills(100) == 100000
	money.mills(99.99) == 99990
}

test_text_has_cents_and_rounds_half_up if {
	money.text(85500) == "$85.50"
	money.text(100004) == "$100.00"
	money.text(100005) == "$100.01"
	money.text(9) == "$0.01"
	money.text(0) == "$0.00"
}

test_text_groups_thousands if {
	money.text(999995) == "$1,000.00"
	money.text(2130000) == "$2,130.00"
	money.text(1000000000) == "$1,000,000.00"
	money.text(1002003450) == "$1,002,003.45"
}

test_text_groups_at_the_edges if {
	money.text(998000) == "$998.00"
	money.text(999000) == "$999.00"
	money.text(1000000) == "$1,000.00"
	money.text(1998000) == "$1,998.00"
	money.text(1999000) == "$1,999.00"
	money.text(999998000) == "$999,998.00"
	money.text(999999000) == "$999,999.00"
	money.text(1000000000) == "$1,000,000.00"
	money.text(1999998000) == "$1,999,998.00"
	money.text(1999999000) == "$1,999,999.00"
}

test_a_whole_limit_has_no_cents if {
	money.limit_text(100000) == "$100"
	money.limit_text(10000000) == "$10,000"
	money.limit_text(99990) == "$99.99"
}

test_within_a_cent_of_the_limit_three_decimals_show if {
	money.beside(100005, 100000) == "$100.005"
	money.beside(100004, 100000) == "$100.004"
	money.beside(100009, 100000) == "$100.009"
	money.beside(99991, 100000) == "$99.991"
	money.beside(1000001, 1000000) == "$1,000.001"
}

test_elsewhere_cents_are_enough if {
	money.beside(100010, 100000) == "$100.01"
	money.beside(100015, 100000) == "$100.02"
	money.beside(100000, 100005) == "$100.00"
	money.beside(100011, 100001) == "$100.01"
	money.beside(171000, 100000) == "$171.00"
}
