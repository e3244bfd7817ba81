package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Side is one set of policies to decide the past with.
type Side struct {
	Bundle       *Bundle
	Prices       provision.Pricer // of the bundle's price book
	PricesDigest string           // of that book, as its estimates carry it
}

// price is an entry's monthly cost; mills is 0 when it is not known.
type price struct {
	known bool
	mills provision.Money
}

// say is this side's decision. The price is the stored one as long as it is of
// this side's prices.
func (s Side) say(ctx context.Context, job replayJob, ask replayAsk) (decision, error) {
	input, at, err := s.priced(job, ask)
	if err != nil {
		return decision{}, err
	}
	findings, _, err := s.Bundle.judge(ctx, input)
	if err != nil {
		return decision{}, err
	}
	return decision{outcomeOf(findings), sorted(findings), at}, nil
}

func (s Side) priced(job replayJob, ask replayAsk) (ast.Value, price, error) {
	isVerdict := job.past.Kind != provision.PastInstance
	switch {
	case ask.text("action") == string(provision.Destroy), // costs nothing, whatever the prices
		isVerdict && job.past.PricesDigest != "" && job.past.PricesDigest == s.PricesDigest,
		isVerdict && job.offering == nil && job.past.BundleDigest == s.Bundle.Digest():
		return ask.input, ask.price, nil
	case job.offering == nil:
		return nil, price{}, fmt.Errorf("its offering version is kept no longer, so it cannot be priced again")
	}
	var given struct {
		Stage       provision.Stage       `json:"stage"`
		Environment provision.Environment `json:"environment"`
		Parameters  provision.Parameters  `json:"parameters"`
		Before      provision.Parameters  `json:"before"`
		Changes     []provision.Change    `json:"changes"`
	}
	decoder := json.NewDecoder(bytes.NewReader(job.past.Input))
	decoder.UseNumber()
	if err := decoder.Decode(&given); err != nil {
		return nil, price{}, fmt.Errorf("its parameters cannot be read: %w", err)
	}
	again := provision.Ask{
		Stage: given.Stage, Offering: *job.offering, Environment: given.Environment,
		Parameters: given.Parameters, Before: given.Before, Changes: given.Changes,
		Was: &provision.Was{Offering: *job.offering}, // before an upgrade it was of another version, which the past does not have
	}
	rule, err := provision.PriceAgain(s.Prices, again)
	if err != nil {
		return nil, price{}, fmt.Errorf("it cannot be priced again: %w", err)
	}
	input, err := withPrice(ask.input, rule)
	if err != nil {
		return nil, price{}, err
	}
	if was, isChange := member(ask.input, "was").(ast.Object); isChange {
		before, err := provision.PriceBefore(s.Prices, again)
		if err != nil {
			return nil, price{}, fmt.Errorf("what it would change cannot be priced again: %w", err)
		}
		if was, err = withPrice(was, before); err != nil {
			return nil, price{}, err
		}
		input = with(input, "was", was)
	}
	return input, price{rule.Known, rule.MonthlyMills}, nil
}

// withPrice is an object with another price.
func withPrice(object ast.Object, rule provision.RulePrice) (ast.Object, error) {
	rule.ChargeMills = rule.MonthlyMills
	value, err := ast.InterfaceToValue(priceInput(rule))
	if err != nil {
		return nil, fmt.Errorf("its price cannot be read: %w", err)
	}
	return with(object, "price", value), nil
}

// with is an object with another value of a key.
func with(object ast.Object, key string, value ast.Value) ast.Object {
	other := ast.NewObject([2]*ast.Term{ast.StringTerm(key), ast.NewTerm(value)})
	object.Foreach(func(k, member *ast.Term) {
		if k.Value.Compare(ast.String(key)) != 0 {
			other.Insert(k, member)
		}
	})
	return other
}

// outcomeOf is the worst level in one word, as Judge has it.
func outcomeOf(findings []provision.Finding) provision.Outcome {
	has := func(level provision.Level) bool {
		return slices.ContainsFunc(findings, func(f provision.Finding) bool { return f.Level == level })
	}
	switch {
	case has(provision.LevelDeny):
		return provision.OutcomeDeny
	case has(provision.LevelRequireApproval):
		return provision.OutcomeRequireApproval
	case has(provision.LevelWarn):
		return provision.OutcomeWarn
	default:
		return provision.OutcomeAllow
	}
}

// sorted is findings by what they say: their order is for people, and the
// stored one is another than the rules'.
func sorted(findings []provision.Finding) []said {
	list := make([]said, len(findings))
	for i, f := range findings {
		text, _ := json.Marshal(f) // texts and numbers; it cannot fail
		list[i] = said{f, string(text)}
	}
	slices.SortFunc(list, func(a, b said) int { return strings.Compare(a.text, b.text) })
	return list
}

// said is a finding with its JSON, which tells whether two are the same.
type said struct {
	provision.Finding
	text string
}

func same(a, b said) bool { return a.text == b.text }
