package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Bundle is a loaded and compiled bundle. It is immutable, and safe for use
// from many goroutines at once.
type Bundle struct {
	digest string
	prices []byte
	rules  []Rule
	rank   map[string]int // rule name to its place among findings

	exemptions []provision.Exemption // without their state
	limits     provision.Limits

	findings, allowance, budgets, named, allow, reason, holds, calendar rego.PreparedEvalQuery
}

// Rule describes one guardrail, from its metadata.
type Rule struct {
	Name        string // the file's name without .rego
	Title       string
	Description string
	Docs        string // path and anchor of its documentation, "" when it names none
}

// Load reads a bundle from the root of fsys and compiles it once; it blocks for
// some tens of milliseconds. Anything that could let a rule stay silent
// unnoticed is an error: no guardrails, a guardrail without findings, a package
// that is not where its path says, data that a rule reads and nobody supplies, a
// built-in that is not pure; so is an exemption without an end.
func Load(fsys fs.FS) (*Bundle, error) {
	src, err := readSource(fsys)
	if err != nil {
		return nil, err
	}
	return src.load()
}

func (src source) load() (*Bundle, error) {
	modules, err := src.parse(src.production())
	data, dataErr := src.parseData()
	if err := errors.Join(err, dataErr); err != nil {
		return nil, err
	}
	compiler, err := compile(modules)
	if err != nil {
		return nil, err
	}
	rules := describe(modules)
	exemptions, exemptionsErr := exemptionsOf(data, names(rules))
	limits, limitsErr := limitsOf(data)
	if err := errors.Join(verify(modules, compiler, data), exemptionsErr, verifyCalendar(data), limitsErr); err != nil {
		return nil, err
	}
	b := &Bundle{digest: src.digest(), prices: src.files["data/prices.yaml"], rules: rules, exemptions: exemptions, limits: limits}
	b.rank = rank(b.rules, data)
	store := newStore(data)
	for query, prepared := range map[string]*rego.PreparedEvalQuery{
		"data.roadbed.decision.findings":   &b.findings,
		"data.roadbed.lib.allowance":       &b.allowance,
		"data.roadbed.lib.budget.applying": &b.budgets,
		"data.roadbed.lib.budget.named":    &b.named,
		"data.roadbed.authz.allow":         &b.allow,
		"data.roadbed.authz.reason":        &b.reason,
		"data.roadbed.holds.holds":         &b.holds,
		"data.roadbed.holds.calendar":      &b.calendar,
	} {
		*prepared, err = rego.New(rego.Query(query), rego.Compiler(compiler), rego.Store(store),
			// A built-in that fails would otherwise leave its rule silent.
			rego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", query, err)
		}
	}
	return b, nil
}

// Digest names exactly this bundle: "sha256:<hex>" over its rules and data,
// tests excluded.
func (b *Bundle) Digest() string { return b.digest }

// PricesYAML is data/prices.yaml as it stands, never nil. The caller may keep it.
func (b *Bundle) PricesYAML() []byte { return append([]byte{}, b.prices...) }

// Rules are the guardrails in the order in which their findings are shown.
func (b *Bundle) Rules() []Rule { return slices.Clone(b.rules) }

// source is a bundle's files by path: every .rego, and every .yaml in data.
type source struct {
	files map[string][]byte
}

func readSource(fsys fs.FS) (source, error) {
	src := source{files: map[string][]byte{}}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if ext := path.Ext(name); ext != ".rego" && (ext != ".yaml" || path.Dir(name) != "data") {
			return nil
		}
		src.files[name], err = fs.ReadFile(fsys, name)
		return err
	})
	if err != nil {
		return source{}, fmt.Errorf("read policies: %w", err)
	}
	if len(src.files["data/prices.yaml"]) == 0 {
		return source{}, errors.New("read policies: data/prices.yaml is missing or empty")
	}
	return src, nil
}

// production are the paths that count: all but the tests, sorted.
func (s source) production() []string {
	return s.paths(func(name string) bool { return !strings.HasSuffix(name, "_test.rego") })
}

