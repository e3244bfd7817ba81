package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
)

// Advice is what would be allowed instead of an ask, or beside it.
type Advice struct {
	// Ranges are what each free parameter may be while the others stay, by name.
	Ranges map[string]Range `json:"ranges"`
	// Alternatives are the smallest changes that make a denied ask allowed, at
	// most three, each of other parameters; empty when it is allowed already, or
	// when no change of one or two parameters would do. The first changes one
	// parameter where that can do, and then the price by as little as any such
	// change does. Else it changes two, and the price by as little as any two of
	// which at most one is an integer; two integers are named only where no such
	// two do, and then near to what they are, not for the least money.
	Alternatives []Alternative `json:"alternatives"`
	// Presets are the offering's, each laid over the ask.
	Presets []JudgedPreset `json:"presets"`
}

// Range is the allowed values of one parameter. Spans is for integers, sorted
// and apart; Values for enums and booleans, in the offering's order. Neither is
// nil; both are empty when no value is allowed.
type Range struct {
	Spans  []Span `json:"spans"`
	Values []any  `json:"values"`
	Whole  bool   `json:"whole"` // every value that the schema has is allowed
}

// Span is the integers from Min to Max, both allowed and all between.
type Span struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

// Alternative is a change that was judged and is allowed.
type Alternative struct {
	Changes     Parameters `json:"changes"`      // parameter to its new value
	MonthlyCost Money      `json:"monthly_cost"` // with the change
	Text        string     `json:"text"`         // the change in words, without the price
}

// JudgedPreset is one of the offering's presets, judged over an ask.
type JudgedPreset struct {
	Name        string     `json:"name"`
	Title       string     `json:"title"`
	MonthlyCost *Money     `json:"monthly_cost"` // of the whole; nil when the price is unknown
	Allowed     bool       `json:"allowed"`
	Parameters  Parameters `json:"parameters"` // the preset's own
}

// most alternatives that are worth reading.
const mostAlternatives = 3

// How finely an integer's values are sampled before bisection: what a person
// is shown, and what a second parameter is tried with. The allowed values are
// found exactly when no cell hides two changes of the verdict; guardrails have
// thresholds, not stripes.
const (
	fineCells   = 16
	coarseCells = 4
)

// Advise judges neighbours of an ask: every one that it names was judged with
// this Judge and is allowed. It costs some hundred judgements, so it is for a
// person's form and answer, not for the queue; when ctx ends it stops with that
// error. Presets are the Service's to lay over the ask.
func (j Judge) Advise(ctx context.Context, ask Ask) (Advice, error) {
	a := &adviser{ctx: ctx, judge: j, ask: ask, verdicts: map[string]judged{}}
	current := a.verdict(ask.Parameters)
	advice := Advice{Ranges: map[string]Range{}, Alternatives: []Alternative{}, Presets: []JudgedPreset{}}
	free := a.free()
	var single []Alternative
	for _, p := range free {
		allowed := a.allowed(ask.Parameters, p, fineCells)
		advice.Ranges[p.Name] = allowed.asRange(p)
		if !current.allowed {
			single = append(single, a.nearest(ask.Parameters, p, allowed)...)
		}
	}
	if a.err != nil || current.allowed {
		return advice, a.err
	}
	if len(single) == 0 {
		single = a.pairs(free)
	}
	advice.Alternatives = append(advice.Alternatives, a.smallest(single)...)
	for i, alternative := range advice.Alternatives {
		advice.Alternatives[i].Text = inWords(ask.Offering, ask.Parameters, alternative.Changes)
	}
	return advice, a.err
}

type judged struct {
	allowed bool
	cost    Money
}

type adviser struct {
	ctx      context.Context
	judge    Judge
	ask      Ask
	verdicts map[string]judged
	err      error // the first; everything after it is void
}

// verdict is the judgement on other parameters, made once for each.
func (a *adviser) verdict(p Parameters) judged {
	if a.err != nil {
		return judged{}
	}
	key, err := json.Marshal(p)
	if err != nil {
		a.err = Errorf(Internal, "encode parameters: %w", err)
		return judged{}
	}
	if known, ok := a.verdicts[string(key)]; ok {
		return known
	}
	ask := a.ask
	ask.Parameters = p
	verdict, _, err := a.judge.weigh(a.ctx, ask)
	if err != nil {
		a.err = err
		return judged{}
	}
	j := judged{verdict.Allowed(), verdict.MonthlyCost()}
	a.verdicts[string(key)] = j
	return j
}

// free are the parameters that a requester could as well have chosen otherwise:
// not what the request is about, and nothing that cannot be enumerated.
func (a *adviser) free() []Parameter {
	roles := a.ask.Offering.Roles
	fixed := []string{roles.Name, roles.Environment, roles.Owner, roles.CostCenter}
	return slices.DeleteFunc(slices.Clone(a.ask.Offering.Parameters), func(p Parameter) bool {
		countable := p.Type == "enum" || p.Type == "boolean" || p.Type == "integer" && p.Min != nil && p.Max != nil
		return !countable || p.Sensitive || slices.Contains(fixed, p.Name) || a.ask.Before != nil && p.Immutable
	})
}

func with(p Parameters, name string, value any) Parameters {
	changed := maps.Clone(p)
	changed[name] = value
	return changed
}

