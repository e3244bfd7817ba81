package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type campaignCommand struct {
	Create  campaignCreateCommand  `cmd:"" help:"Plan the upgrade of every instance that is not of a version; nothing is touched."`
	List    campaignListCommand    `cmd:"" help:"List campaigns, the newest first."`
	Show    campaignShowCommand    `cmd:"" help:"Show a campaign: what its plans do, its rings, and who waits."`
	Approve campaignApproveCommand `cmd:"" help:"Let plans that do the same be applied."`
	Start   campaignStartCommand   `cmd:"" help:"Upgrade what is approved, ring by ring."`
	Halt    campaignHaltCommand    `cmd:"" help:"Ask for nothing more; what is on its way goes on."`
	Resume  campaignResumeCommand  `cmd:"" help:"Go on, whatever has failed so far."`
	Stop    campaignStopCommand    `cmd:"" help:"End it; what is on its way goes on."`
	OptOut  campaignOptOutCommand  `cmd:"" help:"Keep it from a team's instances until a date."`
}

type campaignCreateCommand struct {
	serverFlags
	Offering     string   `arg:"" help:"The offering's id, such as postgres-database."`
	Version      string   `arg:"" help:"The version to upgrade to, or its digest."`
	Environments []string `help:"Of these environments alone." placeholder:"NAME"`
	Owners       []string `help:"Of these teams alone." placeholder:"TEAM"`
	RingSizes    []int    `help:"How many instances each ring has, 0 for the rest; without it rings are environments." placeholder:"N"`
	HaltAfter    int      `help:"How many failures halt it." default:"1"`
	AtOnce       int      `help:"How many upgrades are on their way at most." default:"4"`
	JSON         bool     `name:"json" help:"Print what the API answers."`
}

// Run makes the campaign.
func (c *campaignCreateCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	ask := api.CampaignAsk{
		Offering: c.Offering, Version: c.Version, Environments: c.Environments, RingSizes: c.RingSizes, HaltAfter: c.HaltAfter, AtOnce: c.AtOnce,
	}
	for _, owner := range c.Owners {
		ask.Owners = append(ask.Owners, provision.OwnerRef(owner))
	}
	campaign, err := conn.MakeCampaign(ctx, uuid.NewString(), ask)
	return printCampaign(out, campaign, c.JSON, err)
}

type campaignListCommand struct {
	serverFlags
	JSON bool `name:"json" help:"Print an array of campaigns."`
}

// Run lists them with how far each has come.
func (c *campaignListCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	list, err := conn.Campaigns(ctx)
	if err != nil {
		return err
	}
	return listing[api.Campaign]{
		none:  "There is no campaign.",
		heads: "CAMPAIGN\tTO\tSTATE\tDONE\tFAILED\tMADE",
		row: func(c api.Campaign) []any {
			done := fmt.Sprintf("%d of %d", c.Counts.Done, c.Counts.Instances)
			return []any{c.Id, c.Offering + " " + c.Version, c.State, done, c.Counts.Failed, c.CreatedAt.Local().Format("Mon 2 Jan 15:04")}
		},
	}.print(out, list.Items, c.JSON)
}

// campaignFlags name a campaign.
type campaignFlags struct {
	serverFlags
	Campaign uuid.UUID `arg:"" help:"The campaign's id."`
	JSON     bool      `name:"json" help:"Print what the API answers."`
}

func (f campaignFlags) move(ctx context.Context, out io.Writer, move, reason string) error {
	conn, err := f.connect()
	if err != nil {
		return err
	}
	campaign, err := conn.MoveCampaign(ctx, f.Campaign, move, reason)
	return printCampaign(out, campaign, f.JSON, err)
}

type campaignShowCommand struct{ campaignFlags }

// Run shows it.
func (c *campaignShowCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	campaign, err := conn.Campaign(ctx, c.Campaign)
	return printCampaign(out, campaign, c.JSON, err)
}

type campaignApproveCommand struct {
	campaignFlags
	Group   string `arg:"" help:"The group's shape, as show prints it."`
	Confirm string `help:"What the group says is to be typed, where it would lose something." placeholder:"TEXT"`
	Reason  string `help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

// Run approves the group.
func (c *campaignApproveCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	campaign, err := conn.ApproveGroup(ctx, c.Campaign, c.Group, api.GroupApprove{Confirm: c.Confirm, Reason: c.Reason})
	return printCampaign(out, campaign, c.JSON, err)
}

type campaignStartCommand struct{ campaignFlags }

// Run starts it.
func (c *campaignStartCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, "start", "")
}

type campaignHaltCommand struct {
	campaignFlags
	Reason string `required:"" help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

// Run halts it.
func (c *campaignHaltCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, "halt", c.Reason)
}

