package terraform

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	tfjson "github.com/hashicorp/terraform-json"
	"github.com/zclconf/go-cty/cty"
)

// Bounds of what is said of one resource's sources, so that a module can make
// no report large.
const (
	maxSourced   = 200 // attributes
	maxSources   = 20  // parameters of an attribute
	maxIndirects = 64  // references from an attribute to its parameter
)

// existence is the attribute under which it is said what a resource's count and
// for_each, and those of the modules around it, come from.
const existence = "count"

// contextVariable is what Roadbed itself gives every module; nobody asked for it.
const contextVariable = "roadbed"

// tracer knows which parameters the attributes of a configuration come from. It
// reads the text of the modules, since a plan tells nothing of locals and
// dynamic blocks, and evaluates nothing: what it says are names.
type tracer struct {
	modules map[string]*moduleText // by the calls' names, joined by dots; the root is ""
}

// moduleText is one module as it is called in one place.
type moduleText struct {
	parent *moduleText // nil at the root
	call   string      // its name in the parent
	locals map[string]hclsyntax.Expression
	blocks map[string][]*hclsyntax.Block // type.name, data.type.name, module.name, output.name
}

// scope is where an expression stands.
type scope struct {
	module    *moduleText
	each      []hclsyntax.Expression          // what each and count stand for
	iterators map[string]hclsyntax.Expression // of the dynamic blocks around it
}

// newTracer reads the modules of an initialised working directory. It never
// fails: what cannot be read is traced to nothing.
func newTracer(work string) *tracer {
	t := &tracer{modules: map[string]*moduleText{}}
	t.read("", work)
	var manifest struct {
		Modules []struct{ Key, Dir string }
	}
	text, err := os.ReadFile(filepath.Join(work, ".terraform", "modules", "modules.json"))
	if err != nil || json.Unmarshal(text, &manifest) != nil {
		return t
	}
	for _, m := range manifest.Modules {
		if m.Key != "" {
			t.read(m.Key, filepath.Join(work, m.Dir))
		}
	}
	for key, module := range t.modules {
		if key != "" {
			above, call := "", key
			if i := strings.LastIndexByte(key, '.'); i >= 0 {
				above, call = key[:i], key[i+1:]
			}
			module.parent, module.call = t.modules[above], call
		}
	}
	return t
}

func (t *tracer) read(key, dir string) {
	module := &moduleText{locals: map[string]hclsyntax.Expression{}, blocks: map[string][]*hclsyntax.Block{}}
	t.modules[key] = module
	files, _ := filepath.Glob(filepath.Join(dir, "*.tf")) // the pattern is well formed
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		parsed, _ := hclsyntax.ParseConfig(text, filepath.Base(file), hcl.InitialPos)
		body, ok := parsed.Body.(*hclsyntax.Body)
		if !ok {
			continue
		}
		for _, block := range body.Blocks {
			name := strings.Join(block.Labels, ".")
			switch block.Type {
			case "locals":
				for name, attribute := range block.Body.Attributes {
					module.locals[name] = attribute.Expr
				}
			case "resource":
				module.blocks[name] = append(module.blocks[name], block)
			case "data", "module", "output":
				name = block.Type + "." + name
				module.blocks[name] = append(module.blocks[name], block)
			}
		}
	}
}

// sourcesOf is what each resource that a plan changes comes from, by address.
func sourcesOf(plan *tfjson.Plan, t *tracer) map[string]map[string][]string {
	sources := map[string]map[string][]string{}
	for _, resource := range plan.ResourceChanges {
		if found := t.sources(resource); found != nil {
			sources[resource.Address] = found
		}
	}
	return sources
}

