package main

import (
	"fmt"
	"io"

	"roadbed.dev/roadbed/sidecar/internal/offering"
)

type offeringCommand struct {
	Show offeringShowCommand `cmd:"" help:"Print an offering's reference page: parameters, price, and what to do when it does not fit."`
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
