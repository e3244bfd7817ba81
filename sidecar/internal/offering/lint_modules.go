package offering

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-config-inspect/tfconfig"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// contextVariable is what every module is given beside the parameters: the
// instance's ids, the tags, the environment's settings.
const contextVariable = "roadbed"

// modules must take exactly the parameters, promise the outputs, and have the
// resources that the steps name.
func (l *linter) modules() {
	o := l.loaded.Offering
	if len(o.Implementations) == 0 {
		l.add(nil, "add module/<implementation>/ with the Terraform", "there is no module, so it cannot be made")
		return
	}
	known := map[string]bool{} // addresses in any implementation
	types := map[string]bool{} // of resources in any
	for _, implementation := range o.Implementations {
		dir := path.Join("module", implementation)
		folder, err := fs.Sub(l.fsys, o.ID)
		if err != nil {
			l.at(dir, 0, "", err.Error())
			continue
		}
		module, diagnostics := tfconfig.LoadModuleFromFilesystem(tfconfig.WrapFS(folder), dir)
		for _, d := range diagnostics {
			if d.Severity == tfconfig.DiagError {
				file, line := dir, 0
				if d.Pos != nil {
					file, line = d.Pos.Filename, d.Pos.Line
				}
				l.at(file, line, "mend the Terraform", strings.TrimSpace(d.Summary+" "+d.Detail))
			}
		}
		if diagnostics.HasErrors() {
			continue
		}
		l.confinement(dir)
		l.variables(dir, module)
		l.outputs(dir, module)
		l.pricing(implementation, dir, module)
		l.rotation(dir)
		l.activity(implementation, module)
		l.imports(implementation, module)
		for address := range module.ManagedResources {
			known[address], types[module.ManagedResources[address].Type] = true, true
			if !l.inStep(address) {
				pos := module.ManagedResources[address].Pos
				l.at(pos.Filename, pos.Line, "add the address to a step, or a step without addresses for the rest", address+" belongs to no step")
			}
		}
		for name := range module.ModuleCalls {
			known["module."+name] = true
		}
	}
	l.drift(types)
	for i, step := range o.Steps {
		for _, address := range step.Addresses {
			if base := baseAddress(address); !known[base] {
				l.add([]any{"steps", i}, "correct or remove it", "step %d names %s, which is in no module", i+1, address)
			}
		}
	}
}

// rotation is promised by the contract and made by each module from the
// credentials version; one without the other would be asked for in vain.
func (l *linter) rotation(dir string) {
	uses := false
	for name, text := range l.loaded.Files {
		if path.Dir(name) == dir && path.Ext(name) == ".tf" && bytes.Contains(text, []byte("var."+contextVariable+".credentials_version")) {
			uses = true
		}
	}
	switch {
	case l.loaded.Offering.Rotates && !uses:
		l.add([]any{"rotates"}, "make the module's credentials anew by that number, or remove rotates", "credentials are to rotate, but %s does not use var.%s.credentials_version", dir, contextVariable)
	case !l.loaded.Offering.Rotates && uses:
		l.add(nil, "set rotates: true", "%s makes credentials by var.%s.credentials_version, and nobody can ask for new ones", dir, contextVariable)
	}
}

// drift must name types that the module has and parameters that can be adopted.
func (l *linter) drift(types map[string]bool) {
	named := func(attribute string, path ...any) {
		if kind, rest, _ := strings.Cut(attribute, "."); !types[kind] || rest == "" {
			l.add(path, "write <type>.<attribute> of a resource in the module", "drift names %s, which is in no module", attribute)
		}
	}
	o := l.loaded.Offering
	for i, attribute := range o.Drift.Ignore {
		named(attribute, "drift", "ignore", i)
	}
	for _, attribute := range slices.Sorted(maps.Keys(o.Drift.Adopt)) {
		named(attribute, "drift", "adopt", attribute)
		name, member, isMember := strings.Cut(o.Drift.Adopt[attribute], ".")
		p, ok := o.Parameter(name)
		switch {
		case !ok:
			l.add([]any{"drift", "adopt", attribute}, "name a parameter", "drift adopts %s into %s, which is no parameter", attribute, name)
		case p.Sensitive || p.Immutable:
			l.add([]any{"drift", "adopt", attribute}, "leave it out", "drift adopts %s into %s, which can never be changed so", attribute, name)
		case isMember && (p.Type != "map" || member == ""):
			l.add([]any{"drift", "adopt", attribute}, "name the parameter alone", "drift adopts %s into %s, but %s is no map", attribute, o.Drift.Adopt[attribute], name)
		}
	}
}

