package offering

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// PlainTemplate is the offering's form for a Backstage that has none of our
// plugins: the fields alone, and steps by the actions protocol. Price and
// verdict are on the task's page. A denied task is red, its reasons in the log
// of the step before the last.
func PlainTemplate(o provision.Offering) ([]byte, error) {
	input := append(formInput(o), entry{"requestKey", "${{ context.task.id }}"})
	template := mapping{
		{"apiVersion", "scaffolder.backstage.io/v1beta3"},
		{"kind", "Template"},
		{"metadata", formMetadata(o)},
		{"spec", mapping{
			{"owner", formOwner},
			{"type", o.Category},
			{"parameters", plainPages(o)},
			{"steps", []any{
				mapping{{"id", "request"}, {"name", "Request " + o.Name}, {"action", "roadbed:submit"}, {"input", input}},
				mapping{{"id", "decision"}, {"name", "What was decided"}, {"action", "debug:log"}, {"input", mapping{{"message", "${{ steps.request.output.text }}"}}}},
				mapping{{"id", "accepted"}, {"name", "It was accepted"}, {"action", "roadbed:expect-accepted"}, {"input", mapping{
					{"accepted", "${{ steps.request.output.accepted }}"}, {"text", "${{ steps.request.output.text }}"},
				}}},
			}},
			{"output", mapping{
				{"links", []any{mapping{{"title", "Open in the catalog"}, {"icon", "catalog"}, {"entityRef", "${{ steps.request.output.entityRef }}"}}}},
				{"text", []any{mapping{{"title", "What was decided"}, {"content", "${{ steps.request.output.text }}"}}}},
			}},
		}},
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(template); err != nil {
		return nil, fmt.Errorf("write the plain form of %s: %w", o.ID, err)
	}
	return text.Bytes(), nil
}

// plainLink picks among those of every environment, as far as the catalog knows them.
func plainLink(t provision.Taken) mapping {
	return mapping{{"ui:field", "EntityPicker"}, {"ui:options", mapping{{"catalogFilter", []any{mapping{
		{"kind", "Resource"}, {"spec.type", t.Offering}, {"metadata.annotations.roadbed.dev/phase", string(provision.Ready)},
	}}}}}}
}

// plainPages are the pages that have parameters, by level.
func plainPages(o provision.Offering) []mapping {
	var pages []mapping
	for _, level := range formLevels {
		if fields, required := formFields(o, level.name, plainLink); len(fields) > 0 {
			pages = append(pages, append(level.page(required), entry{"properties", fields}))
		}
	}
	last := len(pages) - 1
	pages[last] = pages[last].described("Does this not fit? " + o.EscapeHatch)
	return pages
}
