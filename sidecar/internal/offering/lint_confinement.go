package offering

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// strangers are data sources that run a program, fetch from anywhere or read
// another state: what they answer is nobody's contract.
var strangers = map[string]string{
	"external":               "runs a program on the worker",
	"http":                   "fetches from anywhere that the worker can reach",
	"terraform_remote_state": "reads a state that Roadbed does not keep",
}

// confinement refuses what a module could do beside making resources: run
// programs, read the worker's files, fetch what its digest does not cover, or
// keep its state elsewhere.
func (l *linter) confinement(dir string) {
	for _, name := range slices.Sorted(maps.Keys(l.loaded.Files)) {
		if !strings.HasPrefix(name, dir+"/") {
			continue
		}
		switch {
		case strings.HasSuffix(name, ".tf.json"):
			l.at(name, 0, "write it as .tf", "Terraform in JSON is not looked into, and texts in it are templates")
		case path.Ext(name) == ".tf":
			parsed, _ := hclsyntax.ParseConfig(l.loaded.Files[name], name, hcl.InitialPos)
			if body, ok := parsed.Body.(*hclsyntax.Body); ok {
				l.confined(dir, body)
			}
		}
	}
}

func (l *linter) confined(dir string, body *hclsyntax.Body) {
	for _, block := range body.Blocks {
		at := func(wayOut, format string, args ...any) {
			l.at(block.TypeRange.Filename, block.TypeRange.Start.Line, wayOut, fmt.Sprintf(format, args...))
		}
		labels := strings.Join(block.Labels, ".")
		switch block.Type {
		case "provisioner":
			at("let a provider do it", "the provisioner %s runs programs beside Terraform", labels)
		case "connection":
			at("remove it", "a connection is for provisioners, which are refused")
		case "backend", "cloud":
			at("remove the block", "the %s block keeps the state elsewhere, and Roadbed keeps it", block.Type)
		case "data":
			if does, known := strangers[block.Labels[0]]; known {
				at("let a provider of the offering's own do it, or make it a parameter", "the data source %s %s", labels, does)
			}
		case "module":
			if source := literal(block.Body.Attributes["source"]); !strings.HasPrefix(source, "./") || !within(dir, path.Dir(block.TypeRange.Filename), source) {
				at("copy it into "+dir, "the module %s has the source %q, which the offering's digest does not cover", labels, source)
			}
		}
		l.confined(dir, block.Body)
	}
	for _, name := range slices.Sorted(maps.Keys(body.Attributes)) {
		_ = hclsyntax.VisitAll(body.Attributes[name].Expr, func(node hclsyntax.Node) hcl.Diagnostics {
			if call, ok := node.(*hclsyntax.FunctionCallExpr); ok && readsFiles(call.Name) && !ownFile(call) {
				l.at(call.NameRange.Filename, call.NameRange.Start.Line, `begin the path with "${path.module}/" and go up nowhere`, call.Name+" may read any file of the worker, its keys too")
			}
			return nil
		})
	}
}

// literal is the text of an attribute that is a plain string, else "".
func literal(attribute *hclsyntax.Attribute) string {
	if attribute == nil {
		return ""
	}
	return literalText(attribute.Expr)
}

func literalText(expression hclsyntax.Expression) string {
	value, faults := expression.Value(nil)
	if faults.HasErrors() || value.IsNull() || value.Type().FriendlyName() != "string" {
		return ""
	}
	return value.AsString()
}

// within reports whether source, seen from folder, stays in dir.
func within(dir, folder, source string) bool {
	to := path.Join(folder, source)
	return to == dir || strings.HasPrefix(to, dir+"/")
}

func readsFiles(function string) bool {
	return strings.HasPrefix(function, "file") || strings.HasPrefix(function, "core::file") ||
		strings.HasSuffix(function, "templatefile") || strings.HasSuffix(function, "pathexpand")
}

// ownFile reports whether a call's path is "${path.module}/…" without a step up
// and with nothing computed in it.
func ownFile(call *hclsyntax.FunctionCallExpr) bool {
	if len(call.Args) == 0 {
		return true // a folder of nothing; Terraform itself complains
	}
	template, ok := call.Args[0].(*hclsyntax.TemplateExpr)
	if !ok || len(template.Parts) != 2 {
		root, alone := call.Args[0].(*hclsyntax.ScopeTraversalExpr)
		return alone && pathModule(root) // fileset(path.module, …)
	}
	root, ok := template.Parts[0].(*hclsyntax.ScopeTraversalExpr)
	rest := literalText(template.Parts[1])
	return ok && pathModule(root) && strings.HasPrefix(rest, "/") && !strings.Contains(rest, "..")
}

func pathModule(e *hclsyntax.ScopeTraversalExpr) bool {
	if e.Traversal.RootName() != "path" || len(e.Traversal) != 2 {
		return false
	}
	attribute, ok := e.Traversal[1].(hcl.TraverseAttr)
	return ok && attribute.Name == "module"
}
