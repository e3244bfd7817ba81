package offering

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

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
	at := e.InstanceLocation
	if key {
		// The library overwrites this kind's location with later ones; where the
		// rule stands is right.
		_, rule, _ := strings.Cut(e.SchemaURL, "#/properties/")
		at = strings.Split(rule, "/")[:1]
	}
	if len(at) == 0 {
		add("", "", "the parameters must be an object")
		return
	}
	name := at[0]
	parameter, _ := v.offering.Parameter(name)
	path := ""
	for _, part := range at {
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
		return fmt.Sprintf("%s has the key %s; a key must match %s and have at most %d characters", p.Name, quote(k.Property), or(p.Pattern, keyPattern), maxMapKey)
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
