package policy

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// verify refuses what compiles but would leave a rule silent, with every fault.
// modules are as parsed; compiler holds them compiled.
func verify(modules map[string]*ast.Module, compiler *ast.Compiler, data map[string]any) error {
	names, guardrails := slices.Sorted(maps.Keys(modules)), 0
	var faults []error
	for _, name := range names {
		if path.Dir(name) == "guardrails" {
			guardrails++
		}
		if isRule(name) {
			faults = append(faults, verifyFindings(name, modules[name]))
		}
	}
	if guardrails == 0 {
		faults = append(faults, errors.New("policies hold no guardrails; without any, everything would be allowed"))
	}
	faults = append(faults, verifyFindings("decision/decision.rego", modules["decision/decision.rego"]))
	for _, rule := range []string{"data.roadbed.authz.allow", "data.roadbed.authz.reason", "data.roadbed.holds.holds", "data.roadbed.holds.calendar"} {
		if len(compiler.GetRulesExact(ast.MustParseRef(rule))) == 0 {
			faults = append(faults, fmt.Errorf("policies define no %s", rule))
		}
	}
	counted, spoken := ast.MustParseRef("data.roadbed.lib.budget.applying"), ast.MustParseRef("data.roadbed.guardrails.budget.findings")
	if len(compiler.GetRulesExact(counted)) > 0 && len(compiler.GetRulesExact(spoken)) == 0 {
		faults = append(faults, errors.New("policies cap budgets (lib/budget.rego) but hold no guardrails/budget.rego, so nobody would be told why an ask above one is refused; add it, or remove lib/budget.rego"))
	}
	for _, name := range names {
		faults = append(faults, verifyReferences(name, compiler, data))
	}
	return errors.Join(faults...)
}

// verifyFindings wants at least one rule `findings contains …` and no other
// kind of findings.
func verifyFindings(name string, module *ast.Module) error {
	if module == nil {
		return fmt.Errorf("policy %s is missing", name)
	}
	found := false
	for _, rule := range module.Rules {
		if rule.Head.Ref().String() != "findings" {
			continue
		}
		if rule.Head.RuleKind() != ast.MultiValue {
			return fmt.Errorf("policy %s: findings must be a set: write `findings contains finding if {…}`", name)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("policy %s has no rule `findings contains finding if {…}`, so it could never object", name)
	}
	return nil
}

// verifyReferences wants everything that a module reads under data to exist:
// what is absent is undefined in Rego, and an undefined rule says nothing.
func verifyReferences(name string, compiler *ast.Compiler, data map[string]any) error {
	var missing error
	ast.WalkRefs(compiler.Modules[name], func(ref ast.Ref) bool {
		if missing != nil || len(ref) < 2 || !ref[0].Equal(ast.DefaultRootDocument) {
			return missing != nil
		}
		prefix := ref.ConstantPrefix()
		if prefix.HasPrefix(rulesRoot) {
			if len(compiler.GetRules(prefix)) == 0 && len(prefix) > 2 {
				missing = fmt.Errorf("policy %s reads %s, which no policy defines", name, prefix)
			}
		} else if !has(data, prefix[1:]) {
			missing = fmt.Errorf("policy %s reads %s, which no file in data supplies", name, prefix)
		}
		return missing != nil
	})
	return missing
}

var rulesRoot = ast.MustParseRef("data.roadbed")

// has reports whether document holds something at the path. A path that runs
// into an array is taken on trust.
func has(document any, path ast.Ref) bool {
	for _, term := range path {
		object, isObject := document.(map[string]any)
		if !isObject {
			_, isArray := document.([]any)
			return isArray
		}
		key, isString := term.Value.(ast.String)
		if !isString {
			return false
		}
		child, exists := object[string(key)]
		if !exists {
			return false
		}
		document = child
	}
	return document != nil
}
