package offering

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// groupPattern is what Backstage takes as a group's name.
var groupPattern = regexp.MustCompile(`^[a-z0-9]+([-_.][a-z0-9]+)*$`)

// maxEntityName is Backstage's limit for an entity's name; an instance's is
// "<name>.<offering>".
const maxEntityName = 63

// validator checks parameters against one offering. It is immutable.
type validator struct {
	offering provision.Offering
	schema   *jsonschema.Schema
}

func newValidator(o provision.Offering) (*validator, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(o.Schema))
	if err != nil {
		return nil, fmt.Errorf("read the schema of %s: %w", o.ID, err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("parameters.json", document); err != nil {
		return nil, fmt.Errorf("read the schema of %s: %w", o.ID, err)
	}
	schema, err := compiler.Compile("parameters.json")
	if err != nil {
		return nil, fmt.Errorf("compile the schema of %s: %w", o.ID, err)
	}
	return &validator{offering: o, schema: schema}, nil
}

// check is Catalog.Check for one offering.
func (v *validator) check(p provision.Parameters) (provision.Parameters, error) {
	final := v.normalise(p)
	if faults := v.faults(final); len(faults) > 0 {
		messages := make([]string, len(faults))
		for i, f := range faults {
			messages[i] = f.Message
		}
		err := provision.Errorf(provision.Invalid, "%s", strings.Join(messages, "; "))
		err.Details = faults
		return nil, err
	}
	for _, p := range v.offering.Parameters {
		if _, set := final[p.Name]; !set && p.Default != nil {
			final[p.Name] = clone(p.Default)
		}
	}
	return final, nil
}

// normalise gives equal meanings equal values: whole numbers are int64, an
// owner is its short name, and what is null is absent.
func (v *validator) normalise(p provision.Parameters) provision.Parameters {
	final := make(provision.Parameters, len(p))
	for name, value := range p {
		if value == nil {
			continue
		}
		final[name] = clone(value)
		switch text, isText := value.(string); {
		case isText && name == v.offering.Roles.Owner:
			final[name] = shortOwner(text)
		case isText && name == v.offering.Roles.CostCenter:
			final[name] = strings.TrimSpace(text)
		}
	}
	return final
}

// shortOwner is the name of a group of the default namespace, else the text in
// lower case.
func shortOwner(text string) string {
	owner := strings.ToLower(strings.TrimSpace(text))
	owner = strings.TrimPrefix(owner, "group:")
	return strings.TrimPrefix(owner, "default/")
}

// clone copies maps and makes whole numbers int64, at every depth.
func clone(value any) any {
	switch v := value.(type) {
	case int:
		return int64(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return int64(v)
		}
	case json.Number:
		if r, ok := new(big.Rat).SetString(shortNumber(v)); ok && r.IsInt() && r.Num().IsInt64() {
			return r.Num().Int64()
		}
	case map[string]any:
		copied := make(map[string]any, len(v))
		for key, inner := range v {
			copied[key] = clone(inner)
		}
		return copied
	}
	return value
}

// shortNumber is a number's text unless it is absurdly long or large: 1e999999
// would take all memory as an integer.
func shortNumber(n json.Number) string {
	text := n.String()
	f, ok := new(big.Float).SetString(text)
	if len(text) > 40 || !ok || f.MantExp(nil) > 64 || f.MantExp(nil) < -256 {
		return ""
	}
	return text
}

// faults are all that is wrong, in the offering's order of parameters, then
// what no parameter is for.
func (v *validator) faults(p provision.Parameters) []provision.Fault {
	found := map[string][]provision.Fault{}
	add := func(name, path, format string, args ...any) {
		found[name] = append(found[name], provision.Fault{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	var invalid *jsonschema.ValidationError
	err := v.schema.Validate(map[string]any(p))
	if errors.As(err, &invalid) {
		v.explain(invalid, p, add)
	} else if err != nil {
		add("", "", "the parameters cannot be read: %v", err)
	}
	for _, parameter := range v.offering.Parameters {
		if text, ok := p[parameter.Name].(string); ok && len(found[parameter.Name]) == 0 {
			v.text(parameter, text, add)
		}
	}
	var faults []provision.Fault
	for _, parameter := range v.offering.Parameters {
		faults = append(faults, found[parameter.Name]...)
		delete(found, parameter.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		faults = append(faults, found[name]...)
	}
	return faults
}

type addFault = func(name, path, format string, args ...any)

// text checks what a schema says badly: lines, owners and names.
func (v *validator) text(p provision.Parameter, text string, add addFault) {
	path := "/" + p.Name
	control := func(r rune) bool {
		return unicode.IsControl(r) && !(p.Multiline && (r == '\n' || r == '\r' || r == '\t'))
	}
	if strings.ContainsFunc(text, control) {
		add(p.Name, path, "%s has line breaks or control characters; write it on one line", p.Name)
		return
	}
	switch p.Name {
	case v.offering.Roles.Owner:
		// An empty owner is for the guardrails to refuse, with their reason.
		if text != "" && (!groupPattern.MatchString(text) || len(text) > maxEntityName) {
			add(p.Name, path, "%s is %s, which is not the name of a group; give one such as payments or group:default/payments", p.Name, quote(text))
		}
	case v.offering.Roles.Name:
		if most := maxEntityName - 1 - len(v.offering.ID); len(text) > most {
			add(p.Name, path, "%s is %d characters long; with %s behind it Backstage takes %d", p.Name, len(text), v.offering.ID, most)
		}
	}
}

// explain turns the schema's leaves into sentences.
func (v *validator) explain(e *jsonschema.ValidationError, p provision.Parameters, add addFault) {
	_, not := e.ErrorKind.(*kind.Not)
	_, key := e.ErrorKind.(*kind.PropertyNames)
	if len(e.Causes) > 0 && !not && !key {
		for _, cause := range e.Causes {
			v.explain(cause, p, add)
		}
		return
	}
	if required, ok := e.ErrorKind.(*kind.Required); ok && len(e.InstanceLocation) == 0 {
		for _, name := range required.Missing {
			parameter, _ := v.offering.Parameter(name)
			add(name, "/"+name, "%s is required%s", name, hint(parameter))
		}
		return
	}
	if extra, ok := e.ErrorKind.(*kind.AdditionalProperties); ok && len(e.InstanceLocation) == 0 {
		for _, name := range extra.Properties {
			add(name, "/"+pointer(name), "%s has no parameter %s; it has %s", v.offering.ID, quote(name), strings.Join(v.names(), ", "))
		}
		return
	}
	if len(e.InstanceLocation) == 0 {
		add("", "", "the parameters must be an object")
		return
	}
	name := e.InstanceLocation[0]
	parameter, _ := v.offering.Parameter(name)
	path := ""
	for _, part := range e.InstanceLocation {
		path += "/" + pointer(part)
	}
	add(name, path, "%s", sentence(parameter, e, p[name]))
}

func (v *validator) names() []string {
	names := make([]string, len(v.offering.Parameters))
	for i, p := range v.offering.Parameters {
		names[i] = p.Name
	}
	return names
}

// sentence names the field, the limit and the way out.
func sentence(p provision.Parameter, e *jsonschema.ValidationError, value any) string {
	shown := quote(value)
	if p.Sensitive {
		shown = "not shown"
	}
	if p.Type == "map" && len(e.InstanceLocation) > 1 {
		return fmt.Sprintf("%s: the value of %s must be a text of at most %d characters, a number, true or false", p.Name, quote(e.InstanceLocation[1]), maxMapValue)
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return fmt.Sprintf("%s is %s; it must be %s", p.Name, shown, describe(p))
	case *kind.Enum:
		return fmt.Sprintf("%s is %s; choose %s", p.Name, shown, list(values(p)))
	case *kind.Pattern:
		if p.Type == "map" {
			break
		}
		return fmt.Sprintf("%s is %s; it must match %s%s", p.Name, shown, k.Want, hint(p))
	case *kind.Not:
		return fmt.Sprintf("%s is %s; a name cannot end in a hyphen or hold two in a row, because Backstage would drop it: remove the hyphen", p.Name, shown)
	case *kind.Minimum:
		return fmt.Sprintf("%s is %s; the least is %s", p.Name, shown, k.Want.RatString())
	case *kind.Maximum:
		return fmt.Sprintf("%s is %s; the most is %s", p.Name, shown, k.Want.RatString())
	case *kind.MinLength:
		return fmt.Sprintf("%s has %d characters; the least is %d", p.Name, k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("%s has %d characters; the most is %d", p.Name, k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("%s has %d entries; the most is %d", p.Name, k.Got, k.Want)
	case *kind.PropertyNames:
		return fmt.Sprintf("%s has the key %s; a key is a letter, then at most 62 letters, digits, dots, hyphens and underscores", p.Name, quote(k.Property))
	}
	return fmt.Sprintf("%s must be %s", p.Name, describe(p))
}

func describe(p provision.Parameter) string {
	switch p.Type {
	case "integer":
		if p.Min != nil && p.Max != nil {
			return fmt.Sprintf("a whole number from %d to %d", *p.Min, *p.Max)
		}
		return "a whole number"
	case "boolean":
		return "true or false"
	case "enum":
		return list(values(p))
	case "map":
		return "an object of texts, numbers and booleans"
	default:
		return "a text"
	}
}

func values(p provision.Parameter) []string {
	values := make([]string, len(p.Options))
	for i, o := range p.Options {
		values[i] = o.Value
	}
	return values
}

func hint(p provision.Parameter) string {
	switch {
	case p.Type == "enum":
		return ": choose " + list(values(p))
	case p.Description != "":
		return ": " + p.Description
	default:
		return ""
	}
}

// quote shows a value, cut so that a message stays one.
func quote(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "unreadable"
	}
	if runes := []rune(string(text)); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return string(text)
}

func pointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
