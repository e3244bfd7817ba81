package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type requestGetCommand struct {
	serverFlags
	ID   uuid.UUID `arg:"" name:"id" help:"The request's id."`
	JSON bool      `name:"json" help:"Print it as JSON."`
}

// Help is the longer text of --help.
func (requestGetCommand) Help() string {
	return "  roadbed request get 0199a3c0-… --as ann --json | jq .outputs"
}

// Run prints a request.
func (c *requestGetCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	r, err := conn.Request(ctx, c.ID)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, r)
	}
	printRequest(out, r, time.Now())
	return nil
}

type requestListCommand struct {
	serverFlags
	Mine        bool     `help:"Only what you asked for."`
	State       []string `help:"Only in these states." placeholder:"STATE"`
	Offering    string   `help:"Only of this offering." placeholder:"ID"`
	Environment string   `help:"Only in this environment." placeholder:"NAME"`
	Limit       int      `help:"How many at most." default:"20"`
	JSON        bool     `name:"json" help:"Print an array of requests."`
}

// Help is the longer text of --help.
func (requestListCommand) Help() string {
	return `States are submitted, queued, planning, awaiting_approval, applying, lost,
succeeded, failed, denied and cancelled.

  roadbed request list --as ann --mine --state queued,applying`
}

// Run prints the newest requests, page after page up to the limit.
func (c *requestListCommand) Run(ctx context.Context, out io.Writer) error {
	if c.Limit < 1 {
		return provision.Errorf(provision.Invalid, "--limit is %d; it must be 1 or more", c.Limit)
	}
	conn, err := c.connect()
	if err != nil {
		return err
	}
	filter := api.ListRequestsParams{Offering: &c.Offering, Environment: &c.Environment}
	if c.Mine {
		filter.Mine = &c.Mine
	}
	if len(c.State) > 0 {
		states := []api.State{}
		for _, state := range c.State {
			states = append(states, api.State(state))
		}
		filter.State = &states
	}
	requests, more := []api.Request{}, true
	for more && len(requests) < c.Limit {
		size := min(c.Limit-len(requests), 100)
		filter.Limit = &size
		list, err := conn.Requests(ctx, filter)
		if err != nil {
			return err
		}
		requests, filter.Cursor, more = append(requests, list.Items...), &list.Next, list.Next != ""
	}
	if err := requestListing(time.Now()).print(out, requests, c.JSON); err != nil {
		return err
	}
	if more && !c.JSON {
		fmt.Fprintf(out, "There are more; see them with --limit %d.\n", c.Limit*5)
	}
	return nil
}

type requestLogsCommand struct {
	serverFlags
	ID     uuid.UUID `arg:"" name:"id" help:"The request's id."`
	Follow bool      `help:"Go on until the request has ended." short:"f"`
}

// Help is the longer text of --help.
func (requestLogsCommand) Help() string {
	return `Secrets are taken out before a line leaves its worker.

  roadbed request logs 0199a3c0-… --as ann --follow`
}

// Run prints the log, and with Follow what comes of it.
func (c *requestLogsCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	if c.Follow {
		err := conn.FollowLog(ctx, c.ID, 0, func(line provision.LogEntry) error { return printLogLine(out, line) })
		if err != nil && ctx.Err() != nil {
			return exit(exitInterrupted)
		}
		return err
	}
	for after := int64(0); ; {
		lines, err := conn.Logs(ctx, c.ID, after)
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, line := range lines {
			if err := printLogLine(out, line); err != nil {
				return err
			}
			after = line.Position
		}
	}
}
