package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type importCommand struct {
	serverFlags
	File   string `required:"" short:"f" help:"A YAML file: one item, or a list of them; - is standard input." placeholder:"FILE"`
	DryRun bool   `help:"Only say what would be said."`
	Key    string `help:"Your name for this ask, as for request create." placeholder:"KEY"`
	JSON   bool   `name:"json" help:"Print an array of items."`
}

// Help is the longer text of --help.
func (importCommand) Help() string {
	return `Each item has an offering, its parameters, and the resources that it takes over:

  offering: postgres-database
  parameters: {database_name: orders, environment: dev, team_owner: payments, cost_center: CC-1234}
  resources:
    - {address: postgres_database.main, id: legacy_orders}
    - {address: postgres_role.owner, id: legacy}

Nothing is touched before the plan of each has met policy.

  roadbed import -f list.yaml --dry-run --as ann`
}

// Run asks and tells what became of each item; exit 3 when one was refused.
func (c *importCommand) Run(ctx context.Context, out io.Writer) error {
	items, err := readImports(c.File, os.Stdin)
	if err != nil {
		return err
	}
	conn, err := c.connect()
	if err != nil {
		return err
	}
	answers, err := conn.Import(ctx, cmp.Or(c.Key, uuid.NewString()), api.ImportAsk{Items: items, DryRun: c.DryRun})
	if err != nil {
		return err
	}
	refused := false
	for _, a := range answers {
		refused = refused || a.Error != "" || a.Verdict != nil && a.Verdict.Outcome == provision.OutcomeDeny
	}
	if c.JSON {
		err = printJSON(out, answers)
	} else {
		printImported(out, answers)
	}
	if err == nil && refused {
		return exit(exitDenied)
	}
	return err
}

func printImported(out io.Writer, answers []api.ImportedItem) {
	for _, a := range answers {
		switch {
		case a.Error != "":
			fmt.Fprintf(out, "✕ %s (%s): %s\n", a.Name, a.Offering, a.Error)
		case a.Verdict != nil:
			fmt.Fprintf(out, "%s (%s): %s", a.Name, a.Offering, a.Verdict.Outcome)
			if a.Verdict.Estimate != nil {
				fmt.Fprintf(out, ", %s a month", a.Verdict.Estimate.MonthlyCost)
			}
			fmt.Fprintln(out)
			printFindings(out, a.Verdict.Findings)
		default:
			fmt.Fprintf(out, "✓ %s (%s): request %s\n", a.Name, a.Offering, a.Request.Id)
		}
	}
}

// readImports reads one item or a list of them. What an item has besides is
// refused, for it would be left out without a word.
func readImports(file string, in io.Reader) ([]api.ImportItem, error) {
	text, err := readFileOr(file, in)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := yaml.Unmarshal(text, &plain); err != nil {
		return nil, provision.Errorf(provision.Invalid, "%s is not YAML: %v", file, err)
	}
	if _, isList := plain.([]any); !isList {
		plain = []any{plain}
	}
	encoded, err := json.Marshal(plain)
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "%s cannot be read: %v", file, err)
	}
	var items []api.ImportItem
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(&items); err != nil {
		return nil, provision.Errorf(provision.Invalid, "%s does not have the expected form: %v", file, err)
	}
	return items, nil
}

func readFileOr(file string, in io.Reader) ([]byte, error) {
	if file == "-" {
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return text, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, provision.Errorf(provision.Invalid, "%s cannot be read: %v", file, err)
	}
	return text, nil
}
