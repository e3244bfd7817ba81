package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// pausedThing names what is paused or resumed.
type pausedThing struct {
	Kind string `arg:"" enum:"offering,pool,everything" help:"offering, pool or everything."`
	Name string `arg:"" optional:"" help:"The offering's id or the pool's name."`
}

type pauseCommand struct {
	serverFlags
	pausedThing
	Reason string `required:"" help:"Why; whoever waits reads it." placeholder:"TEXT"`
}

// Help is the longer text of --help.
func (pauseCommand) Help() string {
	return `What is asked for is accepted and waits; runs that are under way finish.

  roadbed pause offering postgres-database --reason "the disks are full" --as pat
  roadbed pause pool local --reason "new workers" --as pat
  roadbed pause everything --reason "incident 4711" --as pat`
}

// Run pauses.
func (c *pauseCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	pause, err := conn.BeginPause(ctx, provision.PauseKind(c.Kind), c.Name, c.Reason)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Paused %s. Resume with: roadbed resume %s\n", pause.Thing(), pause.Thing())
	return nil
}

type resumeCommand struct {
	serverFlags
	pausedThing
}

// Run ends the pause of the thing.
func (c *resumeCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	pauses, err := conn.Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range pauses {
		if string(p.Kind) != c.Kind || p.Name != c.Name {
			continue
		}
		if err := conn.EndPause(ctx, p.ID); err != nil {
			return err
		}
		fmt.Fprintf(out, "Resumed %s.\n", p.Thing())
		return nil
	}
	return provision.Errorf(provision.NotFound, "%s is not paused; see roadbed pauses", strings.TrimSpace(c.Kind+" "+c.Name))
}

type pausesCommand struct {
	serverFlags
	JSON bool `name:"json" help:"Print an array of pauses."`
}

// Run lists the pauses in force, oldest first.
func (c *pausesCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	pauses, err := conn.Pauses(ctx)
	if err != nil {
		return err
	}
	return listing[provision.Pause]{
		none:  "Nothing is paused.",
		heads: "PAUSED\tBY\tSINCE\tREASON",
		row: func(p provision.Pause) []any {
			return []any{p.Thing(), shortPerson(p.By), toTheMinute(p.At), p.Reason}
		},
	}.print(out, pauses, c.JSON)
}
