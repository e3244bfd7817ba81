package main

import (
	"context"
	"io"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
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
	if err != nil {
		return err
	}
	return listing[provision.BudgetBalance]{
		none:  "There are no budgets that you may see.",
		heads: "BUDGET\tA MONTH\tRESERVED\tCOMMITTED\tLEFT\tABOVE IT",
		right: true,
		row: func(b provision.BudgetBalance) []any {
			whose := strings.ReplaceAll(string(b.Kind), "_", " ") + " " + shortOwner(b.Name)
			return []any{whose, b.Limit, b.Reserved, b.Committed, b.Left, strings.ReplaceAll(string(b.Level), "_", " ")}
		},
	}.print(out, budgets, c.JSON)
}