func (s source) paths(want func(string) bool) []string {
	var names []string
	for name := range s.files {
		if want(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// digest covers paths, lengths and contents, so that no two bundles share one.
func (s source) digest() string {
	sum := sha256.New()
	for _, name := range s.production() {
		_, _ = fmt.Fprintf(sum, "%q %d\n", name, len(s.files[name])) // a hash never fails to write
		sum.Write(s.files[name])
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// parse reads the named files that are Rego, by path; its error holds every
// file's faults.
func (s source) parse(names []string) (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	var faults []error
	for _, name := range names {
		if path.Ext(name) != ".rego" {
			continue
		}
		module, err := ast.ParseModuleWithOpts(name, string(s.files[name]), ast.ParserOptions{
			ProcessAnnotation: true,
			RegoVersion:       ast.RegoV1,
			Capabilities:      pure(),
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("parse policy %s: %w", name, err))
			continue
		}
		if got, want := module.Package.Path.String(), packageOf(name); got != want {
			faults = append(faults, fmt.Errorf("policy %s is in package %s; its path says %s",
				name, strings.TrimPrefix(got, "data."), strings.TrimPrefix(want, "data.")))
		}
		modules[name] = module
	}
	return modules, errors.Join(faults...)
}

// packageOf is the package that a path must hold: guardrails/cost_limit.rego is
// roadbed.guardrails.cost_limit. Where file and folder share a name it is said
// once: authz/authz.rego is roadbed.authz.
func packageOf(name string) string {
	parts := strings.Split(strings.TrimSuffix(name, ".rego"), "/")
	if last := len(parts) - 1; last > 0 {
		if base, isTest := strings.CutSuffix(parts[last], "_test"); base == parts[last-1] {
			parts = parts[:last]
			if isTest {
				parts[last-1] += "_test"
			}
		}
	}
	return "data.roadbed." + strings.Join(parts, ".")
}

// parseData is the document under data: each file under its own name.
func (s source) parseData() (map[string]any, error) {
	data := map[string]any{}
	for _, name := range s.paths(func(name string) bool { return path.Ext(name) == ".yaml" }) {
		var content map[string]any
		if err := yaml.Unmarshal(s.files[name], &content); err != nil {
			return nil, fmt.Errorf("parse policy data %s: %w", name, err)
		}
		if len(content) == 0 {
			return nil, fmt.Errorf("policy data %s is empty", name)
		}
		key := strings.TrimSuffix(path.Base(name), ".yaml")
		if key == "roadbed" {
			return nil, fmt.Errorf("policy data %s would stand where the rules are; give it another name", name)
		}
		var document any = content
		if err := util.RoundTrip(&document); err != nil { // to JSON's types
			return nil, fmt.Errorf("policy data %s: %w", name, err)
		}
		data[key] = document
	}
	return data, nil
}

func compile(modules map[string]*ast.Module) (*ast.Compiler, error) {
	compiler := newCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		return nil, fmt.Errorf("compile policies: %w", compiler.Errors)
	}
	return compiler, nil
}

func newCompiler() *ast.Compiler {
	return ast.NewCompiler().WithStrict(true).WithCapabilities(pure()).WithDefaultRegoVersion(ast.RegoV1)
}

func newStore(data map[string]any) storage.Store {
	return inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))
}

// pure are OPA's capabilities without any built-in whose answer depends on
// something other than its arguments, so that a verdict can be replayed.
func pure() *ast.Capabilities {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.AllowNet = []string{}
	capabilities.Builtins = slices.DeleteFunc(capabilities.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || slices.Contains(impure, b.Name) ||
			strings.HasPrefix(b.Name, "io.jwt.") || strings.HasPrefix(b.Name, "crypto.x509.") // read the clock
	})
	return capabilities
}

var impure = []string{
	"http.send", "net.lookup_ip_addr", "opa.runtime", "providers.aws.sign_req", "rand.intn",
	"rego.parse_module", "time.now_ns", "trace", "uuid.rfc4122",
}

// rank orders findings: as data.limits.display_order says, then by name. It
// also puts the rules in that order.
func rank(rules []Rule, data map[string]any) map[string]int {
	limits, _ := data["limits"].(map[string]any)
	order, _ := limits["display_order"].([]any)
	place := func(r Rule) int {
		if i := slices.Index(order, any(r.Name)); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	ranks := map[string]int{}
	for i, rule := range rules {
		ranks[rule.Name] = i
	}
	return ranks
}

// isRule reports whether a file's findings count: on every ask, or on a plan.
func isRule(name string) bool {
	dir := path.Dir(name)
	return dir == "guardrails" || dir == "plan"
}

func describe(modules map[string]*ast.Module) []Rule {
	var rules []Rule
	for name, module := range modules {
		if !isRule(name) {
			continue
		}
		rule := Rule{Name: strings.TrimSuffix(path.Base(name), ".rego")}
		if about := packageMetadata(module); about != nil {
			rule.Title, rule.Description = about.Title, about.Description
			if len(about.RelatedResources) > 0 {
				rule.Docs = about.RelatedResources[0].Ref.String()
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

func names(rules []Rule) map[string]bool {
	known := map[string]bool{}
	for _, rule := range rules {
		known[rule.Name] = true
	}
	return known
}

// packageMetadata is a module's METADATA about its package, or nil.
func packageMetadata(module *ast.Module) *ast.Annotations {
	for _, annotations := range module.Annotations {
		if annotations.Scope == "package" {
			return annotations
		}
	}
	return nil
}
