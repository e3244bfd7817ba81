package cost

import (
	"fmt"
	"math/big"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// rewriter walks a formula once. It refuses whatever is not arithmetic, makes
// every literal exact, and notes what is read and set. The first error stays.
type rewriter struct {
	given    map[string]bool     // names that the parameters give
	fixed    starlark.StringDict // builtins; exact literals are added under their own text
	seen     map[string]bool     // given names that are read
	assigned map[string]bool
	order    []string // assigned names in order of appearance
	terms    []string // terms of the sum in the last assignment to total
	factor   string   // what multiplies them
	err      error
}

func (r *rewriter) refuse(n syntax.Node, format string, args ...any) {
	if r.err == nil {
		start, _ := n.Span()
		r.err = fmt.Errorf("line %d: %s", start.Line, fmt.Sprintf(format, args...))
	}
}

func (r *rewriter) statements(stmts []syntax.Stmt) {
	for _, stmt := range stmts {
		switch s := stmt.(type) {
		case *syntax.AssignStmt:
			r.assign(s)
		case *syntax.IfStmt:
			s.Cond = r.expr(s.Cond)
			r.statements(s.True)
			r.statements(s.False)
		case *syntax.ForStmt:
			r.target(s.Vars)
			s.X = r.expr(s.X)
			r.statements(s.Body)
		case *syntax.BranchStmt: // break, continue, pass
		default:
			r.refuse(stmt, "a formula has assignments, if and for, nothing else")
		}
	}
}

var augmented = map[syntax.Token]syntax.Token{
	syntax.PLUS_EQ: syntax.PLUS, syntax.MINUS_EQ: syntax.MINUS, syntax.STAR_EQ: syntax.STAR, syntax.SLASH_EQ: syntax.SLASH,
}

func (r *rewriter) assign(s *syntax.AssignStmt) {
	name := r.target(s.LHS)
	if name == nil {
		return
	}
	if s.Op != syntax.EQ {
		op, ok := augmented[s.Op]
		if !ok {
			r.refuse(s, "%s is not for numbers", s.Op)
			return
		}
		// x += y as x = x + y, so that the operands are checked in one place.
		x := &syntax.Ident{NamePos: name.NamePos, Name: name.Name}
		s.RHS, s.Op = &syntax.BinaryExpr{X: x, OpPos: s.OpPos, Op: op, Y: s.RHS}, syntax.EQ
	}
	if name.Name == "total" {
		r.terms, r.factor = shape(s.RHS)
	}
	s.RHS = r.expr(s.RHS)
}

// target is the name that is set, nil when it may not be.
func (r *rewriter) target(e syntax.Expr) *syntax.Ident {
	name, ok := e.(*syntax.Ident)
	switch {
	case !ok:
		r.refuse(e, "a formula sets plain names only")
		return nil
	case r.given[name.Name] || r.fixed.Has(name.Name):
		r.refuse(e, "%s is given and cannot be set; take another name", name.Name)
		return nil
	}
	if !r.assigned[name.Name] {
		r.assigned[name.Name] = true
		r.order = append(r.order, name.Name)
	}
	return name
}

func (r *rewriter) expr(expr syntax.Expr) syntax.Expr {
	switch e := expr.(type) {
	case nil:
		return nil
	case *syntax.Ident:
		r.seen[e.Name] = true
	case *syntax.Literal:
		return r.literal(e)
	case *syntax.ParenExpr:
		e.X = r.expr(e.X)
	case *syntax.UnaryExpr:
		e.X = r.expr(e.X)
	case *syntax.CondExpr:
		e.Cond, e.True, e.False = r.expr(e.Cond), r.expr(e.True), r.expr(e.False)
	case *syntax.BinaryExpr:
		r.binary(e)
	case *syntax.CallExpr:
		r.call(e)
	case *syntax.IndexExpr:
		e.X, e.Y = r.expr(e.X), r.expr(e.Y)
	case *syntax.TupleExpr:
		r.exprs(e.List)
	case *syntax.ListExpr:
		r.exprs(e.List)
	case *syntax.DictExpr:
		for _, entry := range e.List {
			pair := entry.(*syntax.DictEntry)
			pair.Key, pair.Value = r.expr(pair.Key), r.expr(pair.Value)
		}
	default:
		r.refuse(expr, "a formula calculates and compares, nothing else")
	}
	return expr
}

func (r *rewriter) exprs(list []syntax.Expr) {
	for i := range list {
		list[i] = r.expr(list[i])
	}
}

// literal makes a number a name that stands for its exact value. Its text is
// not an identifier, so it cannot clash with one.
func (r *rewriter) literal(l *syntax.Literal) syntax.Expr {
	if l.Token == syntax.STRING {
		return l
	}
	var n number
	switch value := l.Value.(type) {
	case int64:
		n = number{new(big.Rat).SetInt64(value)}
	case *big.Int:
		if value.BitLen() > maxBits {
			r.refuse(l, "%v", errTooLarge)
			return l
		}
		n = number{new(big.Rat).SetInt(value)}
	case float64:
		var err error
		if n, err = toNumber(l.Raw); err != nil {
			r.refuse(l, "%v", err)
			return l
		}
	default:
		r.refuse(l, "%s is neither a number nor a text", l.Raw)
		return l
	}
	r.fixed[l.Raw] = n
	return &syntax.Ident{NamePos: l.TokenPos, Name: l.Raw}
}

func (r *rewriter) binary(e *syntax.BinaryExpr) {
	e.X, e.Y = r.expr(e.X), r.expr(e.Y)
	switch e.Op {
	case syntax.PLUS, syntax.MINUS, syntax.STAR, syntax.SLASH, syntax.SLASHSLASH, syntax.PERCENT:
		// Starlark would also add texts and repeat lists, which can eat the
		// memory in a few steps. With a number on the left only ours is run.
		if !r.calculates(e.X) {
			start, _ := e.X.Span()
			e.X = &syntax.CallExpr{
				Fn:     &syntax.Ident{NamePos: start, Name: checkNumber},
				Lparen: start, Args: []syntax.Expr{e.X}, Rparen: start,
			}
		}
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE, syntax.AND, syntax.OR, syntax.IN, syntax.NOT_IN:
	default:
		r.refuse(e, "%s is not for numbers", e.Op)
	}
}

// calculates reports whether an expression that has been walked can only be a
// number.
func (r *rewriter) calculates(expr syntax.Expr) bool {
	switch e := expr.(type) {
	case *syntax.ParenExpr:
		return r.calculates(e.X)
	case *syntax.BinaryExpr:
		switch e.Op {
		case syntax.PLUS, syntax.MINUS, syntax.STAR, syntax.SLASH, syntax.SLASHSLASH, syntax.PERCENT:
			return true
		}
	case *syntax.Ident:
		_, literal := r.fixed[e.Name].(number)
		return literal
	}
	return false
}

func (r *rewriter) call(e *syntax.CallExpr) {
	name, ok := e.Fn.(*syntax.Ident)
	if !ok {
		r.refuse(e, "a formula calls functions by name only")
		return
	}
	if _, ok := r.fixed[name.Name].(*starlark.Builtin); !ok {
		r.refuse(e, "%s cannot be called here; there are abs, ceil, floor, max, min, range and round", name.Name)
		return
	}
	for i, arg := range e.Args {
		if b, ok := arg.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
			r.refuse(arg, "%s takes no named arguments", name.Name)
			return
		}
		e.Args[i] = r.expr(arg)
	}
}

// shape reads (a + b + c) * m, m * (a + b + c) or a + b + c, as written, as
// its terms and factor; nothing when total is made in another way.
func shape(e syntax.Expr) (terms []string, factor string) {
	e = unparen(e)
	if b, ok := e.(*syntax.BinaryExpr); ok && b.Op == syntax.STAR {
		for _, pair := range [2][2]syntax.Expr{{b.X, b.Y}, {b.Y, b.X}} {
			if name, ok := pair[1].(*syntax.Ident); ok {
				if terms := sum(pair[0]); len(terms) > 1 {
					return terms, name.Name
				}
			}
		}
		return nil, ""
	}
	return sum(e), ""
}

// sum is the names in a + b + c, nil when a term is not a name.
func sum(e syntax.Expr) []string {
	switch e := unparen(e).(type) {
	case *syntax.Ident:
		return []string{e.Name}
	case *syntax.BinaryExpr:
		x, y := sum(e.X), sum(e.Y)
		if e.Op == syntax.PLUS && x != nil && y != nil {
			return append(x, y...)
		}
	}
	return nil
}

func unparen(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.ParenExpr)
		if !ok {
			return e
		}
		e = p.X
	}
}
