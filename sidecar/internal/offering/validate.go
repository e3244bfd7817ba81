package offering

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	idPattern      = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	namePattern    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)
	types          = []string{"string", "enum", "integer", "boolean", "map"}
	levels         = []string{"basic", "advanced", "expert"}

	// reserved cannot be parameters: Terraform keeps some, we give modules the last.
	reserved = []string{"source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals", "roadbed"}
)

// checker collects problems at their lines.
type checker struct {
	root     *yaml.Node
	problems []Problem
}

func (c *checker) add(path []any, wayOut, format string, args ...any) {
	c.problems = append(c.problems, Problem{Line: lineOf(c.root, path...), Message: fmt.Sprintf(format, args...), WayOut: wayOut})
}

// check finds what is wrong with a contract that could be read.
func check(o provision.Offering, c contract, root *yaml.Node) []Problem {
	k := &checker{root: root}
	if !idPattern.MatchString(o.ID) || len(o.ID) > 30 {
		k.add(nil, "rename the folder", "the folder's name %q is not an id: lowercase letters, digits and single hyphens, at most 30", o.ID)
	}
	for _, field := range []struct{ name, value string }{
		{"name", o.Name}, {"description", o.Description}, {"category", o.Category},
	} {
		if strings.TrimSpace(field.value) == "" {
			k.add([]any{field.name}, "add it", "%s is missing", field.name)
		}
	}
	if !versionPattern.MatchString(o.Version) {
		k.add([]any{"version"}, "write it as 1.2.0", "version %q is not a version", o.Version)
	}
	if len(o.Parameters) == 0 {
		k.add([]any{"parameters"}, "add the name, the environment, the owner and the cost center", "there are no parameters")
	}
	seen := map[string]bool{}
	for i, p := range o.Parameters {
		k.parameter(p, []any{"parameters", i})
		if seen[p.Name] {
			k.add([]any{"parameters", i, "name"}, "rename one", "there are two parameters %s", p.Name)
		}
		seen[p.Name] = true
	}
	k.roles(o)
	k.rest(o)
	if len(c.Implementations) > 0 && !slices.Equal(slices.Sorted(maps.Keys(c.Implementations)), o.Implementations) {
		k.add([]any{"implementations"}, "add the module folder or leave the list out",
			"implementations are %s, but the module folders are %s", list(slices.Sorted(maps.Keys(c.Implementations))), list(o.Implementations))
	}
	return k.problems
}

func (k *checker) parameter(p provision.Parameter, at []any) {
	in := func(field string) []any { return append(slices.Clone(at), field) }
	if !namePattern.MatchString(p.Name) {
		k.add(in("name"), "use lowercase letters, digits and underscores", "%q is not a parameter's name", p.Name)
	}
	if slices.Contains(reserved, p.Name) {
		k.add(in("name"), "take another name", "the name %s is reserved", p.Name)
	}
	if !slices.Contains(types, p.Type) {
		k.add(in("type"), "take one of "+list(types), "%s has the unknown type %q", p.Name, p.Type)
	}
	if !slices.Contains(levels, p.Level) {
		k.add(in("level"), "take one of "+list(levels), "%s has the unknown level %q", p.Name, p.Level)
	}
	if p.Pattern != "" {
		if _, err := regexp.Compile(p.Pattern); err != nil {
			k.add(in("pattern"), "mend it", "%s has a pattern that is no regular expression: %v", p.Name, err)
		}
		if p.Type != "string" && p.Type != "map" {
			k.add(in("pattern"), "leave it out", "%s has a pattern but is neither a string nor a map", p.Name)
		}
	}
	if (p.Min != nil || p.Max != nil) && p.Type != "integer" && p.Type != "string" {
		k.add(in("type"), "leave them out", "%s has min or max but is neither an integer nor a string", p.Name)
	}
	if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
		k.add(in("min"), "swap them", "%s has min %d above max %d", p.Name, *p.Min, *p.Max)
	}
	if p.Type == "string" && (p.Min != nil && *p.Min < 0 || p.Max != nil && *p.Max < 0) {
		k.add(in("min"), "a string's min and max are its length", "%s has a negative length", p.Name)
	}
	if p.Multiline && p.Type != "string" {
		k.add(in("multiline"), "leave it out", "%s is multiline but is no string", p.Name)
	}
	if p.Replaces && p.Immutable {
		k.add(in("replaces"), "leave one out", "%s is immutable, so it never changes and replaces nothing", p.Name)
	}
	if p.Sensitive && p.Default != nil {
		k.add(in("default"), "leave the default out", "%s is sensitive, and its default would be no secret", p.Name)
	}
	if (p.Type == "enum") != (len(p.Options) > 0) {
		k.add(in("options"), "an enum has options, nothing else has", "%s is of type %s and has %d options", p.Name, p.Type, len(p.Options))
	}
	k.takes(p, in)
	values := map[string]bool{}
	for i, o := range p.Options {
		if o.Value == "" || values[o.Value] {
			k.add(append(in("options"), i), "give each option a value of its own", "%s has the option %q twice or empty", p.Name, o.Value)
		}
		values[o.Value] = true
	}
}

