package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"golang.org/x/sync/errgroup"
)

// MutateOptions say what to change, and who may notice.
type MutateOptions struct {
	Rule     string            // only the file of this name, without its ending; "" is every file
	Inputs   []json.RawMessage // what was asked in the past: a change that it notices counts apart
	Budget   time.Duration     // when to stop; 0 is a minute
	Workers  int               // changes tried at once; 0 is 2
	Progress func(tried, all int)
}

// MutationReport is how much of a bundle its tests hold.
type MutationReport struct {
	Mutants   int           `json:"mutants"`   // changes that make another valid bundle
	Killed    int           `json:"killed"`    // a test fails on them
	Survivors []Survivor    `json:"survivors"` // no test notices them, by file and line
	Untried   int           `json:"untried"`   // the budget ran out before them
	Took      time.Duration `json:"took_ns"`
}

// Survivor is a change that no test notices.
type Survivor struct {
	Mutation
	InHistory bool `json:"in_history"` // yet it would have decided something in the past otherwise
}

// Score is the share of tried mutants that were killed, in percent; 100 when
// there were none.
func (r MutationReport) Score() float64 {
	if r.Mutants == 0 {
		return 100
	}
	return 100 * float64(r.Killed) / float64(r.Mutants)
}

// Mutate changes the bundle in fsys in one place at a time and runs its tests:
// those of the changed package first, all others when they pass. A change that
// does not compile is none. It blocks for as long as that takes, at most the
// budget; it is an Invalid error when the tests fail on the bundle as it is.
func Mutate(ctx context.Context, fsys fs.FS, o MutateOptions) (*MutationReport, error) {
	began := time.Now()
	report, err := RunTests(ctx, fsys)
	if err != nil {
		return nil, err
	}
	if failed := report.Failed(); len(failed) > 0 {
		return nil, fmt.Errorf("the tests fail on the policies as they are, so they cannot judge a change: %s", failed[0].Name)
	}
	m, err := newMutator(fsys)
	if err != nil {
		return nil, err
	}
	mutants, err := m.mutants(o.Rule)
	if err != nil {
		return nil, err
	}
	if len(mutants) == 0 && o.Rule != "" {
		return nil, fmt.Errorf("no policy is called %s, or there is nothing in it to change", o.Rule)
	}
	return m.try(ctx, mutants, o, began)
}

// verdict on one mutant.
type fate int

const (
	untried fate = iota
	invalid
	killed
	survived
)

// mutator runs changed bundles.
type mutator struct {
	src     source
	modules map[string]*ast.Module // as parsed, tests included
	data    map[string]any
	store   storage.Store
	needs   map[string][]string // module to modules that it reads, itself included
}

func newMutator(fsys fs.FS) (*mutator, error) {
	src, err := readSource(fsys)
	if err != nil {
		return nil, err
	}
	m := &mutator{src: src, needs: map[string][]string{}}
	if m.modules, err = src.parse(src.paths(func(string) bool { return true })); err != nil {
		return nil, err
	}
	if m.data, err = src.parseData(); err != nil {
		return nil, err
	}
	m.store = newStore(m.data)
	compiled, err := compile(m.modules)
	if err != nil {
		return nil, err
	}
	for name := range m.modules {
		m.needs[name] = reads(compiled.Modules, name)
	}
	return m, nil
}

// reads are the modules that the named one reads, and those that they read.
func reads(modules map[string]*ast.Module, name string) []string {
	found := []string{name}
	for next := 0; next < len(found); next++ {
		ast.WalkRefs(modules[found[next]], func(ref ast.Ref) bool {
			if !ref.HasPrefix(rulesRoot) {
				return false
			}
			prefix := ref.ConstantPrefix()
			for other, module := range modules {
				at := module.Package.Path
				if (prefix.HasPrefix(at) || at.HasPrefix(prefix)) && !slices.Contains(found, other) {
					found = append(found, other)
				}
			}
			return false
		})
	}
	return found
}

func (m *mutator) mutants(rule string) ([]mutant, error) {
	var all []mutant
	for _, name := range m.src.production() {
		module, isModule := m.modules[name]
		if !isModule || rule != "" && ruleOf(name) != rule {
			continue
		}
		some, err := mutantsOf(name, module)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	compiled, err := compile(m.modules)
	if err != nil {
		return nil, err
	}
	inData, err := dataMutants(m.src, readsOf(compiled.Modules))
	for _, one := range inData {
		// A number belongs to the rule of its name: limits.yaml has cost_limit.
		if rule == "" || ruleOf(one.File) == rule || strings.HasPrefix(one.Change, rule+".") || strings.HasPrefix(one.Change, rule+":") {
			all = append(all, one)
		}
	}
	return all, err
}

func (m *mutator) try(ctx context.Context, mutants []mutant, o MutateOptions, began time.Time) (*MutationReport, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Budget, time.Minute))
	defer cancel()
	fates := make([]fate, len(mutants))
	inHistory := make([]bool, len(mutants))
	var next, tried atomic.Int64
	group := errgroup.Group{}
	for range cmp.Or(max(o.Workers, 0), 2) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(mutants) || ctx.Err() != nil {
					return nil
				}
				fate, err := m.fate(ctx, mutants[i])
				if err != nil && ctx.Err() == nil {
					return fmt.Errorf("try %s: %w", mutants[i].Mutation, err)
				}
				if ctx.Err() != nil && fate != killed {
					return nil
				}
				fates[i] = fate
				if fate == survived && len(o.Inputs) > 0 {
					inHistory[i] = m.noticed(ctx, mutants[i], o.Inputs)
				}
				if n := tried.Add(1); o.Progress != nil {
					o.Progress(int(n), len(mutants))
				}
			}
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	report := &MutationReport{Survivors: []Survivor{}}
	for i, fate := range fates {
		switch fate {
		case untried:
			report.Untried++
		case killed:
			report.Mutants++
			report.Killed++
		case survived:
			report.Mutants++
			report.Survivors = append(report.Survivors, Survivor{mutants[i].Mutation, inHistory[i]})
		}
	}
	slices.SortStableFunc(report.Survivors, func(a, b Survivor) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	report.Took = time.Since(began)
	return report, nil
}

