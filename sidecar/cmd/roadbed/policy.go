package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
)

type policyCommand struct {
	Test   policyTestCommand   `cmd:"" help:"Run the policies' own tests, and hold their coverage."`
	Format policyFormatCommand `cmd:"" help:"Rewrite each Rego file that is not formatted."`
	Mutate policyMutateCommand `cmd:"" help:"Name every change of the policies that no test would notice."`
	Replay policyReplayCommand `cmd:"" help:"Say what other policies would have said of everything that was asked, and of what lives."`
	Bundle policyBundleCommand `cmd:"" help:"Write a folder of policies as a bundle for a service that speaks OPA's bundle API."`
	Export policyExportCommand `cmd:"" help:"Write every stored verdict and living instance as JSON lines, for replay."`

	Exemptions policyExemptionsCommand `cmd:"" help:"List who need not keep which rule, until when and why."`
}

// policyFiles names the policies alone, for what needs no offering.
type policyFiles struct {
	Policies string `help:"Folder of policies instead of the built-in ones." type:"existingdir" env:"ROADBED_POLICIES"`
}

type policyTestCommand struct {
	policyFiles
	MinCoverage float64 `help:"Least share of the rules' lines that the tests must reach, in percent." default:"95" placeholder:"PERCENT"`
	Verbose     bool    `help:"Name every test, not only those that failed." short:"v"`
}

// Run runs every Rego test, and names the lines that none reaches. It exits 1 when
// one fails, when they reach too little, or when the sidecar would refuse the policies.
func (c *policyTestCommand) Run(ctx context.Context, out io.Writer) error {
	if c.MinCoverage < 0 || c.MinCoverage > 100 {
		return fmt.Errorf("--min-coverage is %v; it is a share in percent, 0 to 100", c.MinCoverage)
	}
	files := folder(c.Policies, policies.FS)
	report, err := policy.RunTests(ctx, files)
	if err != nil {
		return err
	}
	for _, result := range report.Results {
		switch {
		case !result.Passed && result.Err != nil:
			fmt.Fprintf(out, "✕ %s:%d: %s could not be run: %v\n", result.File, result.Line, result.Name, result.Err)
		case !result.Passed:
			fmt.Fprintf(out, "✕ %s:%d: %s failed\n", result.File, result.Line, result.Name)
		case c.Verbose:
			fmt.Fprintf(out, "✓ %s (%s)\n", result.Name, result.Duration.Round(10_000))
		}
	}
	short := report.Coverage < c.MinCoverage
	for _, lines := range report.Uncovered {
		fmt.Fprintf(out, "! %s: no test reaches this\n", lines)
	}
	failed := len(report.Failed())
	fmt.Fprintf(out, "%d passed, %d failed, %.1f %% of lines covered\n", len(report.Results)-failed, failed, report.Coverage)
	if short {
		fmt.Fprintf(out, "That is less than %g %%: test the lines above, or lower --min-coverage.\n", c.MinCoverage)
	}
	// Some rules and their tests may be tested without the rest.
	if _, err := fs.Stat(files, "decision/decision.rego"); err == nil {
		if _, err := policy.Load(files); err != nil {
			return err
		}
	}
	if failed > 0 || short {
		return exit(exitFailed)
	}
	return nil
}

type policyFormatCommand struct {
	Policies string `help:"Folder of policies." default:"policies" type:"existingdir" env:"ROADBED_POLICIES"`
}

// Run writes each Rego file as `opa fmt` would, and names those that changed.
func (c *policyFormatCommand) Run(out io.Writer) error {
	unformatted, err := policy.Unformatted(os.DirFS(c.Policies))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(unformatted)) {
		if err := os.WriteFile(filepath.Join(c.Policies, filepath.FromSlash(name)), unformatted[name], 0o644); err != nil {
			return fmt.Errorf("write policy: %w", err)
		}
		fmt.Fprintln(out, "wrote", filepath.Join(c.Policies, name))
	}
	return nil
}
