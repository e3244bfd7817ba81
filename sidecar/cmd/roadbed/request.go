package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type requestCommand struct {
	Create   requestCreateCommand   `cmd:"" help:"Ask for an instance."`
	Get      requestGetCommand      `cmd:"" help:"Show a request."`
	List     requestListCommand     `cmd:"" help:"List requests that you may see, newest first."`
	Watch    requestWatchCommand    `cmd:"" help:"Follow a request until it has ended."`
	Logs     requestLogsCommand     `cmd:"" help:"Print a request's log."`
	Approve  requestApproveCommand  `cmd:"" help:"Approve what waits for you."`
	Reject   requestRejectCommand   `cmd:"" help:"Deny what waits for you."`
	Cancel   requestCancelCommand   `cmd:"" help:"Stop a request."`
	Retry    requestRetryCommand    `cmd:"" help:"Ask anew for what failed or was cancelled."`
	Update   requestUpdateCommand   `cmd:"" help:"Ask for other parameters of an instance."`
	Upgrade  requestUpgradeCommand  `cmd:"" help:"Ask for the published version of an instance's offering."`
	Rotate   requestRotateCommand   `cmd:"" help:"Ask for new credentials of an instance."`
	HandOver requestHandOverCommand `cmd:"" help:"Ask for another team to own an instance."`
	Extend   requestExtendCommand   `cmd:"" help:"Ask for an instance to live longer."`
	Destroy  requestDestroyCommand  `cmd:"" help:"Ask for the end of an instance."`
}

type requestCreateCommand struct {
	serverFlags
	paramFlags
	Offering  string `arg:"" help:"The offering's id, such as postgres-database."`
	ExpiresIn string `help:"How long it lives, such as 24h or 7d; without it, as the offering says." placeholder:"TIME"`
	Key       string `help:"Your name for this ask: the same key again gives the same answer, and makes nothing twice. A new one by default." placeholder:"KEY"`
	Watch     bool   `help:"Follow it until it has ended."`
	JSON      bool   `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// Help is the longer text of --help.
func (requestCreateCommand) Help() string {
	return `Parameters that are left out have the offering's defaults. A denied ask prints
every reason with its way out and exits 3.

  roadbed request create postgres-database --as ann -p database_name=orders \
    -p environment=dev -p team_owner=payments -p cost_center=CC-1234 --watch`
}

// Run asks, prints the answer and, with Watch, follows it.
func (c *requestCreateCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	o, err := conn.Offering(ctx, c.Offering)
	if err != nil {
		return err
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := conn.Submit(ctx, key, api.Submission{Offering: c.Offering, Parameters: c.parameters(o), ExpiresIn: c.ExpiresIn})
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

// notAccepted tells why an ask under key was not accepted: a denial with all its
// reasons, an outage with how to ask again.
func (c *connection) notAccepted(ctx context.Context, out io.Writer, err error, key string, asJSON bool) error {
	var refused *provision.Error
	switch {
	case errors.As(err, &refused) && refused.Kind == provision.Denied && refused.RequestID != "":
		return c.denied(ctx, out, refused, asJSON)
	case provision.KindOf(err) == provision.Unavailable:
		return fmt.Errorf("%w\nIt may have been taken: ask again with --key %s, and nothing is made twice", err, key)
	}
	return err
}

// answer prints a request that was accepted, or follows it.
func (c *connection) answer(ctx context.Context, out io.Writer, r api.Request, follow, asJSON bool) error {
	if follow {
		return c.watch(ctx, out, r, asJSON)
	}
	if asJSON {
		return printJSON(out, r)
	}
	printRequest(out, r, time.Now())
	if !r.State.Terminal() {
		fmt.Fprintf(out, "\nFollow it with: roadbed request watch %s\n", r.Id)
	}
	return nil
}

// deniedRequest is a denied request with what would be allowed, for --json.
type deniedRequest struct {
	api.Request
	Alternatives []provision.Alternative `json:"alternatives"`
}

// denied prints a denial as the request that it was stored as, and what would
// be allowed.
func (c *connection) denied(ctx context.Context, out io.Writer, refused *provision.Error, asJSON bool) error {
	id, err := uuid.Parse(refused.RequestID)
	if err != nil {
		return refused
	}
	r, err := c.Request(ctx, id)
	if err != nil {
		return refused // its message has every reason, too
	}
	if asJSON {
		err = printJSON(out, deniedRequest{r, append([]provision.Alternative{}, refused.Alternatives...)})
	} else {
		printRequest(out, r, time.Now())
		printAlternatives(out, refused.Alternatives)
	}
	if err != nil {
		return err
	}
	return exit(exitDenied)
}
