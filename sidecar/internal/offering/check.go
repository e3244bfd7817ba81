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
	"strconv"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"

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
		case isText:
			if parameter, ok := v.offering.Parameter(name); ok && parameter.Takes != nil {
				environment, _ := p[v.offering.Roles.Environment].(string)
				final[name] = instanceRef(*parameter.Takes, environment, text)
			}
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

// instanceRef is the entity ref of an instance that is named by its name alone,
// which is one in the same environment; whatever else it is named by stays.
func instanceRef(takes provision.Taken, environment, text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if environment == "" || strings.ContainsAny(text, ":/.") || uuid.Validate(text) == nil {
		return text
	}
	return provision.EntityRef(environment, text, takes.Offering)
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
	_, exponent, scientific := strings.Cut(strings.ToLower(text), "e")
	if size, err := strconv.Atoi(exponent); scientific && (err != nil || size > 40 || size < -40) {
		return ""
	}
	if len(text) > 40 {
		return ""
	}
	return text
}

// absurd reports whether a value holds a number that no parameter is for and
// that neither the schema nor the database should have to read.
func absurd(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return shortNumber(v) == ""
	case float64:
		return math.IsNaN(v) || math.IsInf(v, 0)
	case map[string]any:
		for _, inner := range v {
			if absurd(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, absurd)
	}
	return false
}

// faults are all that is wrong, in the offering's order of parameters, then
// what no parameter is for.
func (v *validator) faults(p provision.Parameters) []provision.Fault {
	found := map[string][]provision.Fault{}
	add := func(name, path, format string, args ...any) {
		found[name] = append(found[name], provision.Fault{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	// A number such as 1e1000000 would cost the schema a tenth of a second each.
	sane := maps.Clone(p)
	for name, value := range p {
		if absurd(value) {
			add(name, "/"+pointer(name), "%s has a number beyond reason", name)
			delete(sane, name)
		}
		// Else the rules and the approvers would see that something is set, and not what.
		if _, sealed := provision.Sealed(value); sealed {
			add(name, "/"+pointer(name), "%s has the one member \"sealed\", which is how Roadbed keeps a secret; give it another name", name)
		}
	}
	beyond := maps.Clone(found)
	var invalid *jsonschema.ValidationError
	err := v.schema.Validate(map[string]any(sane))
	if errors.As(err, &invalid) {
		v.explain(invalid, p, func(name, path, format string, args ...any) {
			if beyond[name] == nil {
				add(name, path, format, args...)
			}
		})
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
	if p.Takes != nil {
		_, _, of, ok := provision.ParseEntityRef(text)
		if uuid.Validate(text) != nil && (!ok || of != p.Takes.Offering) {
			add(p.Name, path, "%s is %s, which names no %s; give one such as resource:dev/orders.%s", p.Name, quote(text), p.Takes.Offering, p.Takes.Offering)
		}
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
