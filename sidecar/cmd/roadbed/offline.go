package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/offering"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// paramFlags are an offering's parameters as k=v.
type paramFlags struct {
	Param map[string]string `help:"A parameter, as name=value; repeat it for each. A map's value is JSON. Each is a flag of its own too: --storage-gb 200." short:"p" placeholder:"NAME=VALUE" mapsep:"none"`
}

// parameters gives each text the type that its parameter has.
func (f paramFlags) parameters(o provision.Offering) provision.Parameters {
	given := provision.Parameters{}
	for name, text := range f.Param {
		p, _ := o.Parameter(name) // an unknown one is Check's to refuse
		given[name] = typed(p.Type, text)
	}
	return given
}

func typed(kind, text string) any {
	switch kind {
	case "integer", "boolean", "map":
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var value any
		if decoder.Decode(&value) == nil && !decoder.More() {
			return value
		}
	}
	return text
}

type estimateCommand struct {
	ownedFiles
	paramFlags
	Offering string `arg:"" help:"The offering's id, such as postgres-database."`
	JSON     bool   `name:"json" help:"Print what the API answers."`
}

// Run prices the parameters given, with defaults for the rest. Parameters that
// the price does not depend on may be left out.
func (c *estimateCommand) Run(ctx context.Context, out io.Writer) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	o, err := d.catalog.Offering(c.Offering)
	if err != nil {
		return err
	}
	estimate, recommendations, err := d.offlineService().Estimate(ctx, c.Offering, c.parameters(o))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(out, httpapi.EstimateView(estimate, recommendations))
	}
	printEstimate(out, estimate)
	for _, text := range recommendations {
		fmt.Fprintf(out, "  %s %s\n", levelMarks[provision.LevelInfo], text)
	}
	return nil
}

type evaluateCommand struct {
	ownedFiles
	paramFlags
	Offering string   `arg:"" help:"The offering's id, such as postgres-database."`
	As       string   `help:"Who asks, as a user entity ref; by default a member of the owning team." placeholder:"USER"`
	Group    []string `help:"A group of the one who asks, as an entity ref; repeat it for each." placeholder:"GROUP"`
	Advise   bool     `help:"Say also what each parameter may be, and what the presets would cost."`
	JSON     bool     `name:"json" help:"Print what the API answers."`
}

// Run prints the verdict and, of a denial, the smallest changes that would be allowed. It exits 0 when the ask is allowed, 3 when not.
func (c *evaluateCommand) Run(ctx context.Context, out io.Writer) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	o, err := d.catalog.Offering(c.Offering)
	if err != nil {
		return err
	}
	given := c.parameters(o)
	who := provision.Principal{Subject: c.As, Groups: c.Group}
	if c.As == "" {
		who.Subject = "user:default/you"
		who.Groups = append(who.Groups, provision.OwnerRef(given.Text(o.Roles.Owner)))
	}
	answer, err := d.offlineService().Evaluate(ctx, who, provision.Question{Offering: c.Offering, Parameters: given, Advise: true})
	if err != nil {
		return err
	}
	if answer.Allowed() && !c.Advise {
		answer.Advice = nil
	}
	if c.JSON {
		err = printJSON(out, httpapi.VerdictView(answer))
	} else {
		printAnswer(out, answer, o, c.Advise)
	}
	switch {
	case err == nil && answer.Outcome == provision.OutcomeRequireApproval:
		return exit(exitWaiting)
	case err == nil && !answer.Allowed():
		return exit(exitDenied)
	}
	return err
}

type lintCommand struct {
	ownedFiles
	Offering []string `arg:"" optional:"" help:"Only these offerings."`
}

