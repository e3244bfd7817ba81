package provision

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// ShapeLine is one kind of change of a plan: what happens to resources of a type,
// and which of their attributes change.
type ShapeLine struct {
	Action     string   `json:"action"` // create, update, delete or replace
	Type       string   `json:"type"`
	Attributes []string `json:"attributes"` // dotted paths, sorted, of an update or replace; "" is what must not be shown
	Unknown    []string `json:"unknown"`    // those whose value is only known once it is applied, sorted
}

// Shape is the kinds of change of a plan, sorted and each once: whichever
// resources of a type, and however many. Plans of one shape do the same.
type Shape []ShapeLine

// shapeOf is the shape of a plan. A text that only names another request than
// before, as tags do, is no change: every request has an id of its own.
func shapeOf(changes []Change, request uuid.UUID) Shape {
	lines := map[string]ShapeLine{}
	for _, c := range changes {
		line := ShapeLine{Action: c.Action, Type: c.Type, Attributes: []string{}, Unknown: []string{}}
		switch c.Action {
		case "no-op", "read":
			continue
		case "update", "replace":
			line.Attributes = changedAttributes(c, request)
			line.Unknown = append(line.Unknown, c.Unknown...)
		}
		if c.Action == "update" && len(line.Attributes)+len(line.Unknown) == 0 {
			continue
		}
		lines[line.key()] = line
	}
	shape := make(Shape, 0, len(lines))
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		shape = append(shape, lines[key])
	}
	slices.SortStableFunc(shape, func(a, b ShapeLine) int { return cmp.Compare(gravity[b.Action], gravity[a.Action]) })
	return shape
}

// changedAttributes are the attributes that a change changes, sorted, but for
// those that are only known once it is applied. What changes without any that
// may be shown is "".
func changedAttributes(c Change, request uuid.UUID) []string {
	pairs := leaves(c.Before, c.After)
	attributes := slices.Clone(c.Replaces)
	renamed := false
	for path, pair := range pairs {
		if namesRequest(pair, request) {
			renamed = true
			continue
		}
		attributes = append(attributes, path)
	}
	if len(attributes)+len(c.Unknown) == 0 && !renamed {
		attributes = append(attributes, "")
	}
	slices.Sort(attributes)
	return append([]string{}, slices.Compact(attributes)...)
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// namesRequest reports whether two texts are the same but for the request that
// they name.
func namesRequest(p pair, request uuid.UUID) bool {
	before, isText := p.before.(string)
	after, willBe := p.after.(string)
	if !isText || !willBe || !strings.Contains(after, request.String()) {
		return false
	}
	at, rest := 0, after
	for {
		until := strings.Index(rest, request.String())
		if until < 0 {
			return before[at:] == rest
		}
		end := at + until
		if len(before) < end+len(request.String()) || before[at:end] != rest[:until] || !anyID.MatchString(before[end:end+len(request.String())]) {
			return false
		}
		at, rest = end+len(request.String()), rest[until+len(request.String()):]
	}
}

// gravity orders actions by what they put at risk.
var gravity = map[string]int{"create": 1, "update": 2, "replace": 3, "delete": 4}

func (l ShapeLine) key() string {
	return l.Type + " " + l.Action + " " + strings.Join(l.Attributes, " ") + " / " + strings.Join(l.Unknown, " ")
}

// Digest names the shape, the same for the same kinds of change.
func (s Shape) Digest() string {
	texts := []string{}
	for _, line := range s {
		texts = append(texts, line.Action, line.Type, strconv.Itoa(len(line.Attributes)))
		texts = append(append(texts, line.Attributes...), strconv.Itoa(len(line.Unknown)))
		texts = append(texts, line.Unknown...)
	}
	return digestOf(texts...)
}

// Title says the shape in a few words, the gravest first.
func (s Shape) Title() string {
	if len(s) == 0 {
		return "no change"
	}
	said := make([]string, len(s))
	for i, line := range s {
		said[i] = line.title()
	}
	return strings.Join(said, ", ")
}

func (l ShapeLine) title() string {
	thing := strings.ReplaceAll(l.Type, "_", " ")
	shown := slices.DeleteFunc(slices.Clone(l.Attributes), func(a string) bool { return a == "" })
	if len(shown) == 0 {
		shown = l.Unknown
	}
	switch {
	case l.Action == "create" || l.Action == "delete":
		return l.Action + " " + thing
	case len(shown) == 0:
		return fmt.Sprintf("%s %s (what is not shown)", l.Action, thing)
	case len(shown) > 3:
		return fmt.Sprintf("%s %s (%s and %d more)", l.Action, thing, strings.Join(shown[:3], ", "), len(shown)-3)
	}
	return fmt.Sprintf("%s %s (%s)", l.Action, thing, strings.Join(shown, ", "))
}

// Confirm is what is typed to approve plans of the shape that delete or replace
// something: its gravest line. "" when nothing is lost by them.
func (s Shape) Confirm() string {
	if len(s) == 0 || gravity[s[0].Action] < gravity["replace"] {
		return ""
	}
	return s[0].Action + " " + s[0].Type
}
