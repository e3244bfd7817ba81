package cost

import (
	"fmt"
	"math/big"

	"go.starlark.net/starlark"
)

// Names that no formula can contain, since they are not identifiers.
const checkNumber = "number!"

// builtins are the functions of a formula. min and max are Starlark's own.
func builtins() starlark.StringDict {
	return starlark.StringDict{
		checkNumber: starlark.NewBuiltin("number", oneNumber(func(r *big.Rat) *big.Rat { return r })),
		"abs":       starlark.NewBuiltin("abs", oneNumber(func(r *big.Rat) *big.Rat { return new(big.Rat).Abs(r) })),
		"ceil":      starlark.NewBuiltin("ceil", oneNumber(ceil)),
		"floor":     starlark.NewBuiltin("floor", oneNumber(floor)),
		"round":     starlark.NewBuiltin("round", oneNumber(half)),
		"range":     starlark.NewBuiltin("range", rangeOf),
		"min":       starlark.Universe["min"],
		"max":       starlark.Universe["max"],
		"True":      starlark.True,
		"False":     starlark.False,
		"None":      starlark.None,
	}
}

type builtin = func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error)

func oneNumber(f func(*big.Rat) *big.Rat) builtin {
	return func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args) != 1 || len(kwargs) != 0 {
			return nil, fmt.Errorf("%s takes one number", b.Name())
		}
		n, ok := args[0].(number)
		if !ok {
			return nil, fmt.Errorf("the formula calculates with %s, which is not a number", args[0].String())
		}
		return number{f(n.rat)}, nil
	}
}

// rangeOf is range(stop) or range(start, stop) over exact numbers. It is a list,
// so it is bounded by the steps that a formula may take anyway.
func rangeOf(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	bounds := []int64{0, 0}
	if len(args) < 1 || len(args) > 2 || len(kwargs) != 0 {
		return nil, fmt.Errorf("range takes one or two numbers")
	}
	for i, arg := range args {
		n, ok := arg.(number)
		if !ok || !n.rat.IsInt() || !n.rat.Num().IsInt64() {
			return nil, fmt.Errorf("range takes whole numbers, not %s", arg.String())
		}
		bounds[2-len(args)+i] = n.rat.Num().Int64()
	}
	start, stop := bounds[0], bounds[1]
	if stop > start && uint64(stop)-uint64(start) > maxSteps {
		return nil, errTooManySteps
	}
	var values []starlark.Value
	for i := start; i < stop; i++ {
		values = append(values, number{new(big.Rat).SetInt64(i)})
	}
	return starlark.NewList(values), nil
}
