package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"roadbed.dev/roadbed/sidecar/internal/offering"
)

type offeringCommand struct {
	Versions  offeringVersionsCommand  `cmd:"" group:"Ask a server" help:"List an offering's versions, and how far each has come."`
	Publish   offeringPublishCommand   `cmd:"" group:"Ask a server" help:"Publish a version: creates and upgrades take it."`
	Deprecate offeringDeprecateCommand `cmd:"" group:"Ask a server" help:"Deprecate a version: what is of it may stay."`
	Withdraw  offeringWithdrawCommand  `cmd:"" group:"Ask a server" help:"Withdraw a version: nothing new is made with it."`
	List      offeringListCommand      `cmd:"" group:"Ask offline" help:"List what can be asked for, with its prices."`
	Show      offeringShowCommand      `cmd:"" group:"Ask offline" help:"Print an offering's reference page: parameters, price, and what to do when it does not fit."`
}

type offeringListCommand struct {
	ownedFiles
}

// Run prints the offerings in the folder, not what a server has published.
func (c *offeringListCommand) Run(out io.Writer) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OFFERING\tVERSION\tMONTHLY\tWHAT IT IS")
	for _, o := range d.catalog.Offerings() {
		fmt.Fprintf(table, "%s\t%s\t%s to %s\t%s\n", o.ID, o.Version, o.Cost.MonthlyMin, o.Cost.MonthlyMax, o.Description)
	}
	_ = table.Flush() // out is the terminal; nothing to do
	return nil
}

type offeringShowCommand struct {
	ownedFiles
	Offering string `arg:"" help:"The offering's id, such as postgres-database."`
}

// Run prints the page, in Markdown.
func (c *offeringShowCommand) Run(out io.Writer) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	o, err := d.catalog.Offering(c.Offering)
	if err != nil {
		return err
	}
	fmt.Fprint(out, string(offering.Reference(o)))
	return nil
}
