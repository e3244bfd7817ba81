package provision

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// DifferenceKind is in what way something is not as it was asked for.
type DifferenceKind string

// The kinds of difference.
const (
	DriftChanged  DifferenceKind = "changed"  // somebody or something changed it outside of Roadbed
	DriftMissing  DifferenceKind = "missing"  // it is gone
	DriftOutdated DifferenceKind = "outdated" // nobody touched it: what it is made from has changed, such as the environment's settings or an output that it takes
)

// Difference is one thing that is not as it was asked for. Its values hold no
// secret: a sensitive attribute is a difference without a name.
type Difference struct {
	Address   string         `json:"address"` // of the Terraform resource
	Type      string         `json:"type"`
	Kind      DifferenceKind `json:"kind"`
	Attribute string         `json:"attribute,omitempty"` // dotted path; "" when the whole resource, or what must not be shown
	Expected  any            `json:"expected"`            // what was asked for; nil when nothing was
	Actual    any            `json:"actual"`
	Parameter string         `json:"parameter,omitempty"` // whose value the attribute is, "<parameter>" or "<parameter>.<member>"; "" when of none alone
	Upstream  string         `json:"upstream,omitempty"`  // of what is outdated: the entity whose output has changed
	Output    string         `json:"output,omitempty"`    // that output
	Cause     string         `json:"cause"`               // the same for the same change to other instances
}

// Title says the difference in a few words.
func (d Difference) Title() string {
	switch {
	case d.Kind == DriftMissing:
		return d.Address + " is gone"
	case d.Attribute == "":
		return d.Address + " has changed in what is not shown"
	case d.Upstream != "":
		return fmt.Sprintf("%s of %s follows %s of %s, which has changed", d.Attribute, d.Address, d.Output, d.Upstream)
	case d.Kind == DriftOutdated:
		return fmt.Sprintf("%s of %s would become %s now", d.Attribute, d.Address, spokenValue(d.Expected))
	}
	return fmt.Sprintf("%s of %s is %s", d.Attribute, d.Address, spokenValue(d.Actual))
}

// longestValue is how long a value of a difference may be as JSON, in bytes.
const longestValue = 2000

// Differences are what a plan of the unchanged parameters would put right, by
// address. drifted is what Terraform found changed behind its back. A planned
// change counts when its resource is among those; what only follows from it
// does not, and neither do values that are known after apply alone. When nothing
// has drifted and there is a plan all the same, that is the difference. What the
// offering ignores is left out.
func Differences(o Offering, i Instance, planned, drifted []Change) []Difference {
	outside := map[string]Change{}
	for _, c := range drifted {
		outside[c.Address] = c
	}
	compare := comparison{offering: o, instance: i}
	var follows []Change
	touched := false
	for _, c := range planned {
		if c.Action == "no-op" || c.Action == "read" {
			continue
		}
		drift, was := outside[c.Address]
		switch {
		case !was:
			follows = append(follows, c)
			continue
		case drift.Action == "delete":
			compare.add(c, DriftMissing, "", nil, nil)
		default:
			compare.changed(c, drift)
		}
		touched = true
	}
	if !touched {
		for _, c := range follows {
			compare.outdated(c)
		}
	}
	slices.SortStableFunc(compare.found, byAddress)
	return compare.found
}

type comparison struct {
	offering Offering
	instance Instance
	found    []Difference
}

// changed adds the attributes that were changed outside and that the plan would
// change back.
func (c *comparison) changed(planned, drift Change) {
	moved := leaves(drift.Before, drift.After)
	seen := false
	for _, path := range slices.Sorted(maps.Keys(leaves(planned.Before, planned.After))) {
		if _, outside := moved[path]; !outside {
			continue
		}
		seen = true
		pair := leaves(planned.Before, planned.After)[path]
		c.add(planned, DriftChanged, path, pair.after, pair.before)
	}
	if !seen {
		c.add(planned, DriftChanged, "", nil, nil)
	}
}

