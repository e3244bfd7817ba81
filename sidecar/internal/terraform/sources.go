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
