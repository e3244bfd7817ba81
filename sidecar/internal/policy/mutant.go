package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// mutant is a bundle with one thing changed.
type mutant struct {
	Mutation
	text []byte         // the changed module, nil for a change of data
	data map[string]any // all data with the change, nil for a change of a module
}

// Mutation is one change that a test ought to notice.
type Mutation struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Rule   string `json:"rule"` // the file's name without its ending
	Kind   string `json:"kind"` // threshold, comparison, arithmetic, negation, branch, text, key
	Change string `json:"change"`
}

// String is how a compiler would say it.
func (m Mutation) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", m.File, m.Line, m.Kind, m.Change)
}

// edit is a change of a parsed module, in place.
type edit struct {
	line         int
	kind, change string
	apply        func()
}

// mutantsOf are all changes of a module that are worth trying. What writes the
// same module, or one that another change has written, is left out: no test
// could tell them apart.
func mutantsOf(name string, module *ast.Module) ([]mutant, error) {
	unchanged, err := format.Ast(module.Copy())
	if err != nil {
		return nil, fmt.Errorf("format policy %s: %w", name, err)
	}
	written := map[string]bool{string(unchanged): true}
	var mutants []mutant
	for i := range editsOf(module) {
		changed := module.Copy()
		e := editsOf(changed)[i] // the same ones in the same order, on the copy
		e.apply()
		text, err := format.Ast(changed)
		if err != nil || written[string(text)] {
			continue // what cannot be written down is no Rego
		}
		written[string(text)] = true
		mutants = append(mutants, mutant{
			Mutation: Mutation{File: name, Line: e.line, Rule: ruleOf(name), Kind: e.kind, Change: e.change}, text: text,
		})
	}
	return mutants, nil
}

func ruleOf(name string) string {
	base := name[strings.LastIndex(name, "/")+1:]
	rule, _, _ := strings.Cut(base, ".")
	return rule
}

// editsOf are the changes of a module in the order of its text.
func editsOf(module *ast.Module) []edit {
	e := &editor{}
	for _, rule := range module.Rules {
		e.rule(rule)
	}
	return e.edits
}

type editor struct {
	edits []edit
}

func (e *editor) add(at *ast.Location, kind, change string, apply func()) {
	if at != nil && at.Row > 0 {
		e.edits = append(e.edits, edit{at.Row, kind, change, apply})
	}
}

func (e *editor) rule(rule *ast.Rule) {
	if rule.Default {
		e.terms(rule.Head.Value)
		return
	}
	e.add(rule.Location, "branch", "this never holds: "+firstLine(rule.Location), func() {
		rule.Body.Append(ast.NewExpr(ast.BooleanTerm(false)))
		for i := range rule.Body { // as if it had been written there
			rule.Body[i].Index = i
		}
		rule.Body[len(rule.Body)-1].Location = rule.Body[max(0, len(rule.Body)-2)].Location
	})
	for _, term := range []*ast.Term{rule.Head.Key, rule.Head.Value} {
		// `allow if …` has the value true without anyone having written it.
		if term != nil && (term.Location == nil || string(term.Location.Text) != "" || term.Value.Compare(ast.Boolean(true)) != 0) {
			e.terms(term)
		}
	}
	e.body(&rule.Body)
	if rule.Else != nil {
		e.add(rule.Else.Location, "branch", "without: "+firstLine(rule.Else.Location), func() { rule.Else = rule.Else.Else })
		e.rule(rule.Else)
	}
}

func (e *editor) body(body *ast.Body) {
	for i, expr := range *body {
		if _, isDeclaration := expr.Terms.(*ast.SomeDecl); isDeclaration || expr.Generated {
			continue
		}
		e.expr(expr)
		if isAssignment(expr) || len(*body) == 1 && isTrue(expr) {
			continue
		}
		e.add(expr.Location, "branch", "without: "+firstLine(expr.Location), func() {
			(*body)[i] = &ast.Expr{Terms: ast.BooleanTerm(true), Location: expr.Location, Index: expr.Index}
		})
		if isComparison(expr) && !expr.Negated {
			continue // its operator is turned round instead
		}
		change := "not " + firstLine(expr.Location)
		if expr.Negated {
			change = "without not: " + firstLine(expr.Location)
		}
		e.add(expr.Location, "negation", change, func() { expr.Negated = !expr.Negated })
	}
}

func (e *editor) expr(expr *ast.Expr) {
	switch terms := expr.Terms.(type) {
	case []*ast.Term:
		if isAssignment(expr) {
			e.all(terms[2:])
			break
		}
		e.operator(terms[0], expr.Location)
		e.all(terms[1:])
	case *ast.Term:
		e.terms(terms)
	case *ast.Every:
		e.terms(terms.Domain)
		e.body(&terms.Body)
	}
	for _, with := range expr.With {
		e.terms(with.Value)
	}
}

