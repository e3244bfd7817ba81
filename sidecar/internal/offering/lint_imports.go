package offering

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-config-inspect/tfconfig"
)

// imports name resources of the module, each once, and what the id of each is.
func (l *linter) imports(implementation string, module *tfconfig.Module) {
	rule, can := l.loaded.Offering.Import[implementation]
	if !can {
		return
	}
	at := []any{"implementations", implementation, "import"}
	if len(rule.Of) == 0 {
		l.add(at, "name what must be there under of", "%s imports nothing", implementation)
	}
	for _, address := range append(slices.Sorted(maps.Keys(rule.Of)), rule.Makes...) {
		if _, ok := module.ManagedResources[baseAddress(address)]; !ok {
			l.add(at, "correct or remove it", "the import of %s names %s, which is not in its module", implementation, address)
		}
	}
	for address, id := range rule.Of {
		if strings.TrimSpace(id) == "" {
			l.add(at, "say what its id is", "the import of %s does not say what the id of %s is", implementation, address)
		}
		if slices.Contains(rule.Makes, address) {
			l.add(at, "remove it from one", "the import of %s takes %s over and makes it", implementation, address)
		}
	}
}
