package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type approvalCommand struct {
	List approvalListCommand `cmd:"" help:"List what waits for your approval, oldest first."`
}

type approvalListCommand struct {
	serverFlags
	JSON bool `name:"json" help:"Print an array of requests."`
}

// Help is the longer text of --help.
func (approvalListCommand) Help() string {
	return `Each is a request whose plan is made and waits. Look at it with roadbed request
get; answer with roadbed request approve or roadbed request reject.

  roadbed approval list --as pat`
}

// Run prints what waits for the caller.
func (c *approvalListCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	waiting, err := conn.Approvals(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	return listing[api.Request]{
		none:  "Nothing waits for your approval.",
		heads: "REQUEST\tACTION\tNAME\tOFFERING\tENVIRONMENT\tOWNER\tMONTHLY\tPLAN\tASKED BY\tLEFT",
		row: func(r api.Request) []any {
			plan, left := "-", "-"
			if a := r.Approval; a != nil && a.Plan != nil {
				plan = planText(*a.Plan)
			}
			if a := r.Approval; a != nil && a.ExpiresAt != nil {
				left = span(a.ExpiresAt.Sub(now))
			}
			return []any{r.Id, r.Action, r.Name, r.Offering, r.Environment, shortOwner(r.Owner), priceText(r.MonthlyCost), plan, shortPerson(r.RequestedBy), left}
		},
	}.print(out, waiting, c.JSON)
}

type requestApproveCommand struct {
	serverFlags
	ID     uuid.UUID `arg:"" name:"id" help:"The request's id."`
	Reason string    `help:"Why, for whoever looks at it later." placeholder:"TEXT"`
	JSON   bool      `name:"json" help:"Print the request as JSON."`
}

// Help is the longer text of --help.
func (requestApproveCommand) Help() string {
	return `What you approve is the plan that roadbed request get shows, at its price; exactly
that plan is applied. Approving twice is approving once.

  roadbed request approve 0199a3c0-… --as pat --reason "for the load test"`
}

// Run approves and says what is still missing.
func (c *requestApproveCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	r, err := conn.Approve(ctx, c.ID, c.Reason)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "Approved. %s is %s.\n", r.Id, stateText(r))
	return nil
}

type requestRejectCommand struct {
	serverFlags
	ID     uuid.UUID `arg:"" name:"id" help:"The request's id."`
	Reason string    `help:"Why; whoever asked reads it." placeholder:"TEXT" required:""`
	JSON   bool      `name:"json" help:"Print the request as JSON."`
}

// Help is the longer text of --help.
func (requestRejectCommand) Help() string {
	return `The request is denied and nothing is made.

  roadbed request reject 0199a3c0-… --as pat --reason "use the shared one"`
}

// Run rejects.
func (c *requestRejectCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	r, err := conn.Reject(ctx, c.ID, c.Reason)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, r)
	}
	fmt.Fprintf(out, "Rejected. %s is %s.\n", r.Id, r.State)
	return nil
}

// printApproval shows whose approval a request needs and has, and for what.
func printApproval(out io.Writer, r api.Request) {
	a := r.Approval
	if a == nil {
		return
	}
	fmt.Fprintln(out, "\nApproval")
	for _, n := range a.Needed {
		fmt.Fprintf(out, "  %d of %s: %s  (%s)\n", n.Count, strings.Join(n.Approvers, ", "), strings.Join(n.People, ", "), strings.Join(n.Rules, ", "))
	}
	for _, g := range a.Given {
		fmt.Fprintf(out, "  ✓ %s\n", withReason(g.By, g.Reason))
	}
	if a.Void != "" {
		fmt.Fprintf(out, "  ! Earlier approvals no longer count: %s\n", a.Void)
	}
	if a.Plan != nil {
		fmt.Fprintf(out, "  Plan: %s\n", planText(*a.Plan))
		for _, c := range a.Plan.Changes {
			fmt.Fprintf(out, "    %-7s %s\n", c.Action, c.Address)
		}
	}
	if a.ExpiresAt != nil {
		fmt.Fprintf(out, "  Denied if nobody approves by %s\n", a.ExpiresAt.Local().Format("Mon 2 Jan 15:04"))
	}
	if a.MayApprove {
		fmt.Fprintf(out, "  You may answer: roadbed request approve %s, or reject\n", r.Id)
	}
}

// planText is a plan in a few words: "3 to create, 1 to delete".
func planText(p provision.PlanSummary) string {
	var parts []string
	for _, part := range []struct {
		n    int
		verb string
	}{{p.Create, "create"}, {p.Update, "update"}, {p.Replace, "replace"}, {p.Delete, "delete"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", part.n, part.verb))
		}
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, ", ")
}
