package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

var (
	adviceEnvironments = []string{"dev", "staging", "prod"}
	adviceClasses      = []string{"db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"}
)

// choice is what may be chosen of a postgres-database, and nothing else.
type choice struct {
	environment, class string
	storage, days      int64
	multiAZ            bool
}

func (c choice) parameters() provision.Parameters {
	return parameters(c.environment, c.class, c.storage, c.days, c.multiAZ)
}

func choose(random *rand.Rand) choice {
	return choice{
		adviceEnvironments[random.IntN(3)], adviceClasses[random.IntN(4)], 20 + random.Int64N(981), 1 + random.Int64N(35), random.IntN(2) == 1,
	}
}

// choiceOf reads a choice back from parameters.
func choiceOf(environment string, p provision.Parameters) choice {
	storage, _ := p["storage_gb"].(int64)
	days, _ := p["backup_retention_days"].(int64)
	multiAZ, _ := p["multi_az"].(bool)
	return choice{environment, p.Text("instance_class"), storage, days, multiAZ}
}

// oracle is the shipped guardrails on postgres-database, written a second time
// and without Rego: whether an ask is allowed and what it costs, in mills.
func oracle(c choice) (allowed bool, cost int64) {
	var class, limit int64
	switch c.class {
	case "db.t3.small":
		class = 30
	case "db.t3.medium":
		class = 60
	case "db.t3.large":
		class = 120
	case "db.r6g.xlarge":
		class = 250
	}
	cost = class*1000 + c.storage*115 + c.storage*c.days*20
	if c.multiAZ {
		cost *= 2
	}
	large := int64(500)
	switch c.environment {
	case "dev":
		limit = 100
	case "staging":
		limit = 500
	case "prod":
		limit, large = 10000, 800
	}
	return cost <= limit*1000 && c.storage <= large && (c.environment != "prod" || c.days >= 7), cost
}

// remembered asks the rules about each choice once: they are a function of it
// where all else stays.
type remembered struct {
	provision.Rules
	known sync.Map // choice to []provision.Finding
}

// Findings implements provision.Rules.
func (r *remembered) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	c := choiceOf(input.Environment.Name, input.Parameters)
	if known, ok := r.known.Load(c); ok {
		return known.([]provision.Finding), "", nil
	}
	findings, digest, err := r.Rules.Findings(ctx, input)
	if err == nil {
		r.known.Store(c, findings)
	}
	return findings, digest, err
}

type adviceRig struct {
	judge        provision.Judge
	offering     provision.Offering
	environments map[string]provision.Environment
}

func newAdviceRig(t testing.TB) adviceRig {
	t.Helper()
	d, err := ownedFiles{}.load()
	if err != nil {
		t.Fatal(err)
	}
	o, err := d.catalog.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	return adviceRig{d.judge, o, d.environments}
}

func (r adviceRig) ask(environment string, p provision.Parameters) provision.Ask {
	return provision.Ask{
		Stage: provision.StageForm, Action: provision.Create, Offering: r.offering, Environment: r.environments[environment],
		Name: "orders", Owner: "group:default/payments", CostCenter: "CC-1", At: time.Unix(0, 0).UTC(), Parameters: p,
	}
}

func parameters(environment, class string, storage, days int64, multiAZ bool) provision.Parameters {
	return provision.Parameters{
		"database_name": "orders", "environment": environment, "team_owner": "payments", "cost_center": "CC-1",
		"instance_class": class, "storage_gb": storage, "backup_retention_days": days, "multi_az": multiAZ,
		"custom_parameters": map[string]any{},
	}
}

// sizes are sixty of storage, the edges of what is allowed among them: so few,
// that most neighbours of 5,000 forms have been judged before.
func sizes() []int64 {
	random := rand.New(rand.NewPCG(5, 8))
	sizes := []int64{20, 21, 499, 500, 501, 799, 800, 801, 999, 1000}
	for len(sizes) < 60 {
		sizes = append(sizes, choose(random).storage)
	}
	return sizes
}

