package postgres_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// BenchmarkAccept measures one accept: on a server that syncs as a production
// server does, alone and with many callers at once, and on one that does not, to
// tell the work from the disk; each of what costs nothing, and of what three
// budgets are to pay, which all callers share.
func BenchmarkAccept(b *testing.B) {
	b.Run("synced", func(b *testing.B) { benchmarkAccept(b, testkit.NewServer(b).DSN()) })
	b.Run("unsynced", func(b *testing.B) { benchmarkAccept(b, testkit.Database(b)) })
}

func benchmarkAccept(b *testing.B, dsn string) {
	store, err := postgres.Open(dsn, postgres.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	var serial atomic.Int64
	for _, paid := range []bool{false, true} {
		name := "without budgets"
		if paid {
			name = "within budgets"
		}
		record := func() *provision.Record {
			return testkit.Created(fmt.Sprintf("orders-%d", serial.Add(1)), func(r *provision.Request) {
				r.IdempotencyKey = r.ID.String()
				if r.MonthlyCost, r.Verdict.Budgets = nil, nil; paid {
					cost := provision.Money(1)
					r.MonthlyCost, r.Verdict.Budgets = &cost, ample(r)
				}
			})
		}
		b.Run(name, func(b *testing.B) { benchmarkAccepts(b, store, record) })
	}
}

// ample are budgets of all who pay for a request, which it never exhausts.
func ample(r *provision.Request) []provision.BudgetLeft {
	var budgets []provision.BudgetLeft
	for kind, name := range map[provision.BudgetKind]string{
		provision.BudgetTeam: r.Owner, provision.BudgetCostCenter: r.CostCenter, provision.BudgetEnvironment: r.Environment,
	} {
		budgets = append(budgets, provision.BudgetLeft{Scope: provision.Scope{Kind: kind, Name: name}, Limit: 1 << 40, Left: 1 << 40, Level: provision.LevelDeny})
	}
	return budgets
}

func benchmarkAccepts(b *testing.B, store *postgres.Store, record func() *provision.Record) {
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := store.Accept(b.Context(), record()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := store.Accept(b.Context(), record()); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
