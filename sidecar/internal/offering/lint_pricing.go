package offering

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/terraform-config-inspect/tfconfig"
	"github.com/zclconf/go-cty/cty"
)

// pricing finds what a module makes and the contract neither prices nor calls
// free, and what the contract prices and the module does not have. What child
// modules make is not looked into.
func (l *linter) pricing(implementation, dir string, module *tfconfig.Module) {
	pricing := l.loaded.Offering.Pricing[implementation]
	at := []any{"implementations", implementation, "price"}
	if pricing.Counted == "" {
		l.add([]any{"implementations"}, "name what is counted and what is free under implementations."+implementation+".price",
			"it does not say how a plan of %s is priced", implementation)
		return
	}
	for _, address := range slices.Sorted(maps.Keys(module.ManagedResources)) {
		r := module.ManagedResources[address]
		if pricing.Counted != r.Type && pricing.Counted != address && !slices.Contains(pricing.Free, r.Type) {
			l.at(r.Pos.Filename, r.Pos.Line, "count it, or add its type to free", fmt.Sprintf("%s is neither priced nor free", address))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pricing.Parameters)) {
		if _, known := l.loaded.Offering.Parameter(name); !known {
			l.add(append(slices.Clone(at), "parameters", name), "correct or remove it", "the price of %s is by %s, which is no parameter", implementation, name)
		}
	}
	blocks := l.resources(dir)
	have := func(name string) []*hclsyntax.Block {
		var found []*hclsyntax.Block
		for address, block := range blocks {
			if address == name || block.Labels[0] == name {
				found = append(found, block)
			}
		}
		return found
	}
	if len(module.ModuleCalls) > 0 {
		return
	}
	if len(have(pricing.Counted)) == 0 {
		l.add(append(slices.Clone(at), "counted"), "correct it", "the price of %s is by %s, which its module does not make", implementation, pricing.Counted)
	}
	for _, name := range slices.Sorted(maps.Keys(pricing.Parameters)) {
		source := pricing.Parameters[name]
		of := or(source.Of, pricing.Counted)
		if !slices.ContainsFunc(have(of), func(b *hclsyntax.Block) bool { return writes(b.Body, source.Attribute) }) {
			l.add(append(slices.Clone(at), "parameters", name), "correct it", "the module of %s sets no %s of %s, from which %s would be priced",
				implementation, source.Attribute, of, name)
		}
	}
}

// resources are a module's resource blocks by address.
func (l *linter) resources(dir string) map[string]*hclsyntax.Block {
	blocks := map[string]*hclsyntax.Block{}
	files, _ := fs.Glob(l.fsys, path.Join(l.loaded.Offering.ID, dir, "*.tf")) // the pattern is well formed
	for _, file := range files {
		text, err := fs.ReadFile(l.fsys, file)
		if err != nil {
			continue // the loader of the module says so
		}
		parsed, _ := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		body, ok := parsed.Body.(*hclsyntax.Body)
		if !ok {
			continue
		}
		for _, block := range body.Blocks {
			if block.Type == "resource" && len(block.Labels) == 2 {
				blocks[strings.Join(block.Labels, ".")] = block
			}
		}
	}
	return blocks
}

// writes reports whether a block sets the attribute at a path; what an
// expression makes is taken on trust.
func writes(body *hclsyntax.Body, attribute string) bool {
	name, rest, deeper := strings.Cut(attribute, ".")
	if set := body.Attributes[name]; set != nil {
		object, written := set.Expr.(*hclsyntax.ObjectConsExpr)
		if !deeper || !written {
			return true
		}
		inner, _, _ := strings.Cut(rest, ".")
		return slices.ContainsFunc(object.Items, func(item hclsyntax.ObjectConsItem) bool {
			key, diagnostics := item.KeyExpr.Value(nil)
			return diagnostics.HasErrors() || key.Type() == cty.String && key.AsString() == inner
		})
	}
	return slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool {
		return b.Type == "dynamic" && len(b.Labels) == 1 && b.Labels[0] == name || b.Type == name && (!deeper || writes(b.Body, rest))
	})
}