// values are the allowed values of one parameter: spans of integers, or values.
type values struct {
	spans []Span
	list  []any
	whole bool
}

func (v values) asRange(p Parameter) Range {
	if p.Type == "integer" {
		return Range{Spans: append([]Span{}, v.spans...), Values: []any{}, Whole: v.whole}
	}
	return Range{Spans: []Span{}, Values: append([]any{}, v.list...), Whole: v.whole}
}

func (a *adviser) allowed(base Parameters, p Parameter, cells int64) values {
	if p.Type == "integer" {
		return a.allowedIntegers(base, p, cells)
	}
	options := optionValues(p)
	var found values
	for _, option := range options {
		if a.verdict(with(base, p.Name, option)).allowed {
			found.list = append(found.list, option)
		}
	}
	found.whole = len(found.list) == len(options)
	return found
}

func optionValues(p Parameter) []any {
	if p.Type == "boolean" {
		return []any{false, true}
	}
	options := make([]any, len(p.Options))
	for i, option := range p.Options {
		options[i] = option.Value
	}
	return options
}

func (a *adviser) allowedIntegers(base Parameters, p Parameter, cells int64) values {
	low, high := *p.Min, *p.Max
	at := func(n int64) bool { return a.verdict(with(base, p.Name, n)).allowed }
	points := grid(base, p, cells)

	var spans []Span
	open := at(low)
	start := low
	for i := 1; i < len(points); i++ {
		now := at(points[i])
		if now == open {
			continue
		}
		edge := bisect(points[i-1], points[i], func(n int64) bool { return at(n) == now })
		if open {
			spans = append(spans, Span{start, edge - 1})
		}
		open, start = now, edge
	}
	if open {
		spans = append(spans, Span{start, high})
	}
	return values{spans: spans, whole: len(spans) == 1 && spans[0] == Span{low, high}}
}

// grid are the values of an integer that are tried before bisection: its ends,
// what it is and would be by default, and some between, in order.
func grid(base Parameters, p Parameter, cells int64) []int64 {
	low, high := *p.Min, *p.Max
	points := []int64{low, high}
	for i := int64(1); i < cells; i++ {
		points = append(points, low+(high-low)*i/cells)
	}
	for _, known := range []any{base[p.Name], p.Default} {
		if n, ok := known.(int64); ok && n > low && n < high {
			points = append(points, n)
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}

// bisect is the first n in (low, high] for which is holds, when it holds from
// there to high.
func bisect(low, high int64, is func(int64) bool) int64 {
	for high-low > 1 {
		middle := low + (high-low)/2
		if is(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// nearest is the change of one parameter that costs least change of money, from
// base; none when no value of it is allowed. It is exact for an integer whose
// price never falls, or never rises, over an allowed span.
func (a *adviser) nearest(base Parameters, p Parameter, allowed values) []Alternative {
	var candidates []any
	current, _ := base[p.Name].(int64)
	for _, span := range allowed.spans {
		candidates = append(candidates, span.Min, span.Max)
		if current > span.Min && current < span.Max {
			candidates = append(candidates, current)
		}
		candidates = append(candidates, a.aroundTheSamePrice(base, p.Name, span)...)
	}
	candidates = append(candidates, allowed.list...)
	var found []Alternative
	for _, value := range candidates {
		changed := with(base, p.Name, value)
		changes := Parameters{}
		for name, v := range changed {
			if !reflect.DeepEqual(v, a.ask.Parameters[name]) {
				changes[name] = v
			}
		}
		if len(changes) > 0 {
			found = append(found, Alternative{Changes: changes, MonthlyCost: a.verdict(changed).cost})
		}
	}
	slices.SortStableFunc(found, a.compare)
	return found[:min(len(found), 1)]
}

// aroundTheSamePrice are the two values in a span between which the price passes
// the ask's own; none when it does not.
func (a *adviser) aroundTheSamePrice(base Parameters, name string, span Span) []any {
	now := a.verdict(a.ask.Parameters).cost
	beyond := func(n int64) bool { return a.verdict(with(base, name, n)).cost > now }
	start := beyond(span.Min)
	if start == beyond(span.Max) {
		return nil
	}
	edge := bisect(span.Min, span.Max, func(n int64) bool { return beyond(n) != start })
	return []any{edge - 1, edge}
}

// compare puts the smaller change first: fewer parameters, then less change of
// money, then the offering's order.
func (a *adviser) compare(x, y Alternative) int {
	now := a.verdict(a.ask.Parameters).cost
	distance := func(m Money) Money { return max(m-now, now-m) }
	return cmp.Or(
		cmp.Compare(len(x.Changes), len(y.Changes)),
		cmp.Compare(distance(x.MonthlyCost), distance(y.MonthlyCost)),
	)
}

// smallest are the best few, each changing another set of parameters.
func (a *adviser) smallest(found []Alternative) []Alternative {
	slices.SortStableFunc(found, a.compare)
	var best []Alternative
	seen := map[string]bool{}
	for _, alternative := range found {
		key, _ := json.Marshal(alternative.Changes.Names())
		if !seen[string(key)] && len(best) < mostAlternatives {
			seen[string(key)] = true
			best = append(best, alternative)
		}
	}
	return best
}
