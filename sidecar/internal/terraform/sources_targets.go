package terraform

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// literal is the text of a key that is written as it is.
func literal(expr hclsyntax.Expression) (string, bool) {
	value, diagnostics := expr.Value(nil)
	if diagnostics.HasErrors() || value.IsNull() || !value.IsKnown() || value.Type() != cty.String {
		return "", false
	}
	return value.AsString(), true
}

// target is an expression that a reference leads to.
type target struct {
	expr hclsyntax.Expression
	in   scope
}

// targets are where a reference leads: nowhere for a variable of the root
// module, which is where the way ends.
func (t *tracer) targets(reference hcl.Traversal, in scope) (targets []target) {
	to := func(expr hclsyntax.Expression, in scope, rest hcl.Traversal) {
		targets = append(targets, target{member(expr, rest), in})
	}
	name := func(i int) string {
		if i < len(reference) {
			if step, ok := reference[i].(hcl.TraverseAttr); ok {
				return step.Name
			}
		}
		return ""
	}
	switch root := reference.RootName(); root {
	case "var":
		if m := in.module; m.parent != nil {
			for _, call := range m.parent.blocks["module."+m.call] {
				if argument := call.Body.Attributes[name(1)]; argument != nil {
					to(argument.Expr, scope{module: m.parent, each: eachOf(call.Body)}, reference[2:])
				}
			}
		}
	case "local":
		if expr := in.module.locals[name(1)]; expr != nil {
			to(expr, scope{module: in.module}, reference[2:])
		}
	case "each", "count":
		for _, expr := range in.each {
			to(expr, scope{module: in.module, iterators: in.iterators}, nil)
		}
	case "module":
		child := t.child(in.module, name(1))
		for i := 2; child != nil && i < len(reference); i++ { // past an index of the call
			if output := name(i); output != "" {
				for _, block := range child.blocks["output."+output] {
					if value := block.Body.Attributes["value"]; value != nil {
						to(value.Expr, scope{module: child}, reference[i+1:])
					}
				}
				break
			}
		}
	case "path", "terraform", "self":
	default:
		if expr := in.iterators[root]; expr != nil {
			to(expr, scope{module: in.module, each: in.each}, nil)
			break
		}
		first, address := 2, root+"."+name(1)
		if root == "data" {
			first, address = 3, address+"."+name(2)
		}
		for i := first; i < len(reference); i++ { // past an index of the resource
			if attribute := name(i); attribute != "" {
				for _, block := range in.module.blocks[address] {
					if given := block.Body.Attributes[attribute]; given != nil {
						to(given.Expr, scope{module: in.module, each: eachOf(block.Body)}, reference[i+1:])
					}
				}
				break
			}
		}
	}
	return targets
}

func (t *tracer) child(of *moduleText, call string) *moduleText {
	for _, module := range t.modules {
		if module.parent == of && module.call == call {
			return module
		}
	}
	return nil
}

// member is the part of an object that is written out that steps lead to, or
// the whole where they cannot be followed.
func member(expr hclsyntax.Expression, steps hcl.Traversal) hclsyntax.Expression {
	for _, step := range steps {
		object, ok := expr.(*hclsyntax.ObjectConsExpr)
		if !ok {
			return expr
		}
		var name string
		switch s := step.(type) {
		case hcl.TraverseAttr:
			name = s.Name
		case hcl.TraverseIndex:
			if s.Key.Type() != cty.String {
				return expr
			}
			name = s.Key.AsString()
		}
		i := slices.IndexFunc(object.Items, func(item hclsyntax.ObjectConsItem) bool {
			key, ok := literal(item.KeyExpr)
			return ok && key == name
		})
		if i < 0 {
			return expr
		}
		expr = object.Items[i].ValueExpr
	}
	return expr
}

// walk collects the parameters that one attribute comes from.
type walk struct {
	tracer *tracer
	seen   map[hclsyntax.Expression]bool
	found  []string
}

// expression goes through the references breadth first, so that what an
// attribute is made of directly comes before what that is made of.
func (w *walk) expression(expr hclsyntax.Expression, in scope, depth int) {
	next := []target{{expr, in}}
	for ; depth > 0 && len(next) > 0; depth-- {
		var further []target
		for _, at := range next {
			if w.seen[at.expr] {
				continue
			}
			w.seen[at.expr] = true
			for _, reference := range at.expr.Variables() {
				w.variable(reference, at.in)
				further = append(further, w.tracer.targets(reference, at.in)...)
			}
		}
		next = further
	}
}

func (w *walk) variable(reference hcl.Traversal, in scope) {
	if in.module.parent != nil || reference.RootName() != "var" || len(reference) < 2 {
		return
	}
	step, ok := reference[1].(hcl.TraverseAttr)
	if ok && step.Name != contextVariable && len(w.found) < maxSources && !slices.Contains(w.found, step.Name) {
		w.found = append(w.found, step.Name)
	}
}
