package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/term"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

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