func (c *comparison) outdated(planned Change) {
	pairs := leaves(planned.Before, planned.After)
	if planned.Action == "create" || planned.Action == "delete" || len(pairs) == 0 {
		c.add(planned, DriftOutdated, "", nil, nil)
		return
	}
	for _, path := range slices.Sorted(maps.Keys(pairs)) {
		c.add(planned, DriftOutdated, path, pairs[path].after, pairs[path].before)
	}
}

func (c *comparison) add(change Change, kind DifferenceKind, attribute string, expected, actual any) {
	of := change.Type + "." + attribute
	if slices.ContainsFunc(c.offering.Drift.Ignore, func(noise string) bool { return within(of, noise) }) {
		return
	}
	d := Difference{
		Address: change.Address, Type: change.Type, Kind: kind, Attribute: attribute,
		Expected: shortened(expected), Actual: shortened(actual),
	}
	if kind == DriftChanged && attribute != "" {
		d.Parameter = c.parameterOf(change, attribute, expected)
	}
	d.Cause = digestOf(c.offering.ID, change.Type, keys.ReplaceAllString(change.Address, ""), attribute, string(kind), c.normalised(actual))
	c.found = append(c.found, d)
}

// keys are the keys of a resource's instances in its address.
var keys = regexp.MustCompile(`\[[^\]]*\]`)

// normalised is a value without what is of this instance alone, so that one
// cause has one text over all instances.
func (c *comparison) normalised(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	i := c.instance
	return strings.NewReplacer(
		i.ID.String(), "<id>", i.ShortID, "<short id>", i.Name, "<name>", strings.ReplaceAll(i.Name, "-", "_"), "<name>",
	).Replace(string(text))
}

// parameterOf is the parameter whose value an attribute is: by the offering's
// word or, as far as the module's text tells, because it comes from that one
// alone and what was asked for is that one's value. "" when of none.
func (c *comparison) parameterOf(change Change, attribute string, expected any) string {
	of := change.Type + "." + attribute
	for _, from := range slices.Sorted(maps.Keys(c.offering.Drift.Adopt)) {
		if within(of, from) {
			return c.offering.Drift.Adopt[from] + of[len(from):]
		}
	}
	if from := change.Sources[attribute]; len(from) == 1 && same(c.instance.Parameters[from[0]], expected) {
		return from[0]
	}
	base, member, isMember := strings.Cut(attribute, ".")
	if from := change.Sources[base]; isMember && len(from) == 1 {
		if p, _ := c.offering.Parameter(from[0]); p.Type == "map" {
			if members, _ := c.instance.Parameters[p.Name].(map[string]any); same(members[member], expected) {
				return p.Name + "." + member
			}
		}
	}
	return ""
}

// within reports whether path is what is named, or a part of it.
func within(path, named string) bool {
	rest, ok := strings.CutPrefix(path, named)
	return ok && (rest == "" || rest[0] == '.')
}

type pair struct{ before, after any }

// leaves are the paths at which before and after differ. A member that after
// lacks at the top is only known once it is applied, so it is no difference;
// deeper down, in maps that people fill, it is one that is to go.
func leaves(before, after map[string]any) map[string]pair {
	found := map[string]pair{}
	for name, value := range after {
		walk(name, before[name], value, found)
	}
	return found
}

func walk(path string, before, after any, found map[string]pair) {
	was, wasMap := before.(map[string]any)
	is, isMap := after.(map[string]any)
	switch {
	case wasMap && (isMap || empty(after)), isMap && empty(before):
		for name := range was {
			walk(path+"."+name, was[name], is[name], found)
		}
		for name := range is {
			if _, both := was[name]; !both {
				walk(path+"."+name, nil, is[name], found)
			}
		}
	case empty(before) && empty(after):
		// Providers say null, "", [] and {} for the same nothing.
	case !reflect.DeepEqual(before, after):
		found[path] = pair{before, after}
	}
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func shortened(value any) any {
	if text, err := json.Marshal(value); err != nil || len(text) > longestValue {
		return "(too long to show)"
	}
	return value
}

func spokenValue(value any) string {
	switch v := value.(type) {
	case nil:
		return "not set"
	case string:
		return fmt.Sprintf("%q", v)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "unknown"
	}
	return string(text)
}
