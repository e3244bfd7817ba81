package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type unusedCommand struct {
	List   unusedListCommand   `cmd:"" default:"withargs" help:"List what nobody uses, by owner."`
	Snooze unusedSnoozeCommand `cmd:"" help:"Hear nothing of an unused instance for some days."`
	Needed unusedNeededCommand `cmd:"" help:"Say until when an unused instance is needed, and why."`
}

type unusedListCommand struct {
	serverFlags
	Answered bool `help:"Also what somebody has answered for."`
	JSON     bool `name:"json" help:"Print it as JSON."`
}

// Run lists findings, the owner with the largest saving first.
func (c *unusedListCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	list, err := conn.Unused(ctx, c.Answered)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, list)
	case list.Count == 0:
		fmt.Fprintln(out, "Nothing that is measured is unused.")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OWNER\tINSTANCE\tWHY\tA MONTH\tANSWER")
	for _, group := range list.Items {
		for _, i := range group.Items {
			answer := ""
			if a := i.Answer; a != nil {
				answer = strings.TrimSpace(fmt.Sprintf("%s until %s %s", a.Kind, a.Until.UTC().Format(time.DateOnly), a.Reason))
			}
			fmt.Fprintf(table, "%s\t%s/%s.%s\t%s\t%s\t%s\n", shortOwner(group.Owner),
				i.Environment, i.Name, i.Type, i.Reason, i.MonthlyCost, cmp.Or(answer, "-"))
		}
	}
	_ = table.Flush() // out is the terminal; nothing to do
	fmt.Fprintf(out, "Destroying all of it saves %s a month.\n", list.MonthlySaving)
	return nil
}

// unusedFlags name the instance that is answered for.
type unusedFlags struct {
	instanceFlags
}

func (f unusedFlags) answer(ctx context.Context, out io.Writer, answer string, body api.UnusedAnswer) error {
	conn, err := f.connect()
	if err != nil {
		return err
	}
	instance, err := conn.instance(ctx, f.Instance)
	if err != nil {
		return err
	}
	if _, err := conn.AnswerUnused(ctx, instance.Id, answer, body); err != nil {
		return err
	}
	fmt.Fprintf(out, "Nothing is said of %s until %s, unless it is used.\n", instance.Name, body.Until.UTC().Format(time.DateOnly))
	return nil
}

type unusedSnoozeCommand struct {
	unusedFlags
	Days   int    `help:"For so many days." default:"30"`
	Reason string `help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

// Run snoozes.
func (c *unusedSnoozeCommand) Run(ctx context.Context, out io.Writer) error {
	return c.answer(ctx, out, "snooze", api.UnusedAnswer{Until: time.Now().AddDate(0, 0, c.Days), Reason: &c.Reason})
}

type unusedNeededCommand struct {
	unusedFlags
	Until  string `required:"" help:"The first day on which it is not needed any more." placeholder:"YYYY-MM-DD"`
	Reason string `required:"" help:"What it is needed for." placeholder:"TEXT"`
}

// Run says until when it is needed.
func (c *unusedNeededCommand) Run(ctx context.Context, out io.Writer) error {
	until, err := time.Parse(time.DateOnly, c.Until)
	if err != nil {
		return provision.Errorf(provision.Invalid, "--until is %q; write a date such as 2027-01-31", c.Until)
	}
	return c.answer(ctx, out, "needed", api.UnusedAnswer{Until: until, Reason: &c.Reason})
}
