package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/client"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type operatorCommand struct {
	Show       operatorShowCommand    `cmd:"" help:"Show what is known of a request that was cut short."`
	AttestDead operatorAttestCommand  `cmd:"" help:"Vouch for it that the Terraform process of a lost request cannot run any more."`
	Recover    operatorRecoverCommand `cmd:"" help:"Have an attested request taken up by another worker."`
	Finish     operatorFinishCommand  `cmd:"" help:"End an attested request by word, as succeeded or failed."`
	Import     operatorImportCommand  `cmd:"" help:"Say what a resource is known by, for the next run to import."`
	Forget     operatorForgetCommand  `cmd:"" help:"Say that a resource is not there, so that no run imports it."`
	Sweep      operatorSweepCommand   `cmd:"" help:"List what is at AWS and belongs to no instance."`
	State      operatorStateCommand   `cmd:"" help:"List what an instance's state has, and take something out of it."`
}

// operatedRequest names a request and why an operator says something of it.
type operatedRequest struct {
	serverFlags
	ID     uuid.UUID `arg:"" name:"id" help:"The request's id."`
	Reason string    `required:"" help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
	JSON   bool      `name:"json" help:"Print what the API answers."`
}

func (c *operatedRequest) run(out io.Writer, do func(*client.Client) (provision.Recovery, error)) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	recovery, err := do(conn.Client)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, recovery)
	}
	fmt.Fprintf(out, "%s is %s. %s\n", recovery.RequestID, recovery.State, recovery.Next)
	return nil
}

type operatorShowCommand struct {
	serverFlags
	ID   uuid.UUID `arg:"" name:"id" help:"The request's id."`
	JSON bool      `name:"json" help:"Print what the API answers."`
}

// Help is the longer text of --help.
func (operatorShowCommand) Help() string {
	return `Its run and worker, what its journal says was made, what state has, what the next run
imports, and what can be done now.

  roadbed operator show 0199a3c0-… --as pat`
}

// Run prints a recovery.
func (c *operatorShowCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	recovery, err := conn.Recovery(ctx, c.ID)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, recovery)
	}
	printRecovery(out, recovery)
	return nil
}

type operatorAttestCommand struct{ operatedRequest }

// Help is the longer text of --help.
func (operatorAttestCommand) Help() string {
	return `Say it only when the worker's machine is gone or its Terraform process has ended:
nothing else keeps a second apply from running beside the first.

  roadbed operator attest-dead 0199a3c0-… --reason "vm-7 was deleted" --as pat`
}

// Run attests.
func (c *operatorAttestCommand) Run(ctx context.Context, out io.Writer) error {
	return c.run(out, func(conn *client.Client) (provision.Recovery, error) { return conn.Attest(ctx, c.ID, c.Reason) })
}

type operatorRecoverCommand struct{ operatedRequest }

// Help is the longer text of --help.
func (operatorRecoverCommand) Help() string {
	return `The worker imports what roadbed operator show lists, and plans anew; the plan meets
policy, and people approve it again where it needs them.

  roadbed operator recover 0199a3c0-… --reason "vm-7 was deleted" --as pat`
}

// Run has it recovered.
func (c *operatorRecoverCommand) Run(ctx context.Context, out io.Writer) error {
	return c.run(out, func(conn *client.Client) (provision.Recovery, error) { return conn.Recover(ctx, c.ID, c.Reason) })
}

type operatorFinishCommand struct {
	operatedRequest
	Result string `required:"" enum:"succeeded,failed" help:"succeeded or failed."`
}

// Help is the longer text of --help.
func (operatorFinishCommand) Help() string {
	return `Roadbed believes you: what is said to have succeeded is ready, with the outputs that
its state has.

  roadbed operator finish 0199a3c0-… --result failed --reason "made by hand" --as pat`
}

// Run ends it.
func (c *operatorFinishCommand) Run(ctx context.Context, out io.Writer) error {
	return c.run(out, func(conn *client.Client) (provision.Recovery, error) {
		return conn.Conclude(ctx, c.ID, c.Result, c.Reason)
	})
}

// operatedResource names a resource of an instance.
type operatedResource struct {
	instanceFlags
	Address string `arg:"" help:"The resource's address in Terraform."`
	Reason  string `required:"" help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

type operatorImportCommand struct {
	operatedResource
	ResourceID string `arg:"" name:"resource-id" help:"What its provider imports it by."`
}

// Help is the longer text of --help.
func (operatorImportCommand) Help() string {
	return `For what a journal could not name, or names by an id that is not the one to import by.

  roadbed operator import orders postgres_database.main orders_9f3a2c1d --reason "found by its tag" --as pat`
}

// Run notes it.
func (c *operatorImportCommand) Run(ctx context.Context, out io.Writer) error {
	return c.note(ctx, out, c.ResourceID)
}

type operatorForgetCommand struct{ operatedResource }

// Run notes that it is not there.
func (c *operatorForgetCommand) Run(ctx context.Context, out io.Writer) error {
	return c.note(ctx, out, "")
}

func (c *operatedResource) note(ctx context.Context, out io.Writer, resourceID string) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	recovery, err := conn.Note(ctx, instance.Id, c.Address, resourceID, c.Reason)
	if err != nil {
		return err
	}
	printImports(out, recovery)
	return nil
}