// TestAdviceEqualsBruteForce compares, for 5,000 forms, what may be chosen, field
// by field, with trying every value, and the alternatives with every change of
// one or two fields.
func TestAdviceEqualsBruteForce(t *testing.T) {
	t.Parallel()
	rig := newAdviceRig(t)
	rig.judge.Rules = &remembered{Rules: rig.judge.Rules}
	const forms, workers = 5000, 2
	sizes := sizes()
	var group errgroup.Group
	for worker := range workers {
		random := rand.New(rand.NewPCG(7, uint64(worker)))
		group.Go(func() error {
			for range forms / workers {
				c := choose(random)
				c.storage = sizes[random.IntN(len(sizes))]
				advice, err := rig.judge.Advise(t.Context(), rig.ask(c.environment, c.parameters()))
				if err == nil {
					err = errors.Join(wrongRanges(c, advice.Ranges), wrongAlternatives(c, advice.Alternatives))
				}
				if err != nil {
					return fmt.Errorf("%+v: %w", c, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

func wrongRanges(c choice, ranges map[string]provision.Range) error {
	storage := bruteSpans(20, 1000, func(n int64) choice { c := c; c.storage = n; return c })
	days := bruteSpans(1, 35, func(n int64) choice { c := c; c.days = n; return c })
	for name, want := range map[string][]provision.Span{"storage_gb": storage, "backup_retention_days": days} {
		if diff := cmp.Diff(want, ranges[name].Spans); diff != "" {
			return fmt.Errorf("%s (-brute force +advice):\n%s", name, diff)
		}
	}
	classes, switches := []any{}, []any{}
	for _, class := range adviceClasses {
		other := c
		other.class = class
		if ok, _ := oracle(other); ok {
			classes = append(classes, class)
		}
	}
	for _, multiAZ := range []bool{false, true} {
		other := c
		other.multiAZ = multiAZ
		if ok, _ := oracle(other); ok {
			switches = append(switches, multiAZ)
		}
	}
	for name, want := range map[string][]any{"instance_class": classes, "multi_az": switches} {
		if diff := cmp.Diff(want, ranges[name].Values); diff != "" {
			return fmt.Errorf("%s (-brute force +advice):\n%s", name, diff)
		}
	}
	return nil
}

func bruteSpans(low, high int64, with func(int64) choice) []provision.Span {
	spans := []provision.Span{}
	for n := low; n <= high; n++ {
		if ok, _ := oracle(with(n)); !ok {
			continue
		}
		if last := len(spans) - 1; last >= 0 && spans[last].Max == n-1 {
			spans[last].Max = n
			continue
		}
		spans = append(spans, provision.Span{Min: n, Max: n})
	}
	return spans
}

// wrongAlternatives says what of Advice's promise is broken: each is allowed, and
// the first changes as few parameters as any change does, and as little money
// among those; of two integers only when nothing else does.
func wrongAlternatives(c choice, found []provision.Alternative) error {
	allowed, now := oracle(c)
	if allowed {
		if len(found) > 0 {
			return fmt.Errorf("it is allowed and got alternatives %v", found)
		}
		return nil
	}
	for _, alternative := range found {
		changed := c.parameters()
		maps.Copy(changed, alternative.Changes)
		if ok, cost := oracle(choiceOf(c.environment, changed)); !ok || cost != int64(alternative.MonthlyCost) {
			return fmt.Errorf("alternative %v is allowed %v at %d mills", alternative, ok, cost)
		}
	}
	best, any := exhaustive(c, now)
	switch {
	case !any && len(found) > 0:
		return fmt.Errorf("exhaustive search finds no change of two and advice has %v", found)
	case any && len(found) == 0:
		return fmt.Errorf("exhaustive search finds %+v and advice nothing", best)
	case any:
		got := found[0]
		distance := max(int64(got.MonthlyCost)-now, now-int64(got.MonthlyCost))
		if len(got.Changes) != best.fields || !best.integers && distance != best.money {
			return fmt.Errorf("advice is %v (%d mills away), exhaustive search finds %+v", got, distance, best)
		}
	}
	return nil
}

// smallest is how many fields change, at most two, and how much money does.
type smallest struct {
	fields   int
	integers bool // two integers, because nothing else does
	money    int64
}

// better puts fewer fields first, then what is not two integers, then less money.
func (s smallest) better(than smallest) bool {
	switch {
	case s.fields != than.fields:
		return s.fields < than.fields
	case s.integers != than.integers:
		return than.integers
	}
	return s.money < than.money
}

// exhaustive tries every change of one field and of two.
func exhaustive(c choice, now int64) (best smallest, any bool) {
	for _, class := range adviceClasses {
		for _, multiAZ := range []bool{false, true} {
			for days := int64(1); days <= 35; days++ {
				base := differs(class, c.class) + differs(multiAZ, c.multiAZ) + differs(days, c.days)
				low, high := int64(20), int64(1000)
				if base > 2 || any && base > best.fields {
					continue
				}
				if base == 2 { // then storage must stay
					low, high = c.storage, c.storage
				}
				for storage := low; storage <= high; storage++ {
					n := base + differs(storage, c.storage)
					if n == 0 || n > 2 {
						continue
					}
					ok, cost := oracle(choice{c.environment, class, storage, days, multiAZ})
					one := smallest{n, n == 2 && days != c.days && storage != c.storage, max(cost-now, now-cost)}
					if ok && (!any || one.better(best)) {
						best, any = one, true
					}
				}
			}
		}
	}
	return best, any
}

func differs[T comparable](a, b T) int {
	if a == b {
		return 0
	}
	return 1
}

// TestOracleAgreesWithRego keeps the oracle honest.
func TestOracleAgreesWithRego(t *testing.T) {
	rig := newAdviceRig(t)
	random := rand.New(rand.NewPCG(3, 5))
	for range 500 {
		c := choose(random)
		verdict, err := rig.judge.Judge(t.Context(), rig.ask(c.environment, c.parameters()))
		if err != nil {
			t.Fatal(err)
		}
		if ok, cost := oracle(c); ok != verdict.Allowed() || cost != int64(verdict.MonthlyCost()) {
			t.Fatalf("%+v: the oracle says %v at %d mills, Judge %v at %d: %v", c, ok, cost, verdict.Allowed(), verdict.MonthlyCost(), verdict.Findings)
		}
	}
}

// BenchmarkAdviseTwoFields is a denial that needs two changes.
func BenchmarkAdviseTwoFields(b *testing.B) {
	rig := newAdviceRig(b)
	denied := rig.ask("dev", parameters("dev", "db.t3.large", 300, 7, true))
	for b.Loop() {
		if _, err := rig.judge.Advise(b.Context(), denied); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAdviseOneField is a denial that one change mends.
func BenchmarkAdviseOneField(b *testing.B) {
	rig := newAdviceRig(b)
	denied := rig.ask("dev", parameters("dev", "db.t3.medium", 100, 7, true))
	for b.Loop() {
		advice, err := rig.judge.Advise(b.Context(), denied)
		if err != nil || len(advice.Alternatives) == 0 || len(advice.Alternatives[0].Changes) != 1 {
			b.Fatal(advice.Alternatives, err)
		}
	}
}

// BenchmarkAdviseTwoNumbers is the longest way: only two numbers together would do.
func BenchmarkAdviseTwoNumbers(b *testing.B) {
	rig := newAdviceRig(b)
	denied := rig.ask("prod", parameters("prod", "db.t3.small", 900, 1, true))
	for b.Loop() {
		advice, err := rig.judge.Advise(b.Context(), denied)
		if err != nil || len(advice.Alternatives) == 0 || len(advice.Alternatives[0].Changes) != 2 {
			b.Fatal(advice.Alternatives, err)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	rig := newAdviceRig(b)
	ask := rig.ask("dev", parameters("dev", "db.t3.large", 300, 7, true))
	for b.Loop() {
		if _, err := rig.judge.Judge(b.Context(), ask); err != nil {
			b.Fatal(err)
		}
	}
}
