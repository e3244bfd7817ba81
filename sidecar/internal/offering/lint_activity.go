package offering

import (
	"slices"
	"strings"

	"github.com/hashicorp/terraform-config-inspect/tfconfig"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// activity must be complete and have its arguments from outputs of the module.
func (l *linter) activity(implementation string, module *tfconfig.Module) {
	rule, measured := l.loaded.Offering.Activity[implementation]
	if !measured {
		return
	}
	at := func(field string) []any { return []any{"implementations", implementation, "activity", field} }
	if !slices.Contains([]string{"sql", "prometheus", "cloudwatch"}, rule.Kind) {
		l.add(at("kind"), "write sql, prometheus or cloudwatch", "the activity of %s is measured by %q", implementation, rule.Kind)
	}
	needed := map[string]string{"query": rule.Query, "counts": rule.Counts}
	if rule.Kind == "cloudwatch" {
		if _, err := provision.ParseMetric(rule.Query); err != nil && rule.Query != "" {
			l.add(at("query"), "correct it", "the activity of %s cannot be measured: %v", implementation, err)
		}
	} else {
		needed["connection"] = rule.Connection
	}
	for field, text := range needed {
		if strings.TrimSpace(text) == "" {
			l.add(at(field), "write one", "the activity of %s has no %s", implementation, field)
		}
	}
	if rule.Kind == "prometheus" && rule.Below == nil {
		l.add(at("below"), "say below which average it counts as unused", "the activity of %s has no below", implementation)
	}
	for i, argument := range rule.Arguments {
		name, _, _ := strings.Cut(argument, ".")
		if _, is := module.Outputs[name]; !is {
			l.add(append(at("arguments"), i), "name an output", "the activity of %s takes %s, which is no output of its module", implementation, argument)
		}
	}
}