// fate runs the tests on a mutant: those beside it, then all.
func (m *mutator) fate(ctx context.Context, one mutant) (fate, error) {
	modules, store, err := m.changed(one)
	if err != nil {
		return invalid, nil
	}
	if one.text != nil {
		beside := strings.TrimSuffix(one.File, ".rego") + "_test.rego"
		if test := m.modules[beside]; test != nil {
			near := map[string]*ast.Module{one.File: modules[one.File]}
			for _, name := range append(slices.Clone(m.needs[beside]), m.needs[one.File]...) {
				near[name] = modules[name]
			}
			fate, err := runChanged(ctx, near, store, test.Package.Path)
			if fate != survived || err != nil {
				return fate, err
			}
		}
	}
	return runChanged(ctx, modules, store, nil)
}

// changed is the bundle with the mutant in it.
func (m *mutator) changed(one mutant) (map[string]*ast.Module, storage.Store, error) {
	if one.text == nil {
		return m.modules, newStore(one.data), nil
	}
	parsed, err := source{files: map[string][]byte{one.File: one.text}}.parse([]string{one.File})
	if err != nil {
		return nil, nil, err
	}
	modules := maps.Clone(m.modules)
	modules[one.File] = parsed[one.File]
	return modules, m.store, nil
}

// slowest is how long one test may take on a mutant; one that takes longer has
// noticed it.
const slowest = 5 * time.Second

// runChanged runs the tests of one package, or all, until one fails.
func runChanged(ctx context.Context, modules map[string]*ast.Module, store storage.Store, only ast.Ref) (fate, error) {
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return untried, fmt.Errorf("open policy data: %w", err)
	}
	defer store.Abort(context.WithoutCancel(ctx), txn)
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	runner := tester.NewRunner().
		// Strictness is about style: a variable that a change leaves unused is no fault of it.
		SetCompiler(ast.NewCompiler().WithCapabilities(pure()).WithDefaultRegoVersion(ast.RegoV1)).
		SetStore(store).SetModules(modules).SetParallel(1).SetTimeout(slowest).
		CapturePrintOutput(false).RaiseBuiltinErrors(true)
	if only != nil {
		runner.Filter("^" + regexp.QuoteMeta(only.String()) + `\.`)
	}
	outcomes, err := runner.RunTests(stopped, txn)
	if err != nil {
		return invalid, nil // it does not compile
	}
	result := survived
	for outcome := range outcomes {
		if !outcome.Pass() && !outcome.Skip && stopped.Err() == nil {
			result = killed
			stop() // and let the rest of them end
		}
	}
	return result, nil
}

// noticed reports whether anything in the past would have been decided
// otherwise by the mutant.
func (m *mutator) noticed(ctx context.Context, one mutant, inputs []json.RawMessage) bool {
	before, err := findingsQuery(m.modules, m.store)
	if err != nil {
		return false
	}
	modules, store, err := m.changed(one)
	if err != nil {
		return false
	}
	after, err := findingsQuery(modules, store)
	if err != nil {
		return false
	}
	for _, input := range inputs {
		value, err := ast.ValueFromReader(strings.NewReader(string(input)))
		if err != nil || complete(value) != nil {
			continue
		}
		was, err1 := evaluate(ctx, before, value)
		is, err2 := evaluate(ctx, after, value)
		if ctx.Err() != nil {
			return false
		}
		if (err1 == nil) != (err2 == nil) || fmt.Sprint(was) != fmt.Sprint(is) {
			return true
		}
	}
	return false
}

func findingsQuery(modules map[string]*ast.Module, store storage.Store) (rego.PreparedEvalQuery, error) {
	production := map[string]*ast.Module{}
	for name, module := range modules {
		if !strings.HasSuffix(name, "_test.rego") && path.Dir(name) != "authz" {
			production[name] = module
		}
	}
	compiler := ast.NewCompiler().WithCapabilities(pure()).WithDefaultRegoVersion(ast.RegoV1)
	if compiler.Compile(production); compiler.Failed() {
		return rego.PreparedEvalQuery{}, compiler.Errors
	}
	return rego.New(rego.Query("data.roadbed.decision.findings"), rego.Compiler(compiler), rego.Store(store),
		rego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
}
