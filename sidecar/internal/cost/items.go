package cost

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"go.starlark.net/starlark"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var thousand = big.NewRat(int64(provision.Dollar), 1)

// itemise splits the total. Items that are exact thousandths stay as they are;
// of the others each is rounded down, and what the rounded total has over is
// given to those that lost most, so that the items always sum to it.
func itemise(o provision.Offering, p *program, total *big.Rat, scopes ...starlark.StringDict) ([]provision.CostItem, error) {
	type part struct {
		label string
		mills *big.Rat
	}
	rest := new(big.Rat).Set(total)
	parts := make([]part, 0, len(p.items)+1)
	for _, item := range p.items {
		value, err := dollars(o, item.variable, scopes...)
		if err != nil {
			return nil, err
		}
		rest.Sub(rest, value)
		parts = append(parts, part{item.label, new(big.Rat).Mul(value, thousand)})
	}
	switch {
	case rest.Sign() == 0:
	case p.found && p.rest == "":
		// The formula makes its total in a way that cannot be split.
		parts = []part{{"total", new(big.Rat).Mul(total, thousand)}}
	default:
		if p.rest == "" {
			return nil, invalid(o, fmt.Sprintf("has cost items that differ from its total by %s dollars here", rest.FloatString(3)))
		}
		parts = append(parts, part{p.rest, rest.Mul(rest, thousand)})
	}
	left := new(big.Int).Set(ceil(new(big.Rat).Mul(total, thousand)).Num())
	items := make([]provision.CostItem, len(parts))
	lost := make([]*big.Rat, len(parts))
	byLoss := make([]int, len(parts))
	for i, part := range parts {
		whole := floor(part.mills)
		lost[i], byLoss[i] = new(big.Rat).Sub(part.mills, whole), i
		left.Sub(left, whole.Num())
		if !whole.Num().IsInt64() {
			return nil, invalid(o, fmt.Sprintf("has the cost item %s, which is beyond reason here", part.label))
		}
		items[i] = provision.CostItem{Name: part.label, MonthlyCost: provision.Money(whole.Num().Int64())}
	}
	slices.SortStableFunc(byLoss, func(a, b int) int { return cmp.Compare(0, lost[a].Cmp(lost[b])) })
	for _, i := range byLoss[:left.Int64()] {
		items[i].MonthlyCost++
	}
	return slices.DeleteFunc(items, func(i provision.CostItem) bool { return i.MonthlyCost == 0 }), nil
}