// baseAddress is an address as the module declares it: without indexes, and a
// child module's only as far as its call.
func baseAddress(address string) string {
	base, _, _ := strings.Cut(address, "[")
	if parts := strings.Split(base, "."); parts[0] == "module" && len(parts) > 2 {
		return strings.Join(parts[:2], ".")
	}
	return base
}

func (l *linter) inStep(address string) bool {
	return slices.ContainsFunc(l.loaded.Offering.Steps, func(s provision.StepDefinition) bool {
		rest := s.Phase == "" && len(s.Addresses) == 0
		return rest || slices.ContainsFunc(s.Addresses, func(a string) bool { return baseAddress(a) == address })
	})
}

func (l *linter) variables(dir string, module *tfconfig.Module) {
	o := l.loaded.Offering
	file := path.Join(dir, "variables.tf")
	for _, p := range o.Parameters {
		v, ok := module.Variables[p.Name]
		if !ok {
			l.at(file, 0, "declare it", fmt.Sprintf("there is no variable for the parameter %s", p.Name))
			continue
		}
		at := func(wayOut, format string, args ...any) {
			l.at(v.Pos.Filename, v.Pos.Line, wayOut, fmt.Sprintf(format, args...))
		}
		if !takes(v.Type, p.Type) {
			at("change one", "the variable %s is of type %q, the parameter of type %s", p.Name, v.Type, p.Type)
		}
		if v.Default != nil && p.Default != nil && !sameJSON(v.Default, p.Default) {
			at("make them agree", "the variable %s has the default %s, the parameter %s", p.Name, quote(v.Default), quote(p.Default))
		}
		if v.Required && !p.Required && p.Default == nil {
			at("give either a default", "the variable %s has no default, and the parameter may be left out", p.Name)
		}
		if p.Sensitive && !v.Sensitive {
			at("set sensitive = true", "the parameter %s is sensitive, its variable is not", p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(module.Variables)) {
		v := module.Variables[name]
		if _, ok := o.Parameter(name); !ok && name != contextVariable {
			l.at(v.Pos.Filename, v.Pos.Line, "add the parameter or remove the variable", fmt.Sprintf("the variable %s is no parameter", name))
		}
	}
	if _, ok := module.Variables[contextVariable]; !ok {
		l.at(file, 0, "declare it", "there is no variable "+contextVariable+", which carries the instance's ids and tags")
	}
}

func (l *linter) outputs(dir string, module *tfconfig.Module) {
	for _, out := range l.loaded.Offering.Outputs {
		if _, ok := module.Outputs[out.Name]; !ok {
			l.at(path.Join(dir, "outputs.tf"), 0, "declare it", fmt.Sprintf("there is no output %s, which the offering promises", out.Name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(module.Outputs)) {
		out := module.Outputs[name]
		promised := slices.ContainsFunc(l.loaded.Offering.Outputs, func(o provision.Output) bool { return o.Name == name })
		// A sensitive output is for the platform to seal; it is never shown.
		switch {
		case promised && out.Sensitive:
			l.at(out.Pos.Filename, out.Pos.Line, "promise a reference instead", fmt.Sprintf("the output %s is sensitive, so it cannot be shown", name))
		case !promised && !out.Sensitive:
			l.at(out.Pos.Filename, out.Pos.Line, "add it to the contract or remove it", fmt.Sprintf("the offering does not promise the output %s", name))
		}
	}
}

// takes reports whether a variable of a Terraform type can hold a parameter.
func takes(terraform, parameter string) bool {
	switch parameter {
	case "integer":
		return terraform == "number"
	case "boolean":
		return terraform == "bool"
	case "map":
		return strings.HasPrefix(terraform, "map(") || strings.HasPrefix(terraform, "object(")
	default:
		return terraform == "string"
	}
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