// takes checks a parameter that takes an output: its value is the name of an
// instance, so nothing else can be said of it.
func (k *checker) takes(p provision.Parameter, in func(field string) []any) {
	switch {
	case p.Takes == nil:
	case p.Type != "string" || p.Sensitive || p.Multiline || p.Default != nil || p.Pattern != "" || p.Min != nil || p.Max != nil:
		k.add(in("takes"), "leave the rest out", "%s takes an output, so it is a plain string without a default or limits", p.Name)
	case !idPattern.MatchString(p.Takes.Offering) || !namePattern.MatchString(p.Takes.Output):
		k.add(in("takes"), "name both", "%s takes the output %q of %q, which are no names", p.Name, p.Takes.Output, p.Takes.Offering)
	}
}

// roles checks that each role is played by a parameter that can.
func (k *checker) roles(o provision.Offering) {
	for _, role := range []struct{ field, parameter, kind string }{
		{"name", o.Roles.Name, "string"}, {"environment", o.Roles.Environment, "enum"},
		{"owner", o.Roles.Owner, "string"}, {"cost_center", o.Roles.CostCenter, "string"},
	} {
		p, ok := o.Parameter(role.parameter)
		switch {
		case !ok:
			k.add([]any{"roles", role.field}, "add the parameter, or name under roles the one that is",
				"the %s should be the parameter %s, which there is not", role.field, role.parameter)
		case p.Type != role.kind && p.Type != "enum":
			k.add([]any{"roles", role.field}, "change its type", "%s is the %s, so it cannot be of type %s", p.Name, role.field, p.Type)
		case !p.Required || p.Sensitive || p.Multiline || p.Takes != nil:
			k.add([]any{"roles", role.field}, "set required: true", "%s is the %s, so it must be required, plain and on one line", p.Name, role.field)
		}
	}
	if p, ok := o.Parameter(o.Roles.Name); ok && p.Type == "string" && p.Pattern == "" {
		k.add([]any{"roles", "name"}, `add one to it, such as pattern: "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"`, "%s names what is made, so it needs a pattern", p.Name)
	}
}

