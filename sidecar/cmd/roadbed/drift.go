package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type driftCommand struct {
	List     driftListCommand     `cmd:"" help:"List the causes of drift over your teams' instances, the widest first."`
	Get      driftGetCommand      `cmd:"" help:"Show how an instance differs from what was asked for."`
	Check    driftCheckCommand    `cmd:"" help:"Have an instance checked now, and show what was found."`
	Revert   driftRevertCommand   `cmd:"" help:"Ask for an instance to be again as it was asked for."`
	Adopt    driftAdoptCommand    `cmd:"" help:"Ask for what an instance has become."`
	Suppress driftSuppressCommand `cmd:"" help:"Hear nothing of an instance's drift until a date."`
}

type driftListCommand struct {
	serverFlags
	Suppressed bool `help:"Also what somebody has suppressed."`
	JSON       bool `name:"json" help:"Print an array of causes."`
}

// Run prints each cause with the instances that it is found on.
func (c *driftListCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	groups, err := conn.DriftGroups(ctx, c.Suppressed)
	if err != nil {
		return err
	}
	return listing[api.DriftGroup]{
		none:  "No drift detected.",
		heads: "DRIFT\tOFFERING\tON\tINSTANCES\tMONTHLY\tSINCE",
		row: func(g api.DriftGroup) []any {
			price := "-"
			if g.MonthlyDifference != nil {
				price = signed(*g.MonthlyDifference)
			}
			names := make([]string, len(g.Instances))
			for i, f := range g.Instances {
				names[i] = f.Environment + "/" + f.Name
				if f.Suppressed != nil {
					names[i] += " (suppressed)"
				}
			}
			return []any{g.Title, g.Offering, len(g.Instances), strings.Join(names, " "), price, g.FirstSeen.Local().Format("Mon 2 Jan 15:04")}
		},
	}.print(out, groups, c.JSON)
}

type driftGetCommand struct {
	instanceFlags
	JSON bool `name:"json" help:"Print what the API answers."`
}

// Run prints what the newest check found.
func (c *driftGetCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	drift, err := conn.Drift(ctx, instance.Id)
	if err != nil {
		return err
	}
	return printDrift(out, instance, drift, c.JSON)
}

type driftCheckCommand struct {
	instanceFlags
	JSON bool `name:"json" help:"Print what the API answers."`
}

// Run has the instance checked and waits until a worker has done so.
func (c *driftCheckCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	asked, err := conn.CheckDrift(ctx, instance.Id)
	if err != nil {
		return err
	}
	drift, err := awaitCheck(ctx, conn.Client, asked)
	if err != nil {
		return err
	}
	return printDrift(out, instance, drift, c.JSON)
}

// awaitCheck reads an instance's drift until the check that was asked for has
// told, or ctx ends.
func awaitCheck(ctx context.Context, conn *client.Client, asked api.DriftAnswer) (api.DriftAnswer, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return api.DriftAnswer{}, ctx.Err()
		case <-tick.C:
		}
		drift, err := conn.Drift(ctx, asked.InstanceId)
		if err != nil {
			return api.DriftAnswer{}, err
		}
		waits := drift.Check.Running || drift.Check.DueAt != nil && asked.Check.DueAt != nil && drift.Check.DueAt.Equal(*asked.Check.DueAt)
		if !waits {
			return drift, nil
		}
	}
}

// printDrift shows drift for a person, and says what to do about it.
func printDrift(out io.Writer, i api.Instance, d api.DriftAnswer, asJSON bool) error {
	if asJSON {
		return printJSON(out, d)
	}
	name := i.Environment + "/" + i.Name
	if d.Check.Failure != "" {
		fmt.Fprintf(out, "The newest check could not tell: %s\n", d.Check.Failure)
	}
	switch {
	case d.HasDrift:
	case d.Check.CheckedAt == nil:
		fmt.Fprintf(out, "%s was not checked yet. Have it checked: roadbed drift check %s\n", name, name)
		return nil
	default:
		fmt.Fprintf(out, "No drift detected. Checked %s.\n", d.Check.CheckedAt.Local().Format("Mon 2 Jan 15:04"))
		return nil
	}
	fmt.Fprintf(out, "%s differs from what was asked for since %s:\n", name, d.DetectedAt.Local().Format("Mon 2 Jan 15:04"))
	for n, difference := range *d.Differences {
		fmt.Fprintf(out, "  %s", (*d.Titles)[n])
		if difference.Kind == provision.DriftChanged && difference.Attribute != "" {
			fmt.Fprintf(out, "; asked for: %v", orNotSet(difference.Expected))
		}
		fmt.Fprintln(out)
	}
	if d.More != nil && *d.More > 0 {
		fmt.Fprintf(out, "  and %d more\n", *d.More)
	}
	if d.Suppressed != nil {
		fmt.Fprintf(out, "Suppressed until %s by %s\n", d.Suppressed.Until.Local().Format("Mon 2 Jan 15:04"), withReason(d.Suppressed.By, d.Suppressed.Reason))
	}
	fmt.Fprintf(out, "\nRevert:  roadbed drift revert %s\n", name)
	if d.Adoption != nil {
		if d.Adoption.Possible {
			fmt.Fprintf(out, "Adopt:   roadbed drift adopt %s\n         %s\n", name, d.Adoption.Summary)
		} else {
			fmt.Fprintf(out, "Adopt:   not possible: %s\n", d.Adoption.Summary)
		}
	}
	return nil
}

