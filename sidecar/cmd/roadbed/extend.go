package main

import (
	"cmp"
	"context"
	"io"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type requestExtendCommand struct {
	instanceFlags
	By      string `required:"" help:"How much longer, such as 24h or 7d." placeholder:"TIME"`
	Preview bool   `help:"Show what policy says of it and ask for nothing."`
	Key     string `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch   bool   `help:"Follow it until it has ended."`
	JSON    bool   `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// Help is the longer text of --help.
func (requestExtendCommand) Help() string {
	return `For what ends by itself. A longer life is priced, and approved where policy asks for
that.

  roadbed request extend dev/orders --by 24h --as ann --watch`
}

// Run asks for a longer life.
func (c *requestExtendCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	if c.Preview {
		preview, err := conn.EvaluateChange(ctx, instance.Id, api.ChangeEvaluation{Action: provision.Extend, By: c.By})
		if err != nil {
			return err
		}
		return previewed(out, preview, c.JSON)
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := conn.Extend(ctx, key, instance.Id, c.By)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}
