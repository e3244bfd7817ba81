package cost

import (
	"errors"
	"fmt"
	"math/big"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// maxBits bounds a number's numerator and denominator. Money needs 64; the rest
// is room for fractions, and the bound keeps x = x*x from eating the memory.
const maxBits = 1024

var errTooLarge = errors.New("the formula makes a number that is too large")

// number is an exact fraction. It is the only kind of number in a formula.
type number struct{ rat *big.Rat }

var (
	_ starlark.HasBinary  = number{}
	_ starlark.HasUnary   = number{}
	_ starlark.Comparable = number{}
)

func (n number) String() string        { return n.rat.RatString() }
func (n number) Type() string          { return "number" }
func (n number) Freeze()               {} // never changed once made
func (n number) Truth() starlark.Bool  { return n.rat.Sign() != 0 }
func (n number) Hash() (uint32, error) { return starlark.String(n.rat.RatString()).Hash() }

// CompareSameType orders two numbers.
func (n number) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	c := n.rat.Cmp(other.(number).rat)
	switch op {
	case syntax.EQL:
		return c == 0, nil
	case syntax.NEQ:
		return c != 0, nil
	case syntax.LT:
		return c < 0, nil
	case syntax.LE:
		return c <= 0, nil
	case syntax.GT:
		return c > 0, nil
	default:
		return c >= 0, nil
	}
}

// Unary is -n or +n.
func (n number) Unary(op syntax.Token) (starlark.Value, error) {
	switch op {
	case syntax.MINUS:
		return number{new(big.Rat).Neg(n.rat)}, nil
	case syntax.PLUS:
		return n, nil
	default:
		return nil, nil
	}
}

// Binary calculates; // and % round down, as in Starlark.
func (n number) Binary(op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	m, ok := other.(number)
	if !ok {
		return nil, nil
	}
	x, y := n.rat, m.rat
	if side == starlark.Right {
		x, y = y, x
	}
	result := new(big.Rat)
	switch op {
	case syntax.PLUS:
		result.Add(x, y)
	case syntax.MINUS:
		result.Sub(x, y)
	case syntax.STAR:
		result.Mul(x, y)
	case syntax.SLASH, syntax.SLASHSLASH, syntax.PERCENT:
		if y.Sign() == 0 {
			return nil, errors.New("the formula divides by zero")
		}
		result.Quo(x, y)
		if op != syntax.SLASH {
			result = floor(result)
		}
		if op == syntax.PERCENT {
			result.Sub(x, result.Mul(result, y))
		}
	default:
		return nil, nil
	}
	if result.Num().BitLen() > maxBits || result.Denom().BitLen() > maxBits {
		return nil, errTooLarge
	}
	return number{result}, nil
}

// floor is the greatest whole number that is not above r.
func floor(r *big.Rat) *big.Rat {
	// Euclidean division rounds down because a denominator is positive.
	return new(big.Rat).SetInt(new(big.Int).Div(r.Num(), r.Denom()))
}

// ceil is the smallest whole number that is not below r.
func ceil(r *big.Rat) *big.Rat {
	down := floor(new(big.Rat).Neg(r))
	return down.Neg(down)
}

// half rounds to the nearest whole number, half away from zero.
func half(r *big.Rat) *big.Rat {
	if r.Sign() < 0 {
		up := half(new(big.Rat).Neg(r))
		return up.Neg(up)
	}
	return floor(new(big.Rat).Add(r, big.NewRat(1, 2)))
}

// toNumber is a decimal as written: "0.115", "-3", "1e-3". The lengths are
// bounded first, since 1e999999999 is short to write and not to hold.
func toNumber(text string) (number, error) {
	if len(text) > 40 {
		return number{}, fmt.Errorf("the number %.40s… is too long", text)
	}
	f, ok := new(big.Float).SetString(text)
	if !ok || f.IsInf() {
		return number{}, fmt.Errorf("%q is not a number", text)
	}
	if e := f.MantExp(nil); e > maxBits || e < -maxBits {
		return number{}, errTooLarge
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return number{}, fmt.Errorf("%q is not a number", text)
	}
	return number{r}, nil
}
