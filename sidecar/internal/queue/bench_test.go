package queue_test

import (
	"context"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func benchQueue(b *testing.B) (*queue.Queue, *queue.Pool) {
	b.Helper()
	q, err := queue.Connect(b.Context(), queue.Config{URL: testkit.NATS(b).URL(), Name: "bench", OwnsStreams: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(q.Close)
	if err := q.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	p, err := q.Pool("local", "worker.example-1")
	if err != nil {
		b.Fatal(err)
	}
	return q, p
}

// BenchmarkPublishEvents is one event in batches of 500, as the relay sends them.
func BenchmarkPublishEvents(b *testing.B) {
	q, _ := benchQueue(b)
	var batch []provision.Event
	flush := func() {
		if published, err := q.PublishEvents(b.Context(), batch); err != nil || len(published) != len(batch) {
			b.Fatalf("published %d of %d: %v", len(published), len(batch), err)
		}
		batch = batch[:0]
	}
	for b.Loop() {
		if batch = append(batch, event(1)); len(batch) == 500 {
			flush()
		}
	}
	flush()
}

// BenchmarkReport is one report from publication to its acknowledgement, one
// after the other.
func BenchmarkReport(b *testing.B) {
	q, p := benchQueue(b)
	taken, ended := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		defer close(ended)
		_ = q.ConsumeReports(ctx, func(context.Context, provision.Report) error { taken <- struct{}{}; return nil })
	}()
	run, n := provision.NewID(), int64(0)
	for b.Loop() {
		n++
		if err := p.PublishReport(b.Context(), report(run, n)); err != nil {
			b.Fatal(err)
		}
		<-taken
	}
	cancel()
	<-ended
}
