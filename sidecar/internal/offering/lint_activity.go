package offering

import (
	"slices"
	"strings"

	"github.com/hashicorp/terraform-config-inspect/tfconfig"
)

// activity must be complete and have its arguments from outputs of the module.
func (l *linter) activity(implementation string, module *tfconfig.Module) {
	rule, measured := l.loaded.Offering.Activity[implementation]
	if !measured {
		return
	}
	at := func(field string) []any { return []any{"implementations", implementation, "activity", field} }
	if !slices.Contains([]string{"sql", "prometheus"}, rule.Kind) {
		l.add(at("kind"), "write sql or prometheus", "the activity of %s is measured by %q", implementation, rule.Kind)
	}
	for field, text := range map[string]string{"connection": rule.Connection, "query": rule.Query, "counts": rule.Counts} {
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
