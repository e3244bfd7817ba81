package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"golang.org/x/term"

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
	if c.JSON {
		return printJSON(out, requests)
	}
	printRequests(out, requests, time.Now())
	if more {
		fmt.Fprintf(out, "There are more; see them with --limit %d.\n", c.Limit*5)
	}
	return nil
}

type requestCancelCommand struct {
	serverFlags
	ID     uuid.UUID `arg:"" name:"id" help:"The request's id."`
	Reason string    `help:"Why, for whoever looks at it later." placeholder:"TEXT"`
	JSON   bool      `name:"json" help:"Print the request as JSON."`
}

// Help is the longer text of --help.
func (requestCancelCommand) Help() string {
	return `A request that no worker has is cancelled at once; a worker stops what it has
soon. Cancelling twice is cancelling once.

  roadbed request cancel 0199a3c0-… --as ann --reason "wrong region"`
}

// Run cancels a request and says whether that is done or under way.
func (c *requestCancelCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	r, err := conn.Cancel(ctx, c.ID, c.Reason)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, r)
	case r.State.Terminal():
		fmt.Fprintf(out, "%s is %s.\n", r.Id, r.State)
	default:
		fmt.Fprintf(out, "%s is %s; its worker will stop it soon. Follow it with: roadbed request watch %s\n", r.Id, r.State, r.Id)
	}
	return nil
}

type requestDestroyCommand struct {
	instanceFlags
	Yes   bool   `help:"Do not ask first."`
	Key   string `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch bool   `help:"Follow it until it has ended."`
	JSON  bool   `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// Help is the longer text of --help.
func (requestDestroyCommand) Help() string {
	return `What the instance holds is lost. An instance whose create has not begun to apply
is not made at all: that request is cancelled instead.

  roadbed request destroy dev/orders --as ann --watch
  roadbed request destroy resource:dev/orders.postgres-database --yes`
}

// Run asks for the end of an instance, once the person has typed its name.
func (c *requestDestroyCommand) Run(ctx context.Context, out io.Writer) error {
	if !c.Yes && !term.IsTerminal(int(os.Stdin.Fd())) {
		return provision.Errorf(provision.Invalid, "there is no terminal to ask at: give --yes to destroy %s without being asked", c.Instance)
	}
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	if !c.Yes {
		if err := confirm(ctx, os.Stdin, os.Stderr, instance); err != nil {
			return err
		}
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := conn.DestroyConfirmed(ctx, key, instance.Id, instance.Name)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

// confirm asks for the instance's name. An interrupt ends the question.
func confirm(ctx context.Context, in io.Reader, ask io.Writer, i api.Instance) error {
	fmt.Fprintf(ask, "%s · %s · %s · %s\nWhat it holds will be lost. Type %s to destroy it: ", i.Name, i.OfferingName, i.Environment, i.State, i.Name)
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be called off; it ends with the process
		line, _ := bufio.NewReader(in).ReadString('\n') // an early end is another answer
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(ask, "\nNothing was destroyed.")
		return exit(exitInterrupted)
	case typed := <-answer:
		if typed != i.Name {
			return fmt.Errorf("%q is not %q; nothing was destroyed", typed, i.Name)
		}
		return nil
	}
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

func printLogLine(out io.Writer, line provision.LogEntry) error {
	if _, err := fmt.Fprintf(out, "%s %s\n", line.At.UTC().Format(time.RFC3339), line.Text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printRequest shows a request as it stands at now.
func printRequest(out io.Writer, r api.Request, now time.Time) {
	field := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-8s  %s\n", name, fmt.Sprintf(format, args...))
	}
	field("Request", "%s", r.Id)
	field("Ask", "%s %s · %s %s · %s", r.Action, r.Name, r.OfferingName, r.OfferingVersion, r.Environment)
	field("State", "%s", stateText(r))
	if r.Expected != nil {
		field("Expected", "%s", expectedText(*r.Expected))
	}
	if r.MonthlyCost != nil {
		field("Price", "%s / month", *r.MonthlyCost)
	}
	field("Owner", "%s, cost center %s", r.Owner, r.CostCenter)
	field("Asked", "by %s %s", r.RequestedBy, ago(now.Sub(r.CreatedAt)))
	field("Entity", "%s", r.EntityRef)
	if len(r.Findings) > 0 {
		fmt.Fprintln(out, "\nPolicy")
		printFindings(out, r.Findings)
	}
	printApproval(out, r)
	if slices.ContainsFunc(r.Steps, func(s api.Step) bool { return s.Status != provision.StepPending }) {
		fmt.Fprintln(out, "\nSteps")
		for _, line := range stepLines(r.Steps, now, stepMarks[provision.StepInProgress]) {
			fmt.Fprintln(out, line)
		}
	}
	printEnd(out, r)
}

// printEnd is why a request did not succeed, or what it has made.
func printEnd(out io.Writer, r api.Request) {
	deniedByFindings := r.State == provision.DeniedState && len(r.Findings) > 0 // they say it already
	if r.Error != nil && !deniedByFindings {
		fmt.Fprintf(out, "\n%s\n", r.Error.Message)
		for _, more := range []string{r.Error.Detail, r.Error.WayOut} {
			if more != "" && more != r.Error.Message {
				fmt.Fprintf(out, "%s\n", indent(more))
			}
		}
	}
	if len(r.Outputs) == 0 {
		return
	}
	fmt.Fprintln(out, "\nOutputs")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(r.Outputs)) {
		fmt.Fprintf(table, "  %s\t%v\n", name, r.Outputs[name])
	}
	_ = table.Flush() // out is the terminal; nothing to do
}

func indent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight("  "+line, " ")
	}
	return strings.Join(lines, "\n")
}

func stateText(r api.Request) string {
	text := strings.ReplaceAll(string(r.State), "_", " ")
	switch {
	case r.Waiting != "":
		text += ": " + r.Waiting
	case r.CancelReason != "" && !r.State.Terminal():
		text += ", being cancelled: " + r.CancelReason
	}
	return text
}

// printRequests is the table of a list.
func printRequests(out io.Writer, requests []api.Request, now time.Time) {
	if len(requests) == 0 {
		fmt.Fprintln(out, "There are no requests here. Ask for something with: roadbed request create --help")
		return
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tSTATE\tACTION\tNAME\tOFFERING\tENVIRONMENT\tOWNER\tMONTHLY\tASKED")
	for _, r := range requests {
		price := "-"
		if r.MonthlyCost != nil {
			price = r.MonthlyCost.String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Id, r.State, r.Action, r.Name, r.Offering, r.Environment,
			strings.TrimPrefix(r.Owner, "group:default/"), price, ago(now.Sub(r.CreatedAt)))
	}
	_ = table.Flush() // out is the terminal; nothing to do
}
