package cost

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// maxSteps is how many Starlark instructions a formula may take; the founding
// one takes about forty.
const maxSteps = 10_000

// maxFormula is the longest formula in bytes.
const maxFormula = 16 << 10

var errTooManySteps = errors.New("the formula does not come to an end")

// program is one offering's formula, ready to run. It is immutable and may be
// run from many goroutines.
type program struct {
	code  *starlark.Program
	fixed starlark.StringDict // builtins and literals
	reads []string            // parameters that it reads, in the offering's order
	costs []string            // enums whose <enum>_cost it reads, likewise
	items []item
	rest  string // label of what multiplies the items, "" when nothing does
	found bool   // the items were found in the formula, not declared
}

// item is one line of the estimate and the formula's variable that holds it.
type item struct{ label, variable string }

// compile checks and compiles an offering's formula. Its errors are Invalid and
// name the line.
func compile(o provision.Offering) (*program, error) {
	if strings.TrimSpace(o.Cost.Formula) == "" {
		return nil, invalid(o, "has no formula, so nothing can be priced")
	}
	if len(o.Cost.Formula) > maxFormula {
		return nil, invalid(o, fmt.Sprintf("has a formula of %d bytes; the most is %d", len(o.Cost.Formula), maxFormula))
	}
	options := &syntax.FileOptions{TopLevelControl: true, GlobalReassign: true}
	file, err := options.Parse("formula", o.Cost.Formula, 0)
	if err != nil {
		return nil, invalid(o, "has a formula that cannot be read: "+err.Error())
	}
	r := &rewriter{fixed: builtins(), given: map[string]bool{}, seen: map[string]bool{}, assigned: map[string]bool{}}
	for _, p := range o.Parameters {
		if p.Type != "map" {
			r.given[p.Name] = true
		}
		if p.Type == "enum" {
			r.given[p.Name+"_cost"] = true
		}
	}
	r.statements(file.Stmts)
	if r.err != nil {
		return nil, invalid(o, "has a formula that cannot be run: "+r.err.Error())
	}
	if !r.assigned["total"] {
		return nil, invalid(o, "has a formula that never sets total")
	}
	code, err := starlark.FileProgram(file, func(name string) bool { return r.given[name] || r.fixed.Has(name) })
	if err != nil {
		return nil, invalid(o, "has a formula that cannot be run: "+err.Error())
	}
	p := &program{code: code, fixed: r.fixed}
	for _, parameter := range o.Parameters {
		costs := parameter.Type == "enum" && r.seen[parameter.Name+"_cost"]
		if costs {
			p.costs = append(p.costs, parameter.Name)
		}
		if costs || r.seen[parameter.Name] {
			p.reads = append(p.reads, parameter.Name)
		}
	}
	return p, p.chooseItems(o, r)
}

// chooseItems takes the declared items, in the order in which the formula sets
// them. With none declared they are the terms of the sum that total is made of,
// and what multiplies that sum is an item of its own.
func (p *program) chooseItems(o provision.Offering, r *rewriter) error {
	for label, variable := range o.Cost.Items {
		if !r.assigned[variable] && !r.given[variable] {
			return invalid(o, fmt.Sprintf("has the cost item %q, but its formula never sets %s", label, variable))
		}
		p.items = append(p.items, item{label, variable})
	}
	if len(p.items) > 0 {
		slices.SortFunc(p.items, func(a, b item) int {
			return firstNonZero(slices.Index(r.order, a.variable)-slices.Index(r.order, b.variable), strings.Compare(a.label, b.label))
		})
		return nil
	}
	p.found = true
	for _, name := range r.terms {
		p.items = append(p.items, item{name, name})
	}
	p.rest = strings.ReplaceAll(strings.TrimSuffix(r.factor, "_multiplier"), "_", "-")
	return nil
}

func firstNonZero(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// run evaluates the program. The values must hold what the program reads.
func (p *program) run(values starlark.StringDict) (starlark.StringDict, error) {
	for name, value := range p.fixed {
		values[name] = value
	}
	thread := &starlark.Thread{Name: "formula", Print: func(*starlark.Thread, string) {}}
	thread.SetMaxExecutionSteps(maxSteps)
	thread.OnMaxSteps = func(t *starlark.Thread) { t.Cancel(errTooManySteps.Error()) }
	globals, err := p.code.Init(thread, values)
	var evaluation *starlark.EvalError
	if errors.As(err, &evaluation) {
		message := strings.TrimPrefix(evaluation.Msg, "Starlark computation cancelled: ")
		if len(evaluation.CallStack) == 0 {
			return nil, errors.New(message)
		}
		return nil, fmt.Errorf("line %d: %s", evaluation.CallStack[0].Pos.Line, message)
	}
	return globals, err
}

// invalid is an Invalid error about an offering's cost.
func invalid(o provision.Offering, what string) error {
	name := o.ID
	if name == "" {
		name = o.Name
	}
	return provision.Errorf(provision.Invalid, "the offering %s %s", name, what)
}