func (e *editor) all(terms []*ast.Term) {
	for _, term := range terms {
		e.terms(term)
	}
}

// operators are what each operator is mistaken for.
var operators = map[string]struct{ kind, becomes string }{
	"lt": {"comparison", "lte"}, "lte": {"comparison", "lt"}, "gt": {"comparison", "gte"}, "gte": {"comparison", "gt"},
	"equal": {"comparison", "neq"}, "neq": {"comparison", "equal"},
	"plus": {"arithmetic", "minus"}, "minus": {"arithmetic", "plus"}, "mul": {"arithmetic", "div"}, "div": {"arithmetic", "mul"},
}

var infix = map[string]string{
	"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "equal": "==", "neq": "!=", "plus": "+", "minus": "-", "mul": "*", "div": "/",
}

func (e *editor) operator(operator *ast.Term, at *ast.Location) {
	name := operator.Value.String()
	other, known := operators[name]
	if !known {
		return
	}
	if operator.Location != nil && operator.Location.Row > 0 {
		at = operator.Location
	}
	e.add(at, other.kind, infix[name]+" becomes "+infix[other.becomes], func() { operator.Value = ast.Ref{ast.VarTerm(other.becomes)} })
}

// terms changes what is written in a term. The constant parts of a reference
// are names and stay.
func (e *editor) terms(term *ast.Term) {
	if term == nil {
		return
	}
	switch value := term.Value.(type) {
	case ast.Number:
		for _, by := range []string{"1", "-1"} {
			sum, ok := addTo(value, by)
			if ok {
				e.add(term.Location, "threshold", fmt.Sprintf("%s becomes %s", value, sum), func() { term.Value = sum })
			}
		}
	case ast.String:
		e.add(term.Location, "text", fmt.Sprintf("%s becomes another text", short(value.String())), func() { term.Value = value + "~" })
	case ast.Boolean:
		e.add(term.Location, "negation", fmt.Sprintf("%v becomes %v", value, !value), func() { term.Value = !value })
	case ast.Ref:
		for _, part := range value[1:] {
			if _, isName := part.Value.(ast.String); !isName {
				e.terms(part)
			}
		}
		if _, isVar := value[0].Value.(ast.Var); !isVar {
			e.terms(value[0])
		}
	case ast.Call:
		e.operator(value[0], term.Location)
		e.all(value[1:])
	case *ast.Array:
		value.Foreach(e.terms)
	case ast.Set:
		value.Foreach(e.terms)
	case ast.Object:
		value.Foreach(func(key, member *ast.Term) {
			if name, isText := key.Value.(ast.String); isText {
				e.add(key.Location, "key", fmt.Sprintf("%s is called something else", name), func() { key.Value = name + "_" })
			}
			e.terms(member)
		})
	case *ast.ArrayComprehension:
		e.terms(value.Term)
		e.body(&value.Body)
	case *ast.SetComprehension:
		e.terms(value.Term)
		e.body(&value.Body)
	case *ast.ObjectComprehension:
		e.terms(value.Key)
		e.terms(value.Value)
		e.body(&value.Body)
	}
}

func isAssignment(expr *ast.Expr) bool { return expr.IsAssignment() || expr.IsEquality() }

func isTrue(expr *ast.Expr) bool {
	term, isTerm := expr.Terms.(*ast.Term)
	return isTerm && term.Value.Compare(ast.Boolean(true)) == 0
}

func isComparison(expr *ast.Expr) bool {
	operator := expr.Operator()
	return operator != nil && slices.Contains([]string{"equal", "neq"}, operator.String())
}

func addTo(n ast.Number, by string) (ast.Number, bool) {
	whole, isWhole := n.Int64()
	if !isWhole {
		f, isFloat := n.Float64()
		if by == "-1" {
			return ast.Number(fmt.Sprint(f - 1)), isFloat
		}
		return ast.Number(fmt.Sprint(f + 1)), isFloat
	}
	if by == "-1" {
		return ast.Number(fmt.Sprint(whole - 1)), true
	}
	return ast.Number(fmt.Sprint(whole + 1)), true
}

// firstLine is the beginning of what stands at a place.
func firstLine(at *ast.Location) string {
	if at == nil {
		return ""
	}
	line, more, cut := strings.Cut(strings.TrimSpace(string(at.Text)), "\n")
	if cut && strings.TrimSpace(more) != "" {
		line = strings.TrimSpace(line) + " …"
	}
	return short(line)
}

func short(text string) string {
	const most = 70
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