// sources are the root module's variables that each attribute of a resource
// comes from, nearest first; nil when none does. A nested attribute's name is
// its path without indexes: ingress.cidr_blocks.
func (t *tracer) sources(resource *tfjson.ResourceChange) map[string][]string {
	module := t.modules[callsOf(resource.ModuleAddress)]
	if module == nil {
		return nil
	}
	name := resource.Type + "." + resource.Name
	if resource.Mode == tfjson.DataResourceMode {
		name = "data." + name
	}
	found := map[string][]string{}
	for _, block := range module.blocks[name] {
		t.body(block.Body, "", scope{module: module, each: eachOf(block.Body)}, found)
	}
	for inner := module; inner.parent != nil; inner = inner.parent {
		for _, call := range inner.parent.blocks["module."+inner.call] {
			for _, expr := range eachOf(call.Body) {
				t.add(found, existence, expr, scope{module: inner.parent})
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

// callsOf is a module's address as its manifest has it: module.a["x"].module.b
// is a.b.
func callsOf(address string) string {
	var calls []string
	var plain strings.Builder
	inside, quoted := false, false
	for i := 0; i < len(address); i++ {
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
	for i, part := range strings.Split(plain.String(), ".") {
		if i%2 == 1 {
			calls = append(calls, part)
		}
	}
	return strings.Join(calls, ".")
}

func eachOf(body *hclsyntax.Body) (expressions []hclsyntax.Expression) {
	for _, name := range []string{"count", "for_each"} {
		if attribute := body.Attributes[name]; attribute != nil {
			expressions = append(expressions, attribute.Expr)
		}
	}
	return expressions
}

// body adds what the attributes of a block, and of the blocks in it, come from.
func (t *tracer) body(body *hclsyntax.Body, prefix string, in scope, found map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		switch {
		case prefix == "" && (name == "count" || name == "for_each"):
			t.add(found, existence, body.Attributes[name].Expr, in)
		case prefix == "" && (name == "provider" || name == "depends_on"):
		default:
			t.add(found, prefix+name, body.Attributes[name].Expr, in)
		}
	}
	for _, block := range body.Blocks {
		switch {
		case prefix == "" && (block.Type == "lifecycle" || block.Type == "provisioner" || block.Type == "connection"):
		case block.Type == "dynamic" && len(block.Labels) == 1:
			t.dynamic(block, prefix, in, found)
		default:
			t.body(block.Body, prefix+block.Type+".", in, found)
		}
	}
}

func (t *tracer) dynamic(block *hclsyntax.Block, prefix string, in scope, found map[string][]string) {
	name := block.Labels[0]
	iterator := name
	if attribute := block.Body.Attributes["iterator"]; attribute != nil {
		iterator = cmp.Or(hcl.ExprAsKeyword(attribute.Expr), name)
	}
	if attribute := block.Body.Attributes["for_each"]; attribute != nil {
		t.add(found, prefix+name, attribute.Expr, in)
		in.iterators = maps.Clone(in.iterators)
		if in.iterators == nil {
			in.iterators = map[string]hclsyntax.Expression{}
		}
		in.iterators[iterator] = attribute.Expr
	}
	for _, content := range block.Body.Blocks {
		if content.Type == "content" {
			t.body(content.Body, prefix+name+".", in, found)
		}
	}
}

// add says what the attribute at path comes from and, when it is an object
// that is written out, what its members do.
func (t *tracer) add(found map[string][]string, path string, expr hclsyntax.Expression, in scope) {
	t.addWithin(found, path, expr, in, maxIndirects)
}

func (t *tracer) addWithin(found map[string][]string, path string, expr hclsyntax.Expression, in scope, depth int) {
	if len(found) >= maxSourced || depth == 0 {
		return
	}
	walk := &walk{tracer: t, seen: map[hclsyntax.Expression]bool{}, found: found[path]}
	walk.expression(expr, in, maxIndirects)
	if len(walk.found) == 0 {
		return
	}
	found[path] = walk.found
	switch e := expr.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		for _, target := range t.targets(e.Traversal, in) {
			t.addMembers(found, path, target.expr, target.in, depth-1)
		}
	default:
		t.addMembers(found, path, expr, in, depth-1)
	}
}

func (t *tracer) addMembers(found map[string][]string, path string, expr hclsyntax.Expression, in scope, depth int) {
	switch e := expr.(type) {
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			if key, ok := literal(item.KeyExpr); ok {
				t.addWithin(found, path+"."+key, item.ValueExpr, in, depth)
			}
		}
	case *hclsyntax.TupleConsExpr:
		for _, item := range e.Exprs {
			t.addMembers(found, path, item, in, depth)
		}
	}
}

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