func (k *checker) rest(o provision.Offering) {
	seen := map[string]bool{}
	for i, out := range o.Outputs {
		if !namePattern.MatchString(out.Name) || seen[out.Name] {
			k.add([]any{"outputs", i, "name"}, "give each output a name of its own", "the output %q is not a name or is there twice", out.Name)
		}
		seen[out.Name] = true
	}
	presets := map[string]bool{}
	for i, p := range o.Presets {
		if !idPattern.MatchString(p.Name) || presets[p.Name] {
			k.add([]any{"presets", i, "name"}, "give each preset a name of its own", "the preset %q is not a name or is there twice", p.Name)
		}
		presets[p.Name] = true
	}
	if strings.TrimSpace(o.Cost.Formula) == "" {
		k.add([]any{"cost_estimate"}, "add a formula that sets total", "there is no formula, so nothing could be priced")
	}
	if o.Cost.MonthlyMin > o.Cost.MonthlyMax {
		k.add([]any{"cost_estimate", "monthly_min"}, "swap them", "monthly_min %s is above monthly_max %s", o.Cost.MonthlyMin, o.Cost.MonthlyMax)
	}
	if o.ApplyTimeout < time.Minute || o.ApplyTimeout > 24*time.Hour {
		k.add([]any{"timeouts", "apply"}, "choose between 1m and 24h", "an apply may not take %s", o.ApplyTimeout)
	}
	for _, limit := range []struct {
		name    string
		seconds int64
	}{{"default", o.Expiry.DefaultSeconds}, {"maximum", o.Expiry.MaximumSeconds}, {"grace", o.Expiry.GraceSeconds}} {
		if limit.seconds < 0 {
			k.add([]any{"expiry", limit.name}, "leave it out for none", "expiry has a negative %s", limit.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Preview.Set)) {
		if _, ok := o.Parameter(name); !ok {
			k.add([]any{"preview", "set", name}, "check its spelling", "preview sets %q, which is no parameter", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Preview.AtMost)) {
		if p, ok := o.Parameter(name); !ok || p.Type != "integer" {
			k.add([]any{"preview", "at_most", name}, "cap whole numbers alone", "preview caps %q, which is no whole number among the parameters", name)
		}
	}
	if most := o.Expiry.MaximumSeconds; most > 0 && o.Expiry.DefaultSeconds > most {
		k.add([]any{"expiry", "default"}, "lower it or raise the maximum", "the default lifetime is above the maximum")
	}
	if len(o.EscapeHatch) > 1000 {
		k.add([]any{"escape_hatch"}, "say the first step and link to the rest", "escape_hatch has %d characters; a form shows at most 1000", len(o.EscapeHatch))
	}
	if u, err := url.Parse(o.Docs); o.Docs != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		k.add([]any{"docs"}, "write the whole address", "docs is %q, which is no web address", o.Docs)
	}
	for i, s := range o.Steps {
		if strings.TrimSpace(s.Name) == "" || len(s.Name) > 60 {
			k.add([]any{"steps", i, "name"}, "give it a short name", "step %d has no name or one of over 60 characters", i+1)
		}
		if !slices.Contains([]string{"", "validate", "plan"}, s.Phase) || s.Phase != "" && len(s.Addresses) > 0 {
			k.add([]any{"steps", i}, "set phase to validate or plan, or list addresses", "step %d has an unknown phase, or a phase and addresses", i+1)
		}
	}
}

// checkPlain checks what the domain's types no longer show.
func checkPlain(c contract, root *yaml.Node) []Problem {
	k := &checker{root: root}
	for i, tags := range c.Tags {
		if len(tags) != 1 {
			k.add([]any{"tags", i}, "write each tag as - key: value", "tag %d is not one key with its value", i+1)
		}
	}
	return k.problems
}

// checkDefaults finds defaults that their own parameter would refuse.
func checkDefaults(o provision.Offering, root *yaml.Node) []Problem {
	k := &checker{root: root}
	validator, err := newValidator(withoutRequired(o))
	if err != nil {
		k.add([]any{"parameters"}, "mend the patterns", "the parameters make no valid schema: %v", err)
		return k.problems
	}
	for i, p := range o.Parameters {
		if p.Default == nil {
			continue
		}
		for _, f := range validator.faults(provision.Parameters{p.Name: p.Default}) {
			k.add([]any{"parameters", i, "default"}, "change the default or the limit", "the default breaks its own rule: %s", f.Message)
		}
	}
	return k.problems
}

// withoutRequired is o for checking a part of a request.
func withoutRequired(o provision.Offering) provision.Offering {
	o.Parameters = slices.Clone(o.Parameters)
	for i := range o.Parameters {
		o.Parameters[i].Required = false
	}
	// What cannot be encoded was refused with the whole schema already.
	o.Schema, _ = Schema(o)
	return o
}

// warningsOf are what is harmless to load and should be mended all the same.
func warningsOf(o provision.Offering, c contract, root *yaml.Node) []Problem {
	k := &checker{root: root}
	if len(o.Implementations) == 0 {
		k.add(nil, "add module/<implementation>/ with the Terraform", "there is no module, so it can be priced and judged but not made")
	}
	if len(c.Steps) == 0 {
		k.add(nil, "add steps with the addresses that belong to each", "there are no steps, so people see one step for all that is made")
	}
	if name, _ := o.Parameter(o.Roles.Name); name.Type == "string" {
		if re, err := regexp.Compile(name.Pattern); err == nil && (re.MatchString("aaaa-") || re.MatchString("aa--aa")) {
			k.add([]any{"parameters"}, "it may stay", "the pattern of %s allows a final or doubled hyphen, which Backstage drops; such names are refused", name.Name)
		}
	}
	for i, p := range o.Parameters {
		if p.Type != "enum" || !strings.Contains(o.Cost.Formula, p.Name+"_cost") {
			continue
		}
		if slices.ContainsFunc(p.Options, func(o provision.Option) bool { return o.MonthlyCost == nil }) {
			k.add([]any{"parameters", i, "options"}, "add monthly_cost to each option, or keep the book complete",
				"options of %s have no monthly_cost, so their prices come from the price book", p.Name)
		}
	}
	return k.problems
}

// list is names for a person: "a, b or c".
func list(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
	}
}