type campaignResumeCommand struct {
	campaignFlags
	Reason string `help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

// Run resumes it.
func (c *campaignResumeCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, "resume", c.Reason)
}

type campaignStopCommand struct {
	campaignFlags
	Reason string `required:"" help:"Why; whoever looks at it later reads it." placeholder:"TEXT"`
}

// Run ends it.
func (c *campaignStopCommand) Run(ctx context.Context, out io.Writer) error {
	return c.move(ctx, out, "stop", c.Reason)
}

type campaignOptOutCommand struct {
	campaignFlags
	Owner  string `required:"" help:"The team." placeholder:"TEAM"`
	Until  string `required:"" help:"A date, a time, or how long, such as 72h." placeholder:"WHEN"`
	Reason string `required:"" help:"Why; whoever rolls it out reads it." placeholder:"TEXT"`
}

// Run opts a team out.
func (c *campaignOptOutCommand) Run(ctx context.Context, out io.Writer) error {
	until, err := untilOf(c.Until, time.Now())
	if err != nil {
		return err
	}
	conn, err := c.connect()
	if err != nil {
		return err
	}
	campaign, err := conn.OptOut(ctx, c.Campaign, api.CampaignOptOut{Owner: provision.OwnerRef(c.Owner), Until: until, Reason: c.Reason})
	return printCampaign(out, campaign, c.JSON, err)
}

// printCampaign shows a campaign for a person, and says what can be done.
func printCampaign(out io.Writer, c api.Campaign, asJSON bool, err error) error {
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(out, c)
	}
	fmt.Fprintf(out, "%s to %s: %s", c.OfferingName, c.Version, c.State)
	if c.Reason != "" {
		fmt.Fprintf(out, " (%s)", c.Reason)
	}
	fmt.Fprintf(out, "\n%s\n\n", countsText(c.Counts))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GROUP\tINSTANCES\tWHAT\tA MONTH\tAPPROVED\tSUCH AS")
	for _, g := range c.Groups {
		price, approved, what := "-", "no", g.Title
		if g.MonthlyDifference != nil {
			price = signed(*g.MonthlyDifference)
		}
		switch {
		case g.Failure != "":
			approved, what = "-", g.Title+": "+g.Failure
		case g.ApprovedBy != nil:
			approved = "by " + shortPerson(*g.ApprovedBy)
		case g.Confirm != "":
			approved = fmt.Sprintf("no; --confirm %q", g.Confirm)
		}
		shape := g.Shape
		if shape == "" {
			shape = "-"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\n", shape, g.Counts.Instances, what, price, approved, strings.Join(g.Examples[:min(2, len(g.Examples))], " "))
	}
	fmt.Fprintln(table)
	fmt.Fprintln(table, "RING\tINSTANCES\tHOW IT FARES")
	for n, ring := range c.Rings {
		name := ring.Name
		if n == c.Ring && c.State == provision.CampaignRunning {
			name += " (now)"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\n", name, ring.Counts.Instances, countsText(ring.Counts))
	}
	_ = table.Flush() // out is the terminal; nothing to do
	for _, m := range c.Members {
		if m.State == provision.MemberFailed {
			fmt.Fprintf(out, "%s/%s: %s\n", m.Environment, m.Name, m.Error)
		}
	}
	fmt.Fprintf(out, "\nShow it again: roadbed campaign show %s\n", c.Id)
	return nil
}

// countsText says how many are in which state, those that there are.
func countsText(c api.CampaignCounts) string {
	var said []string
	for _, count := range []struct {
		n    int
		word string
	}{
		{c.Done, "upgraded"}, {c.Asked, "on their way"}, {c.Ready, "to come"}, {c.Failed, "failed"}, {c.Unapproved, "not approved"},
		{c.OptedOut, "opted out"}, {c.CannotPlan, "cannot be planned"}, {c.Planning, "being planned"}, {c.Gone, "gone"},
	} {
		if count.n > 0 {
			said = append(said, fmt.Sprintf("%d %s", count.n, count.word))
		}
	}
	return strings.Join(said, ", ")
}
