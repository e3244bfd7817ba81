package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type instanceCommand struct {
	List instanceListCommand `cmd:"" help:"List what there is of your teams', newest first."`
	Show instanceShowCommand `cmd:"" help:"Show an instance: how it is, its outputs, and what was asked of it."`
}

type instanceListCommand struct {
	serverFlags
	Owner       string `help:"Only of this group." placeholder:"GROUP"`
	Offering    string `help:"Only of this offering." placeholder:"ID"`
	Environment string `help:"Only in this environment." placeholder:"NAME"`
	Limit       int    `help:"How many at most." default:"100"`
	JSON        bool   `name:"json" help:"Print an array of instances."`
}

// Run prints the living instances, page after page up to the limit.
func (c *instanceListCommand) Run(ctx context.Context, out io.Writer) error {
	if c.Limit < 1 {
		return provision.Errorf(provision.Invalid, "--limit is %d; it must be 1 or more", c.Limit)
	}
	conn, err := c.connect()
	if err != nil {
		return err
	}
	page := api.ListInstancesParams{Owner: &c.Owner, Offering: &c.Offering, Environment: &c.Environment}
	instances, more := []api.Instance{}, true
	for more && len(instances) < c.Limit {
		size := min(c.Limit-len(instances), 100)
		page.Limit = &size
		list, err := conn.Instances(ctx, page)
		if err != nil {
			return err
		}
		instances, page.Cursor, more = append(instances, list.Items...), &list.Next, list.Next != ""
	}
	if err := instanceListing.print(out, instances, c.JSON); err != nil {
		return err
	}
	if more && !c.JSON {
		fmt.Fprintf(out, "There are more; see them with --limit %d.\n", c.Limit*5)
	}
	return nil
}

// instanceListing is the table of instances.
var instanceListing = listing[api.Instance]{
	none:  "There are no instances here. Ask for one with: roadbed request create --help",
	heads: "INSTANCE\tSTATE\tOFFERING\tVERSION\tOWNER\tMONTHLY\tDRIFT",
	row: func(i api.Instance) []any {
		drift := "-"
		if i.Drift != nil {
			drift = i.Drift.Title
		}
		return []any{i.Environment + "/" + i.Name, i.State, i.Offering, versionText(i), shortOwner(i.Owner), priceText(i.MonthlyCost), drift}
	},
}

// versionText is an instance's version, and the one that it can be upgraded to.
func versionText(i api.Instance) string {
	if i.AvailableVersion == "" {
		return i.OfferingVersion
	}
	return i.OfferingVersion + " (" + i.AvailableVersion + " available)"
}

func priceText(price *provision.Money) string {
	if price == nil {
		return "-"
	}
	return price.String()
}

type instanceShowCommand struct {
	instanceFlags
	JSON bool `name:"json" help:"Print what the API answers."`
}

// Run prints an instance and its newest requests.
func (c *instanceShowCommand) Run(ctx context.Context, out io.Writer) error {
	conn, instance, err := c.reach(ctx)
	if err != nil {
		return err
	}
	answer, err := conn.Client.Instance(ctx, instance.Id)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(out, answer)
	}
	printInstance(out, answer, time.Now())
	return nil
}

// printInstance shows an instance as it stands at now.
func printInstance(out io.Writer, answer api.InstanceAnswer, now time.Time) {
	i := answer.Instance
	field := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-8s  %s\n", name, fmt.Sprintf(format, args...))
	}
	field("Instance", "%s · %s %s · %s", i.Name, i.OfferingName, versionText(i), i.Environment)
	field("State", "%s", stateOf(i))
	field("Price", "%s / month", priceText(i.MonthlyCost))
	field("Owner", "%s, cost center %s", i.Owner, i.CostCenter)
	if i.Drift != nil {
		field("Drift", "%s (roadbed drift get %s/%s)", i.Drift.Title, i.Environment, i.Name)
	}
	if i.ExpiresAt != nil {
		field("Ends", "%s", i.ExpiresAt.Local().Format("Mon 2 Jan 2006 15:04"))
	}
	field("Entity", "%s", i.EntityRef)
	printValues(out, "Parameters", i.Parameters)
	printValues(out, "Outputs", i.Outputs)
	if len(answer.Requests) > 0 {
		fmt.Fprintln(out, "\nRequests")
		_ = requestListing(now).print(out, answer.Requests, false) // a table has no fault
	}
}

// stateOf is an instance's state, and why nothing can be asked of it now.
func stateOf(i api.Instance) string {
	if i.ChangesAllowed == nil || *i.ChangesAllowed == "" {
		return string(i.State)
	}
	return string(i.State) + ": " + *i.ChangesAllowed
}

// printValues is a titled list of values by name, nothing without any.
func printValues[V any](out io.Writer, title string, values map[string]V) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", title)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(table, "  %s\t%v\n", name, values[name])
	}
	_ = table.Flush() // out is the terminal; nothing to do
}
