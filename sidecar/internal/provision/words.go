package provision

import (
	"cmp"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SmallestChanges names alternatives and their prices on one line: "Smallest
// changes that fit: turn off multi-AZ ($85.50)". It is "" for none.
func SmallestChanges(alternatives []Alternative) string {
	if len(alternatives) == 0 {
		return ""
	}
	each := make([]string, len(alternatives))
	for i, a := range alternatives {
		each[i] = fmt.Sprintf("%s (%s)", a.Text, a.MonthlyCost)
	}
	return "Smallest changes that fit: " + strings.Join(each, "; ")
}

// inWords says what is changed in the offering's own titles and labels, in its
// order: "turn off multi-AZ and storage 300 → 156 GB".
func inWords(o Offering, before, changes Parameters) string {
	var each []string
	for _, p := range o.Parameters {
		if to, ok := changes[p.Name]; ok {
			each = append(each, changeInWords(p, before[p.Name], to))
		}
	}
	return strings.Join(each, " and ")
}

func changeInWords(p Parameter, from, to any) string {
	name, unit := nameOf(p)
	if on, isSwitch := to.(bool); isSwitch {
		if on {
			return "turn on " + name
		}
		return "turn off " + name
	}
	if from == nil {
		return fmt.Sprintf("%s %s", name, valueOf(p, to)) + unitOf(unit, to)
	}
	return fmt.Sprintf("%s %s → %s", name, valueOf(p, from), valueOf(p, to)) + unitOf(unit, to)
}

// nameOf is a parameter's title as it stands in a sentence, and the unit that
// the title ends with: "Storage (GB)" is storage and GB.
func nameOf(p Parameter) (name, unit string) {
	title := strings.TrimSpace(cmp.Or(p.Title, strings.ReplaceAll(p.Name, "_", " ")))
	if open := strings.LastIndex(title, "("); open > 0 && strings.HasSuffix(title, ")") {
		title, unit = strings.TrimSpace(title[:open]), title[open+1:len(title)-1]
	}
	first, _, _ := strings.Cut(strings.ReplaceAll(title, "-", " "), " ")
	initial, width := utf8.DecodeRuneInString(first)
	if tail := first[width:]; tail != "" && tail == strings.ToLower(tail) { // PostgreSQL and IOPS stay
		title = string(unicode.ToLower(initial)) + title[width:]
	}
	return title, unit
}

func unitOf(unit string, value any) string {
	if value == int64(1) && len(unit) > 3 {
		unit = strings.TrimSuffix(unit, "s") // 1 day
	}
	if unit == "" {
		return ""
	}
	return " " + unit
}

// valueOf is a value as its option's label begins: "Large" of "Large (2 vCPU) -
// $120/month"; in full where another option's label begins the same.
func valueOf(p Parameter, value any) string {
	text := fmt.Sprint(value)
	label, alike := "", 0
	for _, option := range p.Options {
		if option.Value == text {
			label = shortLabel(option.Label)
		}
	}
	for _, option := range p.Options {
		if shortLabel(option.Label) == label {
			alike++
		}
	}
	if label == "" || alike > 1 {
		return text
	}
	return label
}

func shortLabel(label string) string {
	for _, mark := range []string{" (", " - ", " – ", ": "} {
		label, _, _ = strings.Cut(label, mark)
	}
	return strings.TrimSpace(label)
}
