package control

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	relayBatch   = 500
	relayBacklog = 4096            // commits that wait in memory; the outbox has the rest
	relayAge     = 2 * time.Second // younger rows are left to whoever committed them
)

// relay publishes events: from memory as soon as they are committed, and from
// the outbox whatever a crash, a full backlog or an absent NATS has left there.
type relay struct {
	store     Store
	queue     Queue
	log       *slog.Logger
	poll      time.Duration
	committed chan []provision.Event
}

func newRelay(c Config) *relay {
	return &relay{store: c.Store, queue: c.Queue, log: c.Log, poll: c.Poll, committed: make(chan []provision.Event, relayBacklog)}
}

// offer takes committed events; it never blocks, because a request waits for it.
func (r *relay) offer(events []provision.Event) {
	select {
	case r.committed <- events:
	default: // the sweep finds them
	}
}

func (r *relay) run(ctx context.Context, b *beat) error {
	idle := time.NewTicker(r.poll)
	defer idle.Stop()
	for {
		var batch []provision.Event
		select {
		case <-ctx.Done():
			return nil
		case <-idle.C:
		case batch = <-r.committed:
		}
		done := b.begin()
		err := r.publish(ctx, r.more(batch))
		if ctx.Err() != nil {
			return nil
		}
		done(err)
		if err != nil {
			r.log.Warn("events not published; the sweep tries again", "err", err)
		}
	}
}

// more adds what is there to a batch without waiting.
func (r *relay) more(batch []provision.Event) []provision.Event {
	batch = slices.Clone(batch) // it is a record's own
	for len(batch) < relayBatch {
		select {
		case events := <-r.committed:
			batch = append(batch, events...)
		default:
			return batch
		}
	}
	return batch
}

// publish publishes events and forgets those that are stored.
func (r *relay) publish(ctx context.Context, events []provision.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := r.queue.Ready(); err != nil {
		return err
	}
	published, err := r.queue.PublishEvents(ctx, events)
	if len(published) > 0 {
		if forgot := r.store.Forget(ctx, published); err == nil {
			err = forgot
		}
	}
	return err
}

func (r *relay) runSweep(ctx context.Context, b *beat) error {
	return every(ctx, r.poll, nil, b, r.log, func(ctx context.Context) error { return r.sweepOnce(ctx, relayAge) })
}

// sweepOnce publishes all that the outbox has of at least age.
func (r *relay) sweepOnce(ctx context.Context, age time.Duration) error {
	for {
		if err := r.queue.Ready(); err != nil {
			return err // before rows are locked
		}
		n, err := r.store.Relay(ctx, relayBatch, age, r.queue.PublishEvents)
		if err != nil {
			return err
		}
		if n > 0 {
			r.log.Info("published events that were left", "events", n)
		}
		if n < relayBatch {
			return nil
		}
	}
}
