package policy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

// Result is the outcome of one Rego test.
type Result struct {
	Name     string // package and test: "roadbed.guardrails.cost_limit_test.test_inside…"
	File     string // path in the bundle
	Line     int
	Passed   bool
	Err      error // why it could not be run; nil when it ran
	Duration time.Duration
}

// Test runs every Rego test of the bundle in fsys, strictly compiled and
// without impure built-ins, as Load has it. Results are sorted by name; a test
// that is marked to be skipped has not passed. Coverage is the share of the
// rules' lines that the tests reach, in percent. The error is for a bundle
// that does not compile or has no tests; a failed test is no error.
func Test(ctx context.Context, fsys fs.FS) (results []Result, coverage float64, err error) {
	src, err := readSource(fsys)
	if err != nil {
		return nil, 0, err
	}
	modules, err := src.parse(src.paths(func(string) bool { return true }))
	if err != nil {
		return nil, 0, err
	}
	data, err := src.parseData()
	if err != nil {
		return nil, 0, err
	}
	store := newStore(data)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return nil, 0, fmt.Errorf("open policy data: %w", err)
	}
	defer store.Abort(ctx, txn)
	tracer := cover.New()
	outcomes, err := tester.NewRunner().
		SetCompiler(newCompiler()).
		SetStore(store).
		SetModules(modules).
		SetCoverageQueryTracer(tracer).
		SetCoverageRuns(nil).
		SetParallel(1). // the tracer is not safe for more
		CapturePrintOutput(false).
		RaiseBuiltinErrors(true).
		RunTests(ctx, txn)
	if err != nil {
		return nil, 0, fmt.Errorf("run policy tests: %w", err)
	}
	for outcome := range outcomes {
		results = append(results, Result{
			Name: strings.TrimPrefix(outcome.Package, "data.") + "." + outcome.Name,
			File: outcome.Location.File, Line: outcome.Location.Row,
			Passed: outcome.Pass() && !outcome.Skip, Err: outcome.Error, Duration: outcome.Duration,
		})
	}
	if len(results) == 0 {
		return nil, 0, fmt.Errorf("run policy tests: there are none")
	}
	slices.SortFunc(results, func(a, b Result) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range slices.Collect(maps.Keys(modules)) {
		if strings.HasSuffix(name, "_test.rego") {
			delete(modules, name)
		}
	}
	return results, tracer.Report(modules).Coverage, nil
}
