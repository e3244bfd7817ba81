package cost

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"sync"

	"go.starlark.net/starlark"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// maxTotal is the highest price that is believed: a billion dollars a month.
const maxTotal = 1_000_000_000 * provision.Dollar

// Pricer prices requests. It may be used from many goroutines.
type Pricer struct {
	book     Book
	programs sync.Map // digest and formula -> *program
}

var _ provision.Pricer = (*Pricer)(nil)

// New is a Pricer over a price book.
func New(book Book) *Pricer { return &Pricer{book: book} }

// Price runs the offering's formula over p. A parameter that is absent has its
// default. The items are those that are not zero, in the formula's order, and
// sum to the total exactly. It is Invalid, and says what to do, when an option
// has no price, a value has the wrong type, or the formula fails, takes too
// long, is negative or disagrees with its items.
func (c *Pricer) Price(o provision.Offering, p provision.Parameters) (provision.Estimate, error) {
	program, err := c.program(o)
	if err != nil {
		return provision.Estimate{}, err
	}
	values, err := c.values(o, program, p)
	if err != nil {
		return provision.Estimate{}, err
	}
	globals, err := program.run(values)
	if err != nil {
		return provision.Estimate{}, invalid(o, "cannot be priced: "+err.Error())
	}
	total, err := dollars(o, "total", globals)
	if err != nil {
		return provision.Estimate{}, err
	}
	monthly := ceil(new(big.Rat).Mul(total, thousand)).Num()
	if total.Sign() < 0 {
		return provision.Estimate{}, invalid(o, "has a formula whose total is negative here")
	}
	if monthly.Cmp(big.NewInt(int64(maxTotal))) > 0 {
		return provision.Estimate{}, invalid(o, "has a formula whose total is beyond a billion dollars here")
	}
	items, err := itemise(o, program, total, globals, values)
	if err != nil {
		return provision.Estimate{}, err
	}
	cost := provision.Money(monthly.Int64())
	return provision.Estimate{MonthlyCost: cost, AnnualCost: 12 * cost, Items: items, PricesDigest: c.book.digest}, nil
}

// Reads are the parameters that decide the price, in the offering's order. It
// is Invalid when the formula cannot be run.
func (c *Pricer) Reads(o provision.Offering) ([]string, error) {
	program, err := c.program(o)
	if err != nil {
		return nil, err
	}
	return slices.Clone(program.reads), nil
}

func (c *Pricer) program(o provision.Offering) (*program, error) {
	key := o.Digest + "\n" + o.Cost.Formula
	if known, ok := c.programs.Load(key); ok {
		return known.(*program), nil
	}
	compiled, err := compile(o)
	if err != nil {
		return nil, err
	}
	// Without a digest the parameters are not pinned, so it is not kept.
	if o.Digest != "" {
		c.programs.Store(key, compiled)
	}
	return compiled, nil
}

// values are the inputs of a run.
func (c *Pricer) values(o provision.Offering, program *program, p provision.Parameters) (starlark.StringDict, error) {
	values := make(starlark.StringDict, len(program.fixed)+2*len(program.reads))
	for _, name := range program.reads {
		parameter, _ := o.Parameter(name)
		value, ok := p[name]
		if !ok || value == nil {
			value = parameter.Default
		}
		if value == nil {
			return nil, provision.Errorf(provision.Invalid, "the price depends on %s, which is not set; give it a value", name)
		}
		converted, err := convert(parameter, value)
		if err != nil {
			return nil, err
		}
		values[name] = converted
		if !slices.Contains(program.costs, name) {
			continue
		}
		price, err := c.optionPrice(parameter, value.(string))
		if err != nil {
			return nil, err
		}
		values[name+"_cost"] = number{big.NewRat(int64(price), int64(provision.Dollar))}
	}
	return values, nil
}

func (c *Pricer) optionPrice(parameter provision.Parameter, value string) (provision.Money, error) {
	for _, option := range parameter.Options {
		if option.Value == value && option.MonthlyCost != nil {
			return *option.MonthlyCost, nil
		}
	}
	if price, ok := c.book.Price(value); ok {
		return price, nil
	}
	return 0, provision.Errorf(provision.Invalid,
		"%s %q has no price, so the cost is unknown; choose another, or ask the platform team to add its monthly_cost to the offering or to the price book",
		parameter.Name, value)
}

// convert gives a formula a parameter's value. The types are exact: a text
// "false" would be true.
func convert(parameter provision.Parameter, value any) (starlark.Value, error) {
	switch parameter.Type {
	case "boolean":
		if b, ok := value.(bool); ok {
			return starlark.Bool(b), nil
		}
	case "integer":
		if n, ok := decimal(value); ok {
			return n, nil
		}
	default:
		if s, ok := value.(string); ok {
			return starlark.String(s), nil
		}
	}
	return nil, provision.Errorf(provision.Invalid, "%s is %v; the price needs %s", parameter.Name, value, article(parameter.Type))
}

func article(kind string) string {
	switch kind {
	case "boolean":
		return "true or false"
	case "integer":
		return "a number"
	default:
		return "a text"
	}
}

// decimal is a JSON number, exactly; a float64 counts as the shortest decimal
// that reads back as it, which is what was written.
func decimal(value any) (number, bool) {
	switch v := value.(type) {
	case int64:
		return number{new(big.Rat).SetInt64(v)}, true
	case int:
		return number{new(big.Rat).SetInt64(int64(v))}, true
	case json.Number:
		n, err := toNumber(v.String())
		return n, err == nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return number{}, false
		}
		n, err := toNumber(strconv.FormatFloat(v, 'g', -1, 64))
		return n, err == nil
	default:
		return number{}, false
	}
}

// dollars is the number that the first scope with the name has for it.
func dollars(o provision.Offering, name string, scopes ...starlark.StringDict) (*big.Rat, error) {
	for _, scope := range scopes {
		if n, ok := scope[name].(number); ok {
			return n.rat, nil
		}
	}
	return nil, invalid(o, fmt.Sprintf("has a formula that leaves %s without a number here", name))
}