func orNotSet(value any) any {
	if value == nil {
		return "nothing"
	}
	return value
}

// driftAnswer is what answers to drift have in common.
type driftAnswer struct {
	instanceFlags
	Key   string `help:"Your name for this ask, as for create." placeholder:"KEY"`
	Watch bool   `help:"Follow it until it has ended."`
	JSON  bool   `name:"json" help:"Print the request as JSON; with --watch, each event as a line."`
}

// run answers the drift that the caller sees now.
func (c *driftAnswer) run(ctx context.Context, out io.Writer, ask func(conn *client.Client, key string, id uuid.UUID, cause string) (api.Request, error)) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	cause := ""
	if instance.Drift != nil {
		cause = instance.Drift.Cause
	}
	key := cmp.Or(c.Key, uuid.NewString())
	r, err := ask(conn.Client, key, instance.Id, cause)
	if err != nil {
		return conn.notAccepted(ctx, out, err, key, c.JSON)
	}
	return conn.answer(ctx, out, r, c.Watch, c.JSON)
}

type driftRevertCommand struct{ driftAnswer }

// Help is the longer text of --help.
func (driftRevertCommand) Help() string {
	return `Its unchanged parameters are applied: what was changed behind Roadbed's back is
changed back.

  roadbed drift revert dev/orders --as ann --watch`
}

// Run asks for the revert.
func (c *driftRevertCommand) Run(ctx context.Context, out io.Writer) error {
	return c.run(ctx, out, func(conn *client.Client, key string, id uuid.UUID, cause string) (api.Request, error) {
		return conn.RevertDrift(ctx, key, id, cause)
	})
}

type driftAdoptCommand struct{ driftAnswer }

// Help is the longer text of --help.
func (driftAdoptCommand) Help() string {
	return `Its parameters become those of what is there, at the price and under the policy of
any other change; roadbed drift get says both before. Nothing that has drifted is touched.

  roadbed drift adopt dev/orders --as ann --watch`
}

// Run asks for the adoption.
func (c *driftAdoptCommand) Run(ctx context.Context, out io.Writer) error {
	return c.run(ctx, out, func(conn *client.Client, key string, id uuid.UUID, cause string) (api.Request, error) {
		return conn.AdoptDrift(ctx, key, id, cause)
	})
}

type driftSuppressCommand struct {
	instanceFlags
	Until  string `help:"A date, a time, or how long, such as 72h." required:"" placeholder:"WHEN"`
	Reason string `help:"Why, for whoever looks at it later." required:"" placeholder:"TEXT"`
	JSON   bool   `name:"json" help:"Print what the API answers."`
}

// Help is the longer text of --help.
func (driftSuppressCommand) Help() string {
	return `Drift for another cause is told all the same, and this one again when the time is over.

  roadbed drift suppress dev/orders --until 2026-06-30 --reason "load test" --as ann`
}

// Run suppresses.
func (c *driftSuppressCommand) Run(ctx context.Context, out io.Writer) error {
	until, err := untilOf(c.Until, time.Now())
	if err != nil {
		return err
	}
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	drift, err := conn.SuppressDrift(ctx, instance.Id, api.DriftSuppression{Until: until, Reason: c.Reason})
	if err != nil {
		return err
	}
	return printDrift(out, instance, drift, c.JSON)
}

// untilOf reads a date, which is its beginning here, a time, or a duration from
// now.
func untilOf(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, provision.Errorf(provision.Invalid, "--until is %q; give a date such as 2026-06-30, a time such as 2026-06-30T12:00:00Z, or a duration such as 72h", text)
}
