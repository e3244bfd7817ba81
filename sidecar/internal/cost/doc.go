// Package cost prices a request: it runs an offering's formula over the
// request's parameters and the price book.
//
// It knows no policy, no store and no offering folder; it must stay pure, so
// that the form, the policy, the forecast and the plan get the same price for
// the same input.
//
// # Formulas
//
// A formula is a small Starlark program: assignments, if and for. It reads the
// offering's parameters by name and, for an enum, <name>_cost: the chosen
// option's monthly price. It sets total, in dollars a month. It can call abs,
// ceil, floor, max, min, range and round; it can load, print and define
// nothing, and it stops after a fixed number of steps.
//
// # Money
//
// Starlark's numbers are binary floats, and in binary floats
// 30 + 359*0.115 + 359*4*0.02 is 100.0, not the 100.005 that is over a limit of
// $100. So before a formula is compiled every number literal in it becomes an
// exact fraction, as written, and every operand of +, -, *, /, // and % is
// checked to be one. No float64 takes part, not even in 1/3. Only the end
// result is rounded: up, to a thousandth of a dollar, because then "is over a
// limit" has the same answer before and after rounding.
package cost
