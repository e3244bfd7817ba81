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

// Report is what a bundle's own tests say of it.
type Report struct {
	Results   []Result // sorted by name
	Coverage  float64  // share of the rules' lines that the tests reach, in percent
	Uncovered []Lines  // what they do not reach, by file and line
}

// Failed are the results that did not pass; nil when all did.
func (r Report) Failed() []Result {
	return slices.DeleteFunc(slices.Clone(r.Results), func(result Result) bool { return result.Passed })
}

// Lines are lines of a bundle's file, both ends included.
type Lines struct {
	File     string
	From, To int
}

// String is file:line, or file:from-to.
func (l Lines) String() string {
	if l.From == l.To {
		return fmt.Sprintf("%s:%d", l.File, l.From)
	}
	return fmt.Sprintf("%s:%d-%d", l.File, l.From, l.To)
}

// RunTests runs every Rego test of the bundle in fsys, strictly compiled and
// without impure built-ins, as Load has it. A test that is marked to be skipped
// has not passed. The error is for a bundle that does not compile or has no
// tests; a failed test is no error.
func RunTests(ctx context.Context, fsys fs.FS) (Report, error) {
	src, err := readSource(fsys)
	if err != nil {
		return Report{}, err
	}
	return src.test(ctx)
}

func (src source) test(ctx context.Context) (Report, error) {
	modules, err := src.parse(src.paths(func(string) bool { return true }))
	if err != nil {
		return Report{}, err
	}
	data, err := src.parseData()
	if err != nil {
		return Report{}, err
	}
	store := newStore(data)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return Report{}, fmt.Errorf("open policy data: %w", err)
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
		return Report{}, fmt.Errorf("run policy tests: %w", err)
	}
	var results []Result
	for outcome := range outcomes {
		results = append(results, Result{
			Name: strings.TrimPrefix(outcome.Package, "data.") + "." + outcome.Name,
			File: outcome.Location.File, Line: outcome.Location.Row,
			Passed: outcome.Pass() && !outcome.Skip, Err: outcome.Error, Duration: outcome.Duration,
		})
	}
	if len(results) == 0 {
		return Report{}, fmt.Errorf("run policy tests: there are none")
	}
	slices.SortFunc(results, func(a, b Result) int { return strings.Compare(a.Name, b.Name) })
	for _, name := range slices.Collect(maps.Keys(modules)) {
		if strings.HasSuffix(name, "_test.rego") {
			delete(modules, name)
		}
	}
	covered := tracer.Report(modules)
	report := Report{Results: results, Coverage: covered.Coverage}
	for _, name := range slices.Sorted(maps.Keys(covered.Files)) {
		for _, missed := range covered.Files[name].NotCovered {
			report.Uncovered = append(report.Uncovered, Lines{File: name, From: missed.Start.Row, To: missed.End.Row})
		}
	}
	return report, nil
}
