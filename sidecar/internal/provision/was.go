package provision

import "time"

// Was is the instance that an ask would change, as it is; its parameters are the
// ask's Before. Rules see it, so that they hold against an ask only what it makes
// worse.
type Was struct {
	Offering   Offering // of its version
	Owner      string
	CostCenter string
}

// RuleWas is Was as guardrails see it.
type RuleWas struct {
	Version         string    `json:"version"` // the offering's
	Owner           string    `json:"owner"`
	CostCenter      string    `json:"cost_center"`
	Price           RulePrice `json:"price"`            // by the prices of now
	LifetimeSeconds int64     `json:"lifetime_seconds"` // 0 is without end
}

// wasOf is an instance that is of an offering.
func wasOf(i Instance, o Offering) *Was {
	return &Was{Offering: o, Owner: i.Owner, CostCenter: i.CostCenter}
}

// was is what the rules are told of the instance as it is; nil for what changes
// none, and for a destroy, after which nothing of it stays.
func (ask Ask) was(prices Pricer) (*RuleWas, error) {
	if ask.Was == nil || ask.Action == Destroy {
		return nil, nil
	}
	lifetime := ask.Lifetime
	if ask.Action == Extend {
		lifetime = ask.LifetimeBefore
	}
	price, err := PriceBefore(prices, ask)
	if err != nil {
		return nil, err
	}
	price.ChargeMills = charge(price.MonthlyMills, lifetime)
	return &RuleWas{
		Version: ask.Was.Offering.Version, Owner: ask.Was.Owner, CostCenter: ask.Was.CostCenter,
		Price: price, LifetimeSeconds: int64(lifetime / time.Second),
	}, nil
}

// PriceBefore is the price under prices of what an ask would change, as it is:
// of its parameters, or of its resources where the ask's plan is priced by those.
func PriceBefore(prices Pricer, ask Ask) (RulePrice, error) {
	ask.Action, ask.Offering, ask.Parameters, ask.Changes = Update, ask.Was.Offering, ask.Before, undone(ask.Changes)
	price, _, err := ask.price(prices)
	return price, err
}

// undone is a plan that would leave everything as it is.
func undone(changes []Change) []Change {
	var kept []Change
	for _, c := range changes {
		if c.Action == "create" || c.Action == "read" {
			continue
		}
		kept = append(kept, Change{Address: c.Address, Type: c.Type, Action: "no-op", Before: c.Before, After: c.Before})
	}
	return kept
}
