package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type offeringVersionsCommand struct {
	serverFlags
	Offering string `arg:"" help:"The offering's id, such as postgres-database."`
	JSON     bool   `name:"json" help:"Print an array of versions."`
}

// Run lists the versions, the latest served first.
func (c *offeringVersionsCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	versions, err := conn.OfferingVersions(ctx, c.Offering)
	if err != nil {
		return err
	}
	return listing[api.OfferingVersion]{
		none:  "No version of it is known.",
		heads: "VERSION\tSTATE\tINSTANCES\tBY\tSINCE\tREASON",
		row: func(v api.OfferingVersion) []any {
			return []any{v.Version, v.State, v.Instances, shortPerson(v.By), toTheMinute(v.At), cmp.Or(v.Reason, "-")}
		},
	}.print(out, versions, c.JSON)
}

// versionFlags name a version of an offering.
type versionFlags struct {
	serverFlags
	Offering string `arg:"" help:"The offering's id, such as postgres-database."`
	Version  string `arg:"" help:"The version, or its digest."`
}

func (f versionFlags) move(ctx context.Context, out io.Writer, to provision.VersionState, reason string) error {
	conn, err := f.connect()
	if err != nil {
		return err
	}
	v, err := conn.MoveVersion(ctx, f.Offering, f.Version, to, reason)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Version %s of %s is %s.\n", v.Version, v.Offering, v.State)
	return nil
}

type offeringPublishCommand struct {
	versionFlags
	Reason string `help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

// Run publishes.
func (c *offeringPublishCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, provision.Published, c.Reason)
}

type offeringDeprecateCommand struct {
	versionFlags
	Reason string `required:"" help:"Why, and what to take instead; who still uses it reads it." placeholder:"TEXT"`
}

// Run deprecates.
func (c *offeringDeprecateCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, provision.Deprecated, c.Reason)
}

type offeringWithdrawCommand struct {
	versionFlags
	Reason string `required:"" help:"Why; who asks for it reads it." placeholder:"TEXT"`
}

// Run withdraws.
func (c *offeringWithdrawCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, provision.Withdrawn, c.Reason)
}
