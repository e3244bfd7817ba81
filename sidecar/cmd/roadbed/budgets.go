package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

type budgetsCommand struct {
	serverFlags
	JSON bool `name:"json" help:"Print an array of budgets."`
}

// Run lists the budgets that the caller may see, by kind and name.
func (c *budgetsCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	budgets, err := conn.Budgets(ctx)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, budgets)
	case len(budgets) == 0:
		fmt.Fprintln(out, "There are no budgets that you may see.")
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "BUDGET\tA MONTH\tRESERVED\tCOMMITTED\tLEFT\tABOVE IT\t")
	for _, b := range budgets {
		whose := strings.ReplaceAll(string(b.Kind), "_", " ") + " " + strings.TrimPrefix(b.Name, "group:default/")
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t\n", whose, b.Limit, b.Reserved, b.Committed, b.Left, strings.ReplaceAll(string(b.Level), "_", " "))
	}
	_ = table.Flush() // out is the terminal; nothing to do
	return nil
}
