package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/google/uuid"
	"golang.org/x/term"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// changeFlags are what every change of an instance takes.
type changeFlags struct {
	instanceFlags
	paramFlags
	Preview bool   `help:"Only show what would change and what it would cost."`
	Yes     bool   `help:"Do not ask first, even when it makes something anew."`
	Key     string `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch   bool   `help:"Follow it until it has ended."`
	JSON    bool   `name:"json" help:"Print the request as JSON, the preview with --preview; with --watch, each event as a line."`
}

type requestUpdateCommand struct{ changeFlags }

// Help is the longer text of --help.
func (requestUpdateCommand) Help() string {
	return `Give only the parameters that change; name=null takes one back to its default.
The instance stays what it is until the change has been applied. A preview exits
as evaluate does: 0 when it is allowed, 3 when not.

  roadbed request update dev/orders --as ann -p storage_gb=200 --preview
  roadbed request update dev/orders --as ann -p storage_gb=200 --watch`
}

// Run asks for other parameters.
func (c *requestUpdateCommand) Run(ctx context.Context, out io.Writer) error {
	return c.change(ctx, out, provision.Update)
}

type requestUpgradeCommand struct{ changeFlags }

// Help is the longer text of --help.
func (requestUpgradeCommand) Help() string {
	return `What the new version no longer takes is dropped, what it adds has its default;
give what it needs besides.

  roadbed request upgrade dev/orders --as ann --preview
  roadbed request upgrade dev/orders --as ann --watch`
}

// Run asks for the published version.
func (c *requestUpgradeCommand) Run(ctx context.Context, out io.Writer) error {
	return c.change(ctx, out, provision.Upgrade)
}

// change shows a change, and asks for it unless it is only a preview.
func (c *changeFlags) change(ctx context.Context, out io.Writer, action provision.Action) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	o, err := conn.Offering(ctx, instance.Offering)
	if err != nil {
		return err
	}
	given := c.parameters(o)
	for name, text := range c.Param {
		if text == "null" {
			given[name] = nil
		}
	}
	preview, err := conn.EvaluateChange(ctx, instance.Id, api.ChangeEvaluation{Action: action, Parameters: given, Advise: c.Preview})
	if err != nil {
		return err
	}
	if c.Preview {
		return previewed(out, preview, c.JSON)
	}
	if !c.JSON {
		printChange(out, preview)
	}
	if err := c.sure(ctx, instance, preview); err != nil {
		return err
	}
	key := cmp.Or(c.Key, uuid.NewString())
	ask := conn.Update
	if action == provision.Upgrade {
		ask = conn.Upgrade
	}
	r, err := ask(ctx, key, instance.Id, given)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

type requestRotateCommand struct {
	instanceFlags
	Key   string `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch bool   `help:"Follow it until it has ended."`
	JSON  bool   `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// Help is the longer text of --help.
func (requestRotateCommand) Help() string {
	return `Everything else stays as it is. The old credentials are void once it has been
applied; "roadbed credentials" opens the new ones.

  roadbed request rotate dev/orders --as ann --watch`
}

// Run asks for new credentials.
func (c *requestRotateCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := conn.Rotate(ctx, key, instance.Id)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

type requestHandOverCommand struct {
	instanceFlags
	Owner      string `arg:"" help:"The team that gets it, such as search."`
	CostCenter string `help:"Who pays from then on; who pays now when it is left out." placeholder:"CC"`
	Key        string `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch      bool   `help:"Follow it until it has ended."`
	JSON       bool   `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// Help is the longer text of --help.
func (requestHandOverCommand) Help() string {
	return `It is judged as the other team's, from whose budgets it is paid then. Its
credentials are made anew, and only that team may open them.

  roadbed request hand-over dev/orders search --as ann --cost-center CC-2001 --watch`
}

// Run asks for the other owner.
func (c *requestHandOverCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := conn.HandOver(ctx, key, instance.Id, c.Owner, c.CostCenter)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

type requestRetryCommand struct {
	serverFlags
	ID    uuid.UUID `arg:"" name:"id" help:"The request's id."`
	Key   string    `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch bool      `help:"Follow it until it has ended."`
	JSON  bool      `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// Help is the longer text of --help.
func (requestRetryCommand) Help() string {
	return `The same action with the same parameters, as a new request. It goes on from what
was made; nothing is made twice.

  roadbed request retry 0199a3c0-… --as ann --watch`
}

// Run asks anew.
func (c *requestRetryCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := conn.Retry(ctx, key, c.ID)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

// sure asks for the instance's name when the change makes something anew.
func (c *changeFlags) sure(ctx context.Context, instance api.Instance, preview api.ChangePreview) error {
	if len(preview.Replaces) == 0 || c.Yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return provision.Errorf(provision.Invalid, "%s makes %s anew and there is no terminal to ask at: give --yes to go on without being asked", strings.Join(preview.Replaces, ", "), instance.Name)
	}
	return confirm(ctx, os.Stdin, os.Stderr, instance)
}

// previewed prints a preview and answers with the exit code of its verdict.
func previewed(out io.Writer, v api.ChangePreview, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(out, v)
	} else {
		printChange(out, v)
		if v.Advice != nil {
			printAlternatives(out, v.Advice.Alternatives)
		}
	}
	switch {
	case err == nil && v.Outcome == provision.OutcomeRequireApproval:
		return exit(exitWaiting)
	case err == nil && !v.Allowed:
		return exit(exitDenied)
	}
	return err
}

// printChange shows what would change, line by line, and what it would cost.
func printChange(out io.Writer, v api.ChangePreview) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, change := range v.Changes {
		note := ""
		if change.Immutable {
			note = "  (cannot be changed)"
		}
		fmt.Fprintf(table, "  %s\t%s → %s%s\n", change.Title, shown(change.Before), shown(change.After), note)
	}
	if v.VersionBefore != v.VersionAfter {
		fmt.Fprintf(table, "  Version\t%s → %s\n", v.VersionBefore, v.VersionAfter)
	}
	_ = table.Flush() // out is the terminal; nothing to do
	if v.CostBefore != nil && v.CostAfter != nil {
		fmt.Fprintf(out, "  %s → %s / month (%s)\n", *v.CostBefore, *v.CostAfter, signed(*v.CostDifference))
	}
	if len(v.Replaces) > 0 {
		fmt.Fprintf(out, "  ! Changing %s makes it anew: what it holds is lost unless it is copied first.\n", strings.Join(v.Replaces, ", "))
	}
	switch {
	case v.Allowed:
		fmt.Fprintln(out, "✓ Allowed")
	case v.Outcome == provision.OutcomeRequireApproval:
		fmt.Fprintln(out, "◌ Allowed once it is approved")
	default:
		fmt.Fprintln(out, "✕ Not allowed")
	}
	printFindings(out, v.Findings)
}

// shown is a value on one line; a sensitive one only says that it is set.
func shown(value any) string {
	mark, ok := value.(map[string]any)
	switch {
	case value == nil:
		return "not set"
	case ok && len(mark) == 1 && mark["set"] == true:
		return "(secret)"
	case ok && len(mark) == 0:
		return "none"
	}
	return fmt.Sprint(value)
}

func signed(m provision.Money) string {
	if m > 0 {
		return "+" + m.String()
	}
	return m.String()
}
