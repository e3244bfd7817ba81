package offering

import (
	"slices"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// taken outputs must be promised by an offering beside this one.
func (l *linter) taken() {
	for i, p := range l.loaded.Offering.Parameters {
		if p.Takes == nil {
			continue
		}
		at := []any{"parameters", i, "takes"}
		of, _, err := Load(l.fsys, p.Takes.Offering)
		switch {
		case provision.KindOf(err) == provision.NotFound && err != nil:
			l.add(at, "name an offering's folder", "%s takes an output of %s, and there is no such offering", p.Name, p.Takes.Offering)
		case err != nil: // its own lint says what is wrong there
		case !slices.ContainsFunc(of.Offering.Outputs, func(o provision.Output) bool { return o.Name == p.Takes.Output }):
			l.add(at, "name one of its outputs", "%s takes the output %s, which %s does not promise", p.Name, p.Takes.Output, p.Takes.Offering)
		}
	}
}
