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
// tell the work from the disk.
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
	record := func() *provision.Record {
		n := serial.Add(1)
		return testkit.Created(fmt.Sprintf("orders-%d", n), func(r *provision.Request) { r.IdempotencyKey = r.ID.String() })
	}
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