type operatorStateCommand struct {
	List   operatorStateListCommand   `cmd:"" help:"List the resources that an instance's state has."`
	Remove operatorStateRemoveCommand `cmd:"" help:"Take a resource out of an instance's state, without touching the resource."`
}

type operatorStateListCommand struct{ instanceFlags }

// Run lists addresses.
func (c *operatorStateListCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	recovery, err := conn.Recovery(ctx, instance.RequestId)
	if err != nil {
		return err
	}
	printResources(out, recovery)
	return nil
}

type operatorStateRemoveCommand struct{ operatedResource }

// Run takes it out and lists what is left.
func (c *operatorStateRemoveCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	recovery, err := conn.RemoveFromState(ctx, instance.Id, c.Address, c.Reason)
	if err != nil {
		return err
	}
	printResources(out, recovery)
	return nil
}

func printRecovery(out io.Writer, r provision.Recovery) {
	fmt.Fprintf(out, "Request %s is %s", r.RequestID, r.State)
	if r.Waiting != "" {
		fmt.Fprintf(out, ": %s", r.Waiting)
	}
	fmt.Fprintln(out)
	if r.Run != nil {
		fmt.Fprintf(out, "Run %s of pool %s is %s", r.Run.ID, r.Run.Pool, r.Run.State)
		if r.Run.Worker != "" {
			fmt.Fprintf(out, ", of worker %s, token %d", r.Run.Worker, r.Run.Fence)
		}
		fmt.Fprintln(out)
	}
	if len(r.Journal) > 0 {
		fmt.Fprintln(out, "\nJournal since the last good end")
		table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, e := range r.Journal {
			said := fmt.Sprintf("token %d", e.Fence)
			if e.By != "" {
				said = shortPerson(e.By) + ": " + e.Reason
			}
			fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\n", e.At.UTC().Format("15:04:05"), e.Did, e.Address, knownBy(e.ResourceID, e.Sealed), said)
		}
		_ = table.Flush() // out is the terminal; nothing to do
	}
	fmt.Fprintln(out)
	printResources(out, r)
	printImports(out, r)
	fmt.Fprintf(out, "\n%s\n", r.Next)
}

func printResources(out io.Writer, r provision.Recovery) {
	if r.Serial == nil {
		fmt.Fprintln(out, "There is no state yet.")
		return
	}
	fmt.Fprintf(out, "State %d has\n", *r.Serial)
	for _, address := range r.Resources {
		fmt.Fprintf(out, "  %s\n", address)
	}
}

func printImports(out io.Writer, r provision.Recovery) {
	if len(r.Imports) == 0 {
		fmt.Fprintln(out, "The next run imports nothing.")
		return
	}
	fmt.Fprintln(out, "The next run imports")
	for _, m := range r.Imports {
		fmt.Fprintf(out, "  %s  %s\n", m.Address, knownBy(m.ResourceID, m.SealedID != nil))
	}
}

// knownBy is what a resource's provider knows it by, for people.
func knownBy(id string, sealed bool) string {
	if sealed {
		return "(sealed)"
	}
	return id
}
