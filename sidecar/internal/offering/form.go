package offering

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// formOwner is who the Create page names as the owner of every form.
const formOwner = "group:default/platform-team"

// escapeHatch is what to do when an offering that says nothing of its own does
// not fit.
const escapeHatch = "Ask the platform team (" + formOwner + "). A rule that is in the way can be lifted for a while by an exemption."

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
	template := mapping{
		{"apiVersion", "scaffolder.backstage.io/v1beta3"},
		{"kind", "Template"},
		{"metadata", formMetadata(o)},
		{"spec", mapping{
			{"owner", formOwner},
			{"type", o.Category},
			{"presentation", mapping{{"buttonLabels", mapping{{"createButtonText", "Request"}}}}},
			{"parameters", formPages(o)},
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

func formMetadata(o provision.Offering) mapping {
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
	return metadata
}

// formInput is what the action is given: the offering's parameters by name, for
// the form has fields that are none. What is not filled in is left out when the
// task runs. Backstage keeps the fields of kind Secret apart from the
// parameters, so that no task stores them.
func formInput(o provision.Offering) mapping {
	parameters, secrets := mapping{}, mapping{}
	for _, p := range o.Parameters {
		if p.Sensitive {
			secrets = append(secrets, entry{p.Name, "${{ secrets." + p.Name + " }}"})
		} else {
			parameters = append(parameters, entry{p.Name, "${{ parameters." + p.Name + " }}"})
		}
	}
	input := mapping{{"offering", o.ID}, {"parameters", parameters}}
	if values, _ := lifetimes(o); len(values) > 0 {
		input = append(input, entry{"expiresIn", "${{ parameters." + expiryField + " }}"})
	}
	if len(secrets) > 0 {
		input = append(input, entry{"secrets", secrets})
	}
	return input
}

// The fields that Roadbed adds to a form. But for the last they have no value, and
// a portal without Roadbed's frontend shows nothing there. No parameter can have
// their names.
const (
	presetsField = "roadbedPresets"
	verdictField = "roadbedVerdict"
	expiryField  = "roadbedExpiresIn"
)

// choices are how long something may be asked for in a form.
var choices = []struct {
	value, label string
	lasts        time.Duration
}{
	{"4h", "4 hours", 4 * time.Hour},
	{"24h", "A day", 24 * time.Hour},
	{"3d", "3 days", 3 * 24 * time.Hour},
	{"7d", "A week", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour},
}

// lifetimes are those of choices that the offering allows; none where it says
// nothing of how long its instances live.
func lifetimes(o provision.Offering) (values, labels []string) {
	most := time.Duration(o.Expiry.MaximumSeconds) * time.Second
	if o.Expiry == (provision.ExpiryRules{}) {
		return nil, nil
	}
	for _, c := range choices {
		if most == 0 || c.lasts <= most {
			values, labels = append(values, c.value), append(labels, c.label)
		}
	}
	return values, labels
}

// lifetimeField asks how long something lives.
func lifetimeField(o provision.Offering, values, labels []string) mapping {
	otherwise := "Without a choice it lives until somebody destroys it."
	if d := o.Expiry.DefaultSeconds; d > 0 {
		otherwise = "Without a choice it lives " + provision.LifetimeText(time.Duration(d)*time.Second) + "."
	}
	return mapping{
		{"title", "Ends after"},
		{"description", "Then it is destroyed; you are told before, and may extend it. " + otherwise},
		{"type", "string"},
		{"enum", values},
		{"enumNames", labels},
		{"ui:enumNames", labels},
	}
}

// formLevel is a page of a form.
type formLevel struct{ name, title, description string }

var formLevels = []formLevel{
	{"basic", "What you need", ""},
	{"advanced", "Options", "Each has a sensible default; leave what you do not need to change."},
	{"expert", "Expert", "Handed to the module as it is written."},
}

func (l formLevel) page(required []string) mapping {
	page := mapping{{"title", l.title}}
	if l.description != "" {
		page = append(page, entry{"description", l.description})
	}
	if len(required) > 0 {
		page = append(page, entry{"required", required})
	}
	return page
}

// formPages are the pages that have parameters, by level. The first offers the
// presets, each ends with the price and the verdict, and the last one is not
// left while policy does not allow what it asks for.
func formPages(o provision.Offering) []any {
	var pages []mapping
	var properties []mapping
	for _, level := range formLevels {
		fields, required := formFields(o, level.name, ourLink)
		if len(fields) == 0 {
			continue
		}
		page := level.page(required)
		// The page as a whole is a field of ours, so that a click can set several.
		page = append(page, entry{"ui:field", "RoadbedPage"}, entry{"ui:options", mapping{{"offering", o.ID}}})
		pages, properties = append(pages, page), append(properties, fields)
	}
	var form []any
	for i, page := range pages {
		if i == len(pages)-1 {
			page = page.described("Does this not fit? " + o.EscapeHatch)
		}
		if i == 0 && len(o.Presets) > 0 {
			properties[i] = append(properties[i], entry{presetsField, addedField("Presets", "RoadbedPresets")})
		}
		if values, labels := lifetimes(o); i == min(1, len(pages)-1) && len(values) > 0 {
			properties[i] = append(properties[i], entry{expiryField, lifetimeField(o, values, labels)})
		}
		options := mapping{{"offering", o.ID}}
		if i == len(pages)-1 {
			options = append(options, entry{"final", true})
		}
		verdict := addedField("Price and policy", "RoadbedVerdict")
		// The field shows the reasons itself; they need not stand below it as well.
		verdict = append(verdict, entry{"ui:hideError", true}, entry{"ui:options", options})
		properties[i] = append(properties[i], entry{verdictField, verdict})
		form = append(form, append(page, entry{"properties", properties[i]}))
	}
	return form
}

// described is a page with a text after its description.
func (m mapping) described(text string) mapping {
	for i, e := range m {
		if e.key == "description" {
			page := slices.Clone(m)
			page[i].value = fmt.Sprintf("%v %s", e.value, text)
			return page
		}
	}
	return slices.Insert(slices.Clone(m), 1, entry{"description", text}) // after the title
}

// link is how a form picks what a parameter takes from.
type link func(provision.Taken) mapping

// ourLink picks in the environment that the form asks for.
func ourLink(t provision.Taken) mapping {
	return mapping{{"ui:field", "RoadbedLink"}, {"ui:options", mapping{{"offering", t.Offering}}}}
}

// formFields are the parameters of one level as fields, and the names of those
// that must be filled in.
func formFields(o provision.Offering, level string, pick link) (fields mapping, required []string) {
	for _, p := range o.Parameters {
		if p.Level != level {
			continue
		}
		fields = append(fields, entry{p.Name, formField(o, p, pick)})
		if p.Required {
			required = append(required, p.Name)
		}
	}
	return fields, required
}

func addedField(title, field string) mapping {
	return mapping{
		{"title", title},
		{"type", "null"},
		{"ui:field", field},
		{"ui:backstage", mapping{{"review", mapping{{"show", false}}}}},
	}
}

// formField says no more than the schema does, in the words that Backstage's
// form library reads.
func formField(o provision.Offering, p provision.Parameter, pick link) mapping {
	field := mapping{{"title", p.Title}}
	set := func(key string, value any, when bool) {
		if when {
			field = append(field, entry{key, value})
		}
	}
	// Backstage's checkbox shows a description above itself and below; a help text stands once.
	set("description", p.Description, p.Description != "" && p.Type != "boolean")
	set("ui:help", p.Description, p.Description != "" && p.Type == "boolean")
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
	case p.Takes != nil:
		field = append(field, pick(*p.Takes)...)
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
