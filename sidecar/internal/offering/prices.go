package offering

import (
	"fmt"
	"maps"
	"slices"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// maxCombinations bounds how many requests are priced to find a range.
const maxCombinations = 50_000

// PriceRange is the least and the most that a request can cost, found by
// pricing every combination of what the formula reads: each option, both
// booleans, and an integer's min, max and default. A formula whose extreme is
// inside an integer's range is not caught. It is Invalid when a combination has
// no price or there are too many.
func PriceRange(o provision.Offering, prices Prices) (least, most provision.Money, err error) {
	reads, err := prices.Reads(o)
	if err != nil {
		return 0, 0, err
	}
	requests := []provision.Parameters{{}}
	for _, name := range reads {
		p, _ := o.Parameter(name)
		choices := extremes(p)
		if len(requests)*len(choices) > maxCombinations {
			return 0, 0, provision.Errorf(provision.Invalid, "the formula of %s reads too many options to try them all", o.ID)
		}
		var next []provision.Parameters
		for _, request := range requests {
			for _, choice := range choices {
				with := maps.Clone(request)
				with[name] = choice
				next = append(next, with)
			}
		}
		requests = next
	}
	for i, request := range requests {
		estimate, err := prices.Price(o, request)
		if err != nil {
			return 0, 0, err
		}
		if i == 0 {
			least, most = estimate.MonthlyCost, estimate.MonthlyCost
		}
		least, most = min(least, estimate.MonthlyCost), max(most, estimate.MonthlyCost)
	}
	return least, most, nil
}

func extremes(p provision.Parameter) []any {
	var values []any
	add := func(value any) {
		if !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	switch p.Type {
	case "enum":
		for _, option := range p.Options {
			add(option.Value)
		}
	case "boolean":
		values = []any{false, true}
	case "integer":
		if p.Min != nil {
			add(*p.Min)
		}
		if p.Max != nil {
			add(*p.Max)
		}
		if p.Default != nil {
			add(p.Default)
		}
	case "string":
		add(or(fmt.Sprint(p.Default), "text"))
	}
	if len(values) == 0 {
		return []any{nil} // then the pricer says that it has no value
	}
	return values
}

// checkPrices gives the presets their prices and finds false ones.
func checkPrices(l *Loaded, prices Prices) []Problem {
	o := &l.Offering
	k := &checker{root: l.root}
	least, most, err := PriceRange(*o, prices)
	switch {
	case err != nil:
		k.add([]any{"cost_estimate"}, "mend the formula or the prices", "it cannot be priced: %v", err)
	case least != o.Cost.MonthlyMin || most != o.Cost.MonthlyMax:
		k.add([]any{"cost_estimate"}, fmt.Sprintf("write monthly_min: %s and monthly_max: %s", least.Decimal(), most.Decimal()),
			"the price range %s to %s is false: a request costs %s to %s", o.Cost.MonthlyMin, o.Cost.MonthlyMax, least, most)
	}
	for i := range o.Presets {
		preset := &o.Presets[i]
		estimate, err := prices.Price(*o, preset.Parameters)
		if err != nil {
			k.add([]any{"presets", i}, "change the preset or the prices", "the preset %s cannot be priced: %v", preset.Name, err)
			continue
		}
		preset.MonthlyCost = estimate.MonthlyCost
	}
	inFile(o.ID+"/"+contractFile, k.problems)
	return k.problems
}