// Run prints every disagreement and exits 1 when there is one.
func (c *lintCommand) Run(ctx context.Context, out io.Writer) error {
	d, err := c.load()
	if err != nil {
		return err
	}
	deps := offering.LintDeps{Prices: d.prices, Judge: d.judge}
	problems := []offering.Problem{}
	if len(c.Offering) == 0 {
		problems = offering.LintAll(ctx, d.offeringFiles, deps)
	}
	for _, id := range c.Offering {
		if _, err := d.catalog.Offering(id); err != nil {
			return err
		}
		problems = append(problems, offering.Lint(ctx, d.offeringFiles, id, deps)...)
	}
	for _, problem := range problems {
		fmt.Fprintln(out, problem)
	}
	faults, err := policy.Lint(d.policyFiles)
	if err != nil {
		return err
	}
	for _, fault := range faults {
		fmt.Fprintln(out, fault)
	}
	if err := warnExpired(out, d.bundle, time.Now()); err != nil {
		return err
	}
	if n := len(problems) + len(faults); n > 0 {
		fmt.Fprintf(out, "%d to mend\n", n)
		return exit(exitFailed)
	}
	fmt.Fprintf(out, "%d offerings and %d policies are right\n", len(d.catalog.Offerings()), len(d.bundle.Rules()))
	return nil
}

type generateCommand struct {
	Offerings string `help:"Folder of offerings to write forms into." default:"backstage-templates" type:"existingdir"`
	Docs      string `help:"Folder for the reference pages." default:"docs/offerings" type:"path"`
}

// Run writes each offering's template.yaml and reference page.
func (c *generateCommand) Run(out io.Writer) error {
	d, err := ownedFiles{Offerings: c.Offerings}.load()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Docs, 0o755); err != nil {
		return fmt.Errorf("make docs folder: %w", err)
	}
	changed, err := offering.WriteForms(c.Offerings)
	if err != nil {
		return err
	}
	for _, file := range changed {
		fmt.Fprintln(out, "wrote", file)
	}
	for _, o := range d.catalog.Offerings() {
		path := filepath.Join(c.Docs, o.ID+".md")
		if err := os.WriteFile(path, offering.Reference(o), 0o644); err != nil {
			return fmt.Errorf("write reference page: %w", err)
		}
	}
	return nil
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func printEstimate(out io.Writer, e provision.Estimate) {
	fmt.Fprintf(out, "%s / month   %s / year\n", e.MonthlyCost, e.AnnualCost)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, item := range e.Items {
		fmt.Fprintf(table, "  %s\t%s\t\n", item.Name, item.MonthlyCost)
	}
	_ = table.Flush() // out is the terminal; nothing to do
}

// levelMarks stand beside words, never alone.
var levelMarks = map[provision.Level]string{
	provision.LevelDeny: "✕", provision.LevelRequireApproval: "◌", provision.LevelWarn: "!", provision.LevelInfo: "·",
}

func printAnswer(out io.Writer, a provision.Answer, o provision.Offering, all bool) {
	if a.Estimate != nil {
		printEstimate(out, *a.Estimate)
	}
	if a.Allowance != nil {
		fmt.Fprintf(out, "  %s\n", leftOf(*a.Allowance))
	}
	switch {
	case a.Allowed():
		fmt.Fprintln(out, "✓ Allowed")
	case a.Outcome == provision.OutcomeRequireApproval:
		fmt.Fprintln(out, "◌ Allowed once it is approved")
	default:
		fmt.Fprintln(out, "✕ Not allowed")
	}
	printFindings(out, a.Findings)
	if !a.Acceptable() && o.EscapeHatch != "" {
		fmt.Fprintf(out, "  Does nothing fit? %s\n", o.EscapeHatch)
	}
	if a.Advice != nil {
		printAlternatives(out, a.Advice.Alternatives)
	}
	if a.Advice != nil && all {
		printAdvice(out, *a.Advice, o)
	}
}

func leftOf(a provision.Allowance) string {
	if a.Left < 0 {
		over := fmt.Sprintf("%s over the limit of %s / month in %s", -a.Left, a.Limit, a.Scope)
		if a.Waived != "" {
			over += ": " + a.Waived
		}
		return over
	}
	return fmt.Sprintf("%s left of %s / month in %s", a.Left, a.Limit, a.Scope)
}

func printFindings(out io.Writer, findings []provision.Finding) {
	for _, f := range findings {
		fmt.Fprintf(out, "  %s %s", levelMarks[f.Level], f.Message)
		if f.WayOut != "" {
			fmt.Fprintf(out, " %s", f.WayOut)
		}
		fmt.Fprintf(out, "  (%s)\n", f.Rule)
	}
}
