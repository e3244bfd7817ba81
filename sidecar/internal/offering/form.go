package offering

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// formOwner is who the Create page names as the owner of every form.
const formOwner = "group:default/platform-team"

// mapping is a YAML mapping that keeps its order.
type mapping []entry

type entry struct {
	key   string
	value any
}

// MarshalYAML writes the entries in their order.
func (m mapping) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range m {
		var key, value yaml.Node
		if err := key.Encode(e.key); err != nil {
			return nil, err
		}
		if err := value.Encode(e.value); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, &key, &value)
	}
	return node, nil
}

// Template is the offering's Backstage form, template.yaml: a page of the basic
// parameters, one of the advanced and, when there are some, one of the expert.
// The form asks and shows; what is allowed is decided when it is submitted.
func Template(o provision.Offering) ([]byte, error) {
	var pages []any
	for _, page := range []struct{ level, title, description string }{
		{"basic", "What you need", ""},
		{"advanced", "Options", "Each has a sensible default; leave what you do not need to change."},
		{"expert", "Expert", "Handed to the module as it is written."},
	} {
		if p := formPage(o, page.level, page.title, page.description); p != nil {
			pages = append(pages, p)
		}
	}
	metadata := mapping{
		{"name", o.ID},
		{"title", o.Name},
		{"description", o.Description},
		{"annotations", mapping{{"roadbed.dev/offering", o.ID}, {"roadbed.dev/version", o.Version}}},
		{"tags", formTags(o)},
	}
	if o.Docs != "" {
		metadata = append(metadata, entry{"links", []any{mapping{{"url", o.Docs}, {"title", "Documentation"}, {"icon", "docs"}}}})
	}
	template := mapping{
		{"apiVersion", "scaffolder.backstage.io/v1beta3"},
		{"kind", "Template"},
		{"metadata", metadata},
		{"spec", mapping{
			{"owner", formOwner},
			{"type", o.Category},
			{"presentation", mapping{{"buttonLabels", mapping{{"createButtonText", "Request"}}}}},
			{"parameters", pages},
			{"steps", []any{mapping{
				{"id", "request"},
				{"name", "Request " + o.Name},
				{"action", "roadbed:request"},
				{"input", formInput(o)},
			}}},
			{"output", mapping{
				{"links", []any{
					mapping{{"title", "Follow the request"}, {"icon", "dashboard"}, {"url", "${{ steps.request.output.requestUrl }}"}},
					mapping{{"title", "Open in the catalog"}, {"icon", "catalog"}, {"entityRef", "${{ steps.request.output.entityRef }}"}},
				}},
				{"text", []any{mapping{
					{"title", "What happens next"},
					{"content", fmt.Sprintf("**${{ parameters.%s }}** was asked for and is being made in ${{ parameters.%s }}. "+
						"Follow the request to see each step and, at the end, its results. "+
						"You can close this page: nothing depends on it.\n", o.Roles.Name, o.Roles.Environment)},
				}}},
			}},
		}},
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Made from %s by `make generate`. Change that file, not this one.\n", contractFile)
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(template); err != nil {
		return nil, fmt.Errorf("write the form of %s: %w", o.ID, err)
	}
	return text.Bytes(), nil
}

// formInput is what the action is given. Backstage keeps the fields of kind
// Secret apart from the parameters, so that no task stores them.
func formInput(o provision.Offering) mapping {
	secrets := mapping{}
	for _, p := range o.Parameters {
		if p.Sensitive {
			secrets = append(secrets, entry{p.Name, "${{ secrets." + p.Name + " }}"})
		}
	}
	input := mapping{{"offering", o.ID}, {"parameters", "${{ parameters }}"}}
	if len(secrets) > 0 {
		input = append(input, entry{"secrets", secrets})
	}
	return input
}

func formPage(o provision.Offering, level, title, description string) any {
	properties, required := mapping{}, []string{}
	for _, p := range o.Parameters {
		if p.Level != level {
			continue
		}
		properties = append(properties, entry{p.Name, formField(o, p)})
		if p.Required {
			required = append(required, p.Name)
		}
	}
	if len(properties) == 0 {
		return nil
	}
	page := mapping{{"title", title}}
	if description != "" {
		page = append(page, entry{"description", description})
	}
	if len(required) > 0 {
		page = append(page, entry{"required", required})
	}
	return append(page, entry{"properties", properties})
}

// formField says no more than the schema does, in the words that Backstage's
// form library reads.
func formField(o provision.Offering, p provision.Parameter) mapping {
	field := mapping{{"title", p.Title}}
	set := func(key string, value any, when bool) {
		if when {
			field = append(field, entry{key, value})
		}
	}
	set("description", p.Description, p.Description != "")
	switch p.Type {
	case "enum":
		labels := make([]string, len(p.Options))
		for i, option := range p.Options {
			labels[i] = option.Label
		}
		set("type", "string", true)
		set("enum", values(p), true)
		// Backstage's form library reads the first, newer ones the second.
		set("enumNames", labels, !slices.Equal(labels, values(p)))
		set("ui:enumNames", labels, !slices.Equal(labels, values(p)))
	case "string":
		set("type", "string", true)
		set("pattern", p.Pattern, p.Pattern != "")
		if p.Min != nil {
			set("minLength", *p.Min, true)
		}
		set("maxLength", longest(p), true)
	case "integer":
		set("type", "integer", true)
		if p.Min != nil {
			set("minimum", *p.Min, true)
		}
		if p.Max != nil {
			set("maximum", *p.Max, true)
		}
	case "boolean":
		set("type", "boolean", true)
	case "map":
		set("type", "object", true)
		set("additionalProperties", mapping{{"type", "string"}}, true)
	}
	set("default", p.Default, p.Default != nil && p.Default != "")
	set("ui:placeholder", p.Placeholder, p.Placeholder != "")
	switch {
	case p.Name == o.Roles.Owner:
		set("ui:field", "MyGroupsPicker", true)
	case p.Sensitive:
		set("ui:field", "Secret", true)
	case p.Multiline:
		set("ui:widget", "textarea", true)
		set("ui:options", mapping{{"rows", 5}}, true)
	case p.Type == "boolean":
		set("ui:widget", "checkbox", true)
	}
	set("ui:autofocus", true, p.Name == o.Roles.Name)
	return field
}

var notInTag = regexp.MustCompile(`[^a-z0-9]+`)

// formTags are the category and the offering's tags, as Backstage takes tags.
func formTags(o provision.Offering) []string {
	tags := []string{o.Category}
	for _, key := range slices.Sorted(maps.Keys(o.Tags)) {
		if key != "managed-by" {
			tags = append(tags, o.Tags[key])
		}
	}
	for i, tag := range tags {
		tags[i] = strings.Trim(notInTag.ReplaceAllString(strings.ToLower(tag), "-"), "-")
	}
	tags = slices.DeleteFunc(tags, func(tag string) bool { return tag == "" || len(tag) > 63 })
	slices.Sort(tags)
	return slices.Compact(tags)
}
