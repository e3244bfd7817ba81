package main

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// oracle is the shipped guardrails on postgres-database, written a second time
// and without Rego: whether an ask is allowed and what it costs, in mills.
func oracle(environment string, p provision.Parameters) (allowed bool, cost int64) {
	class := map[string]int64{"db.t3.small": 30, "db.t3.medium": 60, "db.t3.large": 120, "db.r6g.xlarge": 250}[p.Text("instance_class")]
	storage, days := p["storage_gb"].(int64), p["backup_retention_days"].(int64)
	cost = class*1000 + storage*115 + storage*days*20
	if p["multi_az"].(bool) {
		cost *= 2
	}
	limit := map[string]int64{"dev": 100, "staging": 500, "prod": 10000}[environment] * 1000
	large := map[string]int64{"dev": 500, "staging": 500, "prod": 800}[environment]
	return cost <= limit && storage <= large && (environment != "prod" || days >= 7), cost
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

// TestAdviceEqualsBruteForce compares what may be chosen, field by field, with
// trying every value.
func TestAdviceEqualsBruteForce(t *testing.T) {
	rig := newAdviceRig(t)
	random := rand.New(rand.NewPCG(7, 11))
	environments := []string{"dev", "staging", "prod"}
	classes := []string{"db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"}
	const forms, searched = 1000, 100 // exhaustive search of the alternatives is the long part
	for i := range forms {
		environment := environments[random.IntN(3)]
		p := parameters(environment, classes[random.IntN(4)], 20+random.Int64N(981), 1+random.Int64N(35), random.IntN(2) == 1)
		advice, err := rig.judge.Advise(t.Context(), rig.ask(environment, p))
		if err != nil {
			t.Fatal(err)
		}
		integers := map[string][2]int64{"storage_gb": {20, 1000}, "backup_retention_days": {1, 35}}
		for name, bounds := range integers {
			want := bruteSpans(environment, p, name, bounds[0], bounds[1])
			if diff := cmp.Diff(want, advice.Ranges[name].Spans); diff != "" {
				t.Fatalf("%s of %v in %s (-brute force +advice):\n%s", name, p, environment, diff)
			}
		}
		if i < searched {
			checkAlternatives(t, environment, p, advice.Alternatives)
		}
	}
}

func bruteSpans(environment string, p provision.Parameters, name string, low, high int64) []provision.Span {
	spans := []provision.Span{}
	for n := low; n <= high; n++ {
		changed := maps.Clone(p)
		changed[name] = n
		if ok, _ := oracle(environment, changed); !ok {
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

// checkAlternatives holds that each is allowed, and that the first changes as
// few parameters, and as little money among those, as any change does.
func checkAlternatives(t *testing.T, environment string, p provision.Parameters, found []provision.Alternative) {
	t.Helper()
	allowed, now := oracle(environment, p)
	if allowed {
		if len(found) > 0 {
			t.Fatalf("%v is allowed in %s and got alternatives %v", p, environment, found)
		}
		return
	}
	for _, alternative := range found {
		changed := maps.Clone(p)
		maps.Copy(changed, alternative.Changes)
		if ok, cost := oracle(environment, changed); !ok || cost != int64(alternative.MonthlyCost) {
			t.Fatalf("%v in %s: alternative %v is allowed %v at %d mills", p, environment, alternative, ok, cost)
		}
	}
	fields, money, any := exhaustive(environment, p, now)
	switch {
	case !any && len(found) > 0:
		t.Fatalf("%v in %s: exhaustive search finds no change of two and advice has %v", p, environment, found)
	case any && len(found) == 0:
		t.Fatalf("%v in %s: exhaustive search finds a change of %d and advice none", p, environment, fields)
	case any:
		got := found[0]
		distance := max(int64(got.MonthlyCost)-now, now-int64(got.MonthlyCost))
		if len(got.Changes) != fields || fields == 1 && distance != money {
			t.Fatalf("%v in %s: advice is %v (%d mills away), exhaustive search finds %d fields and %d mills", p, environment, got, distance, fields, money)
		}
	}
}

// exhaustive is the least number of changed fields, at most two, and the least
// change of money with that many.
func exhaustive(environment string, p provision.Parameters, now int64) (fields int, money int64, any bool) {
	for _, class := range []string{"db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"} {
		for _, multiAZ := range []bool{false, true} {
			for days := int64(1); days <= 35; days++ {
				base := 0
				base += differs(class, p["instance_class"]) + differs(multiAZ, p["multi_az"]) + differs(days, p["backup_retention_days"])
				if base > 2 {
					continue
				}
				for storage := int64(20); storage <= 1000; storage++ {
					n := base + differs(storage, p["storage_gb"])
					if n == 0 || n > 2 || any && n > fields {
						continue
					}
					ok, cost := oracle(environment, parameters(environment, class, storage, days, multiAZ))
					distance := max(cost-now, now-cost)
					if ok && (!any || n < fields || distance < money) {
						fields, money, any = n, distance, true
					}
				}
			}
		}
	}
	return fields, money, any
}

func differs(a, b any) int {
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
		environment := []string{"dev", "staging", "prod"}[random.IntN(3)]
		class := []string{"db.t3.small", "db.t3.medium", "db.t3.large", "db.r6g.xlarge"}[random.IntN(4)]
		p := parameters(environment, class, 20+random.Int64N(981), 1+random.Int64N(35), random.IntN(2) == 1)
		verdict, err := rig.judge.Judge(t.Context(), rig.ask(environment, p))
		if err != nil {
			t.Fatal(err)
		}
		if ok, cost := oracle(environment, p); ok != verdict.Allowed() || cost != int64(verdict.MonthlyCost()) {
			t.Fatalf("%v in %s: the oracle says %v at %d mills, Judge %v at %d: %v", p, environment, ok, cost, verdict.Allowed(), verdict.MonthlyCost(), verdict.Findings)
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
