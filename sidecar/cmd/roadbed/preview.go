package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
)

type previewCommand struct {
	Create previewCreateCommand `cmd:"" help:"Ask for an ephemeral environment for a pull request."`
	List   previewListCommand   `cmd:"" help:"List the ephemeral environments that you may see."`
	Extend previewExtendCommand `cmd:"" help:"Ask for one to live longer."`
	Delete previewDeleteCommand `cmd:"" help:"Ask for the end of one."`
}

type previewCreateCommand struct {
	serverFlags
	Repository  string   `arg:"" help:"The repository, as owner/name."`
	PullRequest int      `arg:"" help:"The pull request's number."`
	Owner       string   `required:"" help:"The team whose instances are cloned." placeholder:"TEAM"`
	Base        string   `default:"staging" help:"The environment to clone from."`
	Environment string   `default:"dev" help:"Where it is made."`
	TTLHours    int      `name:"ttl-hours" default:"24" help:"How many hours it lives."`
	Of          []string `help:"Names of the base's instances; without it all of the team's." placeholder:"NAME"`
	Key         string   `help:"Your name for this ask, as for request create." placeholder:"KEY"`
	JSON        bool     `name:"json" help:"Print the answer as JSON."`
}

// Help is the longer text of --help.
func (previewCreateCommand) Help() string {
	return `Each instance is a request of its own that meets policy.

  roadbed preview create acme/orders 42 --owner payments --as ann`
}

// Run asks and tells what became of each instance.
func (c *previewCreateCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	answer, err := conn.MakePreview(ctx, cmp.Or(c.Key, uuid.NewString()), api.PreviewAsk{
		Repository: c.Repository, PullRequest: c.PullRequest, Owner: c.Owner, Base: c.Base, Environment: c.Environment, TtlHours: c.TTLHours, Of: c.Of,
	})
	if err != nil || c.JSON {
		return cmp.Or(err, printUnless(err, out, answer))
	}
	refused := false
	fmt.Fprintf(out, "%s of %s, id %s\n", answer.Name, answer.Repository, answer.Id)
	for _, m := range answer.Members {
		if m.Error != "" {
			refused = true
			fmt.Fprintf(out, "  ✕ %s: %s\n", m.Of, m.Error)
			continue
		}
		fmt.Fprintf(out, "  ✓ %s: request %s for %s\n", m.Of, m.Request.Id, m.Request.Name)
	}
	if refused {
		return exit(exitDenied)
	}
	return nil
}

func printUnless(err error, out io.Writer, value any) error {
	if err != nil {
		return err
	}
	return printJSON(out, value)
}

type previewListCommand struct {
	serverFlags
	JSON bool `name:"json" help:"Print an array of ephemeral environments."`
}

// Run lists them, the newest first.
func (c *previewListCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	previews, err := conn.Previews(ctx)
	if err != nil {
		return err
	}
	return listing[api.EphemeralEnvironment]{
		none:  "There are no ephemeral environments.",
		heads: "ID\tNAME\tREPOSITORY\tINSTANCES\tENDS",
		row: func(p api.EphemeralEnvironment) []any {
			ends := ""
			if p.ExpiresAt != nil {
				ends = toTheMinute(*p.ExpiresAt)
			}
			return []any{p.Id, p.Name, p.Repository, len(p.Instances), ends}
		},
	}.print(out, previews, c.JSON)
}

type previewExtendCommand struct {
	serverFlags
	ID  uuid.UUID `arg:"" name:"id" help:"The environment's id; see roadbed preview list."`
	By  string    `required:"" help:"How much longer, such as 24h." placeholder:"TIME"`
	Key string    `help:"Your name for this ask, as for request create." placeholder:"KEY"`
}

// Run asks for a longer life.
func (c *previewExtendCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	outcomes, err := conn.ExtendPreview(ctx, cmp.Or(c.Key, uuid.NewString()), c.ID, c.By)
	return printOutcomes(out, outcomes, err)
}

type previewDeleteCommand struct {
	serverFlags
	ID  uuid.UUID `arg:"" name:"id" help:"The environment's id; see roadbed preview list."`
	Key string    `help:"Your name for this ask, as for request create." placeholder:"KEY"`
}

// Run asks for its end.
func (c *previewDeleteCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	outcomes, err := conn.DestroyPreview(ctx, cmp.Or(c.Key, uuid.NewString()), c.ID)
	return printOutcomes(out, outcomes, err)
}

// printOutcomes tells what became of each instance, and exits as refused when
// one was.
func printOutcomes(out io.Writer, outcomes []api.PreviewOutcome, err error) error {
	if err != nil {
		return err
	}
	refused := false
	for _, o := range outcomes {
		if o.Error != "" {
			refused = true
			fmt.Fprintf(out, "✕ %s: %s\n", o.Name, o.Error)
			continue
		}
		fmt.Fprintf(out, "✓ %s %s: request %s\n", o.Request.Action, o.Name, o.Request.Id)
	}
	if refused {
		return exit(exitDenied)
	}
	return nil
}
