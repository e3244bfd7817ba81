package offering

import (
	"encoding/json"
	"fmt"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Lengths of strings that set no max of their own, and the bounds of maps.
const (
	maxLine     = 200
	maxText     = 10_000
	maxMapKeys  = 50
	maxMapKey   = 63
	maxMapValue = 1024
	maxInteger  = 1<<53 - 1                   // what JavaScript reads exactly
	keyPattern  = `^[A-Za-z][A-Za-z0-9_.-]*$` // of a map that sets no pattern
)

// notDropped refuses the names that Backstage would drop.
const notDropped = `--|-$`

// Schema is the JSON Schema (2020-12) of an offering's parameters, which every
// way in validates with. Equal offerings have equal bytes.
func Schema(o provision.Offering) (json.RawMessage, error) {
	properties, required := map[string]any{}, []string{}
	for _, p := range o.Parameters {
		properties[p.Name] = property(o, p)
		if p.Required {
			required = append(required, p.Name)
		}
	}
	schema, err := json.Marshal(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                o.Name,
		"description":          o.Description,
		"type":                 "object",
		"properties":           properties,
		"required":             required,
		"additionalProperties": false,
	})
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return schema, nil
}

func property(o provision.Offering, p provision.Parameter) map[string]any {
	s := map[string]any{"title": p.Title}
	set := func(key string, value any, when bool) {
		if when {
			s[key] = value
		}
	}
	set("description", p.Description, p.Description != "")
	set("default", p.Default, p.Default != nil)
	set("writeOnly", true, p.Sensitive)
	switch p.Type {
	case "enum":
		values := make([]string, len(p.Options))
		for i, option := range p.Options {
			values[i] = option.Value
		}
		s["type"], s["enum"] = "string", values
	case "string":
		s["type"], s["maxLength"] = "string", longest(p)
		if p.Min != nil {
			s["minLength"] = *p.Min
		}
		set("pattern", p.Pattern, p.Pattern != "")
		set("not", map[string]any{"pattern": notDropped}, p.Name == o.Roles.Name)
	case "integer":
		s["type"], s["minimum"], s["maximum"] = "integer", -maxInteger, maxInteger
		if p.Min != nil {
			s["minimum"] = *p.Min
		}
		if p.Max != nil {
			s["maximum"] = *p.Max
		}
	case "boolean":
		s["type"] = "boolean"
	case "map":
		s["type"], s["maxProperties"] = "object", maxMapKeys
		s["propertyNames"] = map[string]any{"pattern": or(p.Pattern, keyPattern), "maxLength": maxMapKey}
		s["additionalProperties"] = map[string]any{"type": []string{"string", "number", "boolean"}, "maxLength": maxMapValue}
	}
	return s
}

func longest(p provision.Parameter) int64 {
	switch {
	case p.Max != nil:
		return *p.Max
	case p.Multiline:
		return maxText
	default:
		return maxLine
	}
}
