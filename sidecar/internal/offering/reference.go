package offering

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Reference is the offering's reference page in Markdown: what can be asked
// for, what it costs, what comes back. Presets show their price when o has
// been priced. Equal offerings have equal pages.
func Reference(o provision.Offering) []byte {
	var page bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&page, format+"\n", args...) }
	line("<!-- Made from the offering's %s by `make generate`. -->\n", contractFile)
	line("# %s\n", o.Name)
	line("%s.\n", strings.TrimSuffix(o.Description, "."))
	line("Id `%s`, version %s, category %s.", o.ID, o.Version, o.Category)
	if o.Docs != "" {
		line("More: <%s>.", o.Docs)
	}
	line("\n## When it does not fit\n")
	line("%s", o.EscapeHatch)
	line("\n## Parameters\n")
	line("| Name | Type | Default | Limits | Meaning |")
	line("|---|---|---|---|---|")
	for _, p := range o.Parameters {
		standard := "none"
		switch {
		case p.Required:
			standard = "required"
		case p.Default != nil && p.Default != "":
			standard = "`" + strings.Trim(quote(p.Default), `"`) + "`"
		}
		line("| `%s` | %s | %s | %s | %s |", p.Name, p.Type, standard, cell(limits(p)), cell(p.Description+notes(p)))
	}
	for _, p := range o.Parameters {
		if !slices.ContainsFunc(p.Options, func(o provision.Option) bool { return o.Label != o.Value }) {
			continue
		}
		line("\n### %s\n", p.Title)
		line("| `%s` | Meaning | A month |", p.Name)
		line("|---|---|---|")
		for _, option := range p.Options {
			price := ""
			if option.MonthlyCost != nil {
				price = option.MonthlyCost.String()
			}
			line("| `%s` | %s | %s |", option.Value, cell(option.Label), price)
		}
	}
	line("\n## Price\n")
	line("From %s to %s a month, by this formula in dollars:\n", o.Cost.MonthlyMin, o.Cost.MonthlyMax)
	line("```python\n%s\n```", strings.TrimRight(o.Cost.Formula, "\n"))
	if len(o.Presets) > 0 {
		line("\n## Presets\n")
		line("| Preset | For | Values | A month |")
		line("|---|---|---|---|")
		for _, p := range o.Presets {
			var set []string
			for _, name := range p.Parameters.Names() {
				set = append(set, fmt.Sprintf("`%s: %v`", name, p.Parameters[name]))
			}
			price := ""
			if p.MonthlyCost > 0 {
				price = p.MonthlyCost.String()
			}
			line("| %s | %s | %s | %s |", cell(p.Title), cell(p.Description), strings.Join(set, ", "), price)
		}
	}
	line("\n## Steps\n")
	for i, s := range o.Steps {
		line("%d. %s", i+1, s.Name)
	}
	line("\n## Results\n")
	line("| Output | Meaning |")
	line("|---|---|")
	for _, out := range o.Outputs {
		line("| `%s` | %s |", out.Name, cell(out.Description))
	}
	return page.Bytes()
}

func limits(p provision.Parameter) string {
	switch {
	case p.Type == "enum":
		var options []string
		for _, value := range values(p) {
			options = append(options, "`"+value+"`")
		}
		return strings.Join(options, ", ")
	case p.Type == "integer" && p.Min != nil && p.Max != nil:
		return fmt.Sprintf("%d to %d", *p.Min, *p.Max)
	case p.Takes != nil:
		return "the name of one that is ready"
	case p.Pattern != "":
		return "`" + p.Pattern + "`"
	case p.Type == "string":
		return fmt.Sprintf("at most %d characters", longest(p))
	default:
		return ""
	}
}

func notes(p provision.Parameter) string {
	var notes string
	if p.Immutable {
		notes += "; cannot be changed later"
	}
	if p.Replaces {
		notes += "; changing it makes the thing anew"
	}
	if p.Takes != nil {
		notes += fmt.Sprintf("; takes `%s` of a `%s` in the same environment", p.Takes.Output, p.Takes.Offering)
	}
	if p.Sensitive {
		notes += "; kept secret"
	}
	return notes
}

// cell keeps a text inside its table cell.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// Flag is one command line flag of an offering.
type Flag struct {
	Name      string   // without dashes: "storage-gb"
	Parameter string   // the parameter that it sets: "storage_gb"
	Type      string   // the parameter's type; a map's flag is repeated as key=value
	Required  bool     // the parameter must be given
	Default   string   // for the help; "" when there is none
	Choices   []string // an enum's values, nil for other types
	Help      string
}

// Flags are the command line flags for an offering's parameters, in its order.
func Flags(o provision.Offering) []Flag {
	flags := make([]Flag, len(o.Parameters))
	for i, p := range o.Parameters {
		flags[i] = Flag{
			Name: strings.ReplaceAll(p.Name, "_", "-"), Parameter: p.Name, Type: p.Type,
			Required: p.Required, Help: p.Description,
		}
		if p.Type == "enum" {
			flags[i].Choices = values(p)
		}
		// A map's flag is given key by key, so its default is not a flag's.
		if p.Default != nil && !p.Required && p.Type != "map" {
			flags[i].Default = fmt.Sprint(p.Default)
		}
	}
	return flags
}
