package provision

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// PlanPricing says how what an implementation's plan makes is priced: each
// counted resource costs what the offering's formula says, with the parameters
// that the plan has for it.
type PlanPricing struct {
	Counted    string                `json:"counted"`              // a resource type, or an address without indexes
	Parameters map[string]PlanSource `json:"parameters,omitempty"` // what the plan says of a priced parameter
	Free       []string              `json:"free,omitempty"`       // resource types that cost nothing
}

// PlanSource is the attribute in which a plan has a parameter.
type PlanSource struct {
	Of        string `json:"of,omitempty"` // the resource, as in Counted; "" is the counted one itself
	Attribute string `json:"attribute"`    // path without indexes
}

// Unpriced is a resource that a plan makes or keeps and that nothing prices. It
// is never counted as 0: the estimate is of the rest.
type Unpriced struct {
	Address string `json:"address"`
	Type    string `json:"type"`
}

// price is what an ask costs: on a plan what the plan makes, elsewhere and where
// the offering does not say how its plan is priced what the parameters say. A
// price that is not known is no error: the rules are told why.
func (ask Ask) price(prices Pricer) (RulePrice, *Estimate, error) {
	if ask.Action == Destroy { // what is destroyed costs nothing afterwards
		return RulePrice{Known: true, Items: map[string]int64{}}, &Estimate{Items: []CostItem{}}, nil
	}
	price := RulePrice{Items: map[string]int64{}}
	estimate, err := prices.Price(ask.Offering, ask.Parameters)
	pricing, has := ask.Offering.Pricing[ask.Environment.Implementation]
	if has && ask.Stage.planned() && err == nil {
		form := estimate.MonthlyCost
		price.FormMills = &form
		estimate, err = pricing.estimate(prices, ask, estimate)
	}
	switch {
	case err == nil:
		price.Known, price.MonthlyMills, price.Unpriced = true, estimate.MonthlyCost, estimate.Unpriced
		for _, item := range estimate.Items {
			price.Items[item.Name] = int64(item.MonthlyCost)
		}
		return price, &estimate, nil
	case KindOf(err) == Invalid:
		price.Reason = err.Error()
		return price, nil, nil
	}
	return RulePrice{}, nil, err
}

// PriceAgain is the price that the rules would be told of an ask under prices:
// for what was judged under others.
func PriceAgain(prices Pricer, ask Ask) (RulePrice, error) {
	price, _, err := ask.price(prices)
	return price, err
}

// estimate sums the counted resources of the ask's plan. A plan that counts
// none keeps the form's price: it is never taken for free.
func (p PlanPricing) estimate(prices Pricer, ask Ask, form Estimate) (Estimate, error) {
	var counted []Change
	var total Estimate
	for _, change := range ask.Changes {
		switch {
		case !stays(change):
		case named(change, p.Counted):
			counted = append(counted, change)
		case !slices.Contains(p.Free, change.Type):
			total.Unpriced = append(total.Unpriced, Unpriced{change.Address, change.Type})
		}
	}
	if len(counted) == 0 {
		total.add(form)
	}
	slices.SortFunc(total.Unpriced, func(a, b Unpriced) int { return strings.Compare(a.Address, b.Address) })
	for _, change := range counted {
		parameters := maps.Clone(ask.Parameters)
		for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
			value, err := p.Parameters[name].value(change, ask.Changes)
			if err != nil {
				return Estimate{}, err
			}
			if value != nil { // else it is not known before apply, and what was asked for is the best guess
				parameters[name] = value
			}
		}
		one, err := prices.Price(ask.Offering, parameters)
		if err != nil {
			return Estimate{}, err
		}
		total.add(one)
	}
	return total, nil
}

func (e *Estimate) add(one Estimate) {
	e.MonthlyCost, e.AnnualCost, e.PricesDigest = e.MonthlyCost+one.MonthlyCost, e.AnnualCost+one.AnnualCost, one.PricesDigest
	for _, item := range one.Items {
		i := slices.IndexFunc(e.Items, func(known CostItem) bool { return known.Name == item.Name })
		if i < 0 {
			e.Items = append(e.Items, item)
			continue
		}
		e.Items[i].MonthlyCost += item.MonthlyCost
	}
}

// value is what the plan has for a parameter of the counted resource, nil when
// it is not known. It is Invalid when another resource has it and there are
// several that disagree.
func (s PlanSource) value(counted Change, changes []Change) (value any, err error) {
	if s.Of == "" {
		return at(counted.After, s.Attribute), nil
	}
	for _, change := range changes {
		if !stays(change) || !named(change, s.Of) {
			continue
		}
		another := at(change.After, s.Attribute)
		if value != nil && another != nil && !sameValue(value, another) {
			return nil, Errorf(Invalid, "the plan has several %s, and they differ in %s", s.Of, s.Attribute)
		}
		if value == nil {
			value = another
		}
	}
	return value, nil
}

// at is the value at a path of an object, nil when there is none.
func at(object map[string]any, path string) any {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return object[name]
	}
	member := object[name]
	if list, ok := member.([]any); ok && len(list) == 1 { // a block that may stand once
		member = list[0]
	}
	inner, _ := member.(map[string]any)
	return at(inner, rest)
}

func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// stays reports whether a managed resource is there after the plan.
func stays(c Change) bool {
	address := plainAddress(c.Address)
	data := strings.HasPrefix(address, "data.") || strings.Contains(address, ".data."+c.Type+".")
	return c.Action != "delete" && c.Action != "read" && !data
}

// named reports whether a resource is of a type, or at an address without
// indexes.
func named(c Change, name string) bool { return c.Type == name || plainAddress(c.Address) == name }

// plainAddress is an address without the indexes of for_each and count.
func plainAddress(address string) string {
	var plain strings.Builder
	for inside, quoted, i := false, false, 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case inside && c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case !inside:
			plain.WriteByte(c)
		}
	}
	return plain.String()
}

// PlanOutcome is what a plan would do and what that costs.
type PlanOutcome struct {
	Actions  []PlannedAction `json:"actions"`            // by address; without what only reads
	Estimate *Estimate       `json:"estimate,omitempty"` // nil when it has no price
}

// Summary is the plan for people; nil without one.
func (p *PlanOutcome) Summary() *PlanSummary {
	if p == nil {
		return nil
	}
	return summaryOf(p.Actions)
}

// planned keeps a plan that was judged on the request. What the request costs
// is from then on what its plan costs.
func (r *Record) planned(p Planned) {
	r.Request.Plan = &PlanOutcome{Actions: plannedActions(p.Changes), Estimate: p.Verdict.Estimate}
	r.Request.MonthlyCost, r.Request.UpdatedAt = nil, r.now
	summary := r.Request.Plan.Summary()
	data := map[string]any{"create": summary.Create, "update": summary.Update, "replace": summary.Replace, "delete": summary.Delete}
	if p.Verdict.Estimate != nil {
		cost := p.Verdict.Estimate.MonthlyCost
		r.Request.MonthlyCost = &cost
		data["monthly_cost"], data["unpriced"] = cost, len(p.Verdict.Estimate.Unpriced)
	}
	r.tell("request", "planned", r.Request.ID, data)
}
