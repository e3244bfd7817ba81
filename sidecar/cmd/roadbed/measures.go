package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type measuresCommand struct {
	Show   measuresShowCommand   `cmd:"" default:"withargs" help:"Print the measures."`
	Import measuresImportCommand `cmd:"" help:"Import how many tickets each day had, from a CSV file."`
}

type measuresShowCommand struct {
	serverFlags
	Days int  `help:"How many days, today included." default:"30"`
	JSON bool `name:"json" help:"Print what the API answers, with each day and definition."`
}

// Help is the longer text of --help.
func (measuresShowCommand) Help() string {
	return `Each number is compared with the window before, when history covers it. What they
mean is in docs/measures.md.

  roadbed measures --as ann --days 7`
}

// Run prints the measures.
func (c *measuresShowCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	m, err := conn.Measures(ctx, c.Days)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, m)
	}
	printMeasures(out, m)
	return nil
}

func printMeasures(out io.Writer, m api.Measures) {
	fmt.Fprintf(out, "%s to %s (UTC)\n\n", m.From.UTC().Format("2 Jan 2006"), m.Until.UTC().Format("2 Jan 2006 15:04"))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, measures := range [][]api.Measure{m.Cards, m.More} {
		for _, c := range measures {
			value, parts := "-", []string{}
			if c.Value != nil {
				value = amount(c.Unit, *c.Value)
			}
			for _, p := range c.Parts {
				parts = append(parts, strings.ReplaceAll(p.Name, "_", " ")+" "+amount(p.Unit, p.Value))
			}
			if c.Why != "" {
				parts = append(parts, c.Why)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Title, value, trend(c), strings.Join(parts, ", "))
		}
	}
	_ = table.Flush() // out is the terminal; nothing to do
}

// trend says how a measure has changed, and whether that is good.
func trend(m api.Measure) string {
	if m.Trend == "" {
		return ""
	}
	text := fmt.Sprintf("%s, was %s", m.Trend, amount(m.Unit, *m.Before))
	switch {
	case m.Trend == "same":
		return "as before"
	case m.Better == "":
		return text
	case string(m.Better) == string(m.Trend):
		return text + " (better)"
	default:
		return text + " (worse)"
	}
}

func amount(unit provision.Unit, value float64) string {
	switch unit {
	case provision.Minutes:
		if value < 1 {
			return fmt.Sprintf("%.1f s", 60*value)
		}
		return fmt.Sprintf("%.1f min", value)
	case provision.Share:
		return fmt.Sprintf("%.0f %%", 100*value)
	case provision.DollarsAMonth:
		return fmt.Sprintf("$%.2f / month", value)
	default:
		return fmt.Sprintf("%.0f", value)
	}
}

type measuresImportCommand struct {
	serverFlags
	File string `arg:"" help:"CSV file of date,count; a first line with these names is passed over." type:"existingfile"`
}

// Help is the longer text of --help.
func (measuresImportCommand) Help() string {
	return `For the platform team. A line is a UTC day and how many tickets asked people for
what an offering gives; a day between two imported ones had none. A day that was
imported before has the new number, so the same file may be imported again.

  date,count
  2026-03-09,4
  2026-03-10,0

  roadbed measures import tickets.csv --as pat`
}

// Run imports the file, or names everything that is wrong with it.
func (c *measuresImportCommand) Run(ctx context.Context, out io.Writer) error {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	tickets, err := readTickets(file, time.Now())
	if err != nil {
		return err
	}
	conn, err := c.connect()
	if err != nil {
		return err
	}
	kept, err := conn.ImportTickets(ctx, tickets)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Kept the tickets of %d days: %d in all.\n", kept.Days, kept.Tickets)
	return nil
}

// readTickets reads date,count lines. Everything that is wrong with them is one
// Invalid error whose details have the lines.
func readTickets(file io.Reader, now time.Time) ([]api.TicketCount, error) {
	lines := csv.NewReader(file)
	lines.FieldsPerRecord, lines.TrimLeadingSpace, lines.Comment = -1, true, '#'
	var tickets []api.TicketCount
	var checked []provision.TicketCount
	var at []string // of each in checked
	var faults []provision.Fault
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			faults = append(faults, provision.Fault{Path: fmt.Sprintf("line %d", broken.Line), Message: "it is not CSV: " + broken.Err.Error()})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read tickets: %w", err)
		}
		number, _ := lines.FieldPos(0)
		line := fmt.Sprintf("line %d", number)
		switch {
		case number == 1 && strings.EqualFold(strings.TrimPrefix(strings.Join(fields, ","), "\ufeff"), "date,count"):
			continue
		case len(fields) != 2:
			faults = append(faults, provision.Fault{Path: line, Message: fmt.Sprintf("it has %d fields; it must have two, date and count", len(fields))})
			continue
		}
		date := strings.TrimSpace(strings.TrimPrefix(fields[0], "\ufeff"))
		count, err := strconv.Atoi(strings.TrimSpace(fields[1]))
		if err != nil {
			faults = append(faults, provision.Fault{Path: line, Message: fmt.Sprintf("%q is not a number of tickets", fields[1])})
			count = 0 // the date is still looked at
		}
		tickets = append(tickets, api.TicketCount{Date: date, Count: count})
		checked, at = append(checked, provision.TicketCount{Day: provision.Day(date), Count: count}), append(at, line)
	}
	if len(checked) > 0 || len(faults) == 0 {
		for _, f := range provision.TicketFaults(checked, provision.DayOf(now)) {
			var i int
			if _, err := fmt.Sscanf(f.Path, "/items/%d/", &i); err == nil {
				f.Path = at[i]
			} else {
				f.Path = "file"
			}
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		err := provision.Errorf(provision.Invalid, "the file cannot be imported; nothing was")
		err.Details = faults
		return nil, err
	}
	return tickets, nil
}
