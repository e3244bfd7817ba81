package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// printAlternatives prints what would be allowed; nothing when there is none.
func printAlternatives(out io.Writer, alternatives []provision.Alternative) {
	if text := provision.SmallestChanges(alternatives); text != "" {
		fmt.Fprintln(out, text)
	}
}

// printAdvice prints what each parameter may be and how the presets fare.
func printAdvice(out io.Writer, a provision.Advice, o provision.Offering) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(a.Ranges) > 0 {
		fmt.Fprintln(table, "While the rest stays as it is:")
	}
	for _, p := range o.Parameters {
		if r, ok := a.Ranges[p.Name]; ok {
			fmt.Fprintf(table, "  %s\t%s\n", p.Name, rangeText(r))
		}
	}
	if len(a.Presets) > 0 {
		fmt.Fprintln(table, "Presets:")
	}
	for _, p := range a.Presets {
		mark, price := "✕ not allowed", "price not known"
		if p.Allowed {
			mark = "✓ allowed"
		}
		if p.MonthlyCost != nil {
			price = p.MonthlyCost.String() + " / month"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", p.Title, price, mark)
	}
	_ = table.Flush() // out is the terminal; nothing to do
}

func rangeText(r provision.Range) string {
	var each []string
	for _, span := range r.Spans {
		if span.Min == span.Max {
			each = append(each, fmt.Sprint(span.Min))
			continue
		}
		each = append(each, fmt.Sprintf("%d to %d", span.Min, span.Max))
	}
	for _, value := range r.Values {
		each = append(each, fmt.Sprint(value))
	}
	switch {
	case r.Whole:
		return "anything"
	case len(each) == 0:
		return "nothing fits"
	default:
		return strings.Join(each, ", ")
	}
}
