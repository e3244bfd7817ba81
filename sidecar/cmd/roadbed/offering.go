package main

import (
	"fmt"
	"io"

	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/provision"
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
	return listing[provision.Offering]{
		none:  "There are no offerings in the folder.",
		heads: "OFFERING\tVERSION\tMONTHLY\tWHAT IT IS",
		row: func(o provision.Offering) []any {
			return []any{o.ID, o.Version, fmt.Sprintf("%s to %s", o.Cost.MonthlyMin, o.Cost.MonthlyMax), o.Description}
		},
	}.print(out, d.catalog.Offerings(), false)
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
