package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The streams.
const (
	jobsStream    = "JOBS"
	reportsStream = "REPORTS"
	logsStream    = "LOGS"
	eventsStream  = "EVENTS"
)

const maxMessage = 128 << 10 // bytes

const gib = 1 << 30

// Store is what a NATS server must let JetStream keep on disk, in bytes: the sum
// of the streams' limits, which it reserves. A server that is told nothing takes
// three quarters of what is free when it starts.
const Store = 10 * gib

// streams are what Ensure makes. Ages are long enough to outlive a weekend's
// outage of the sidecar; whatever is older is published again from the database.
func streams(replicas int) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{{
		Name: jobsStream, Description: "Jobs for workers; each is removed once it is claimed.",
		Subjects: []string{"roadbed.job.v1.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: gib, MaxMsgSize: maxMessage, Duplicates: 10 * time.Minute, Replicas: replicas,
	}, {
		Name: reportsStream, Description: "What workers say of their runs.",
		Subjects: []string{"roadbed.rpt.v1.>"}, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: 4 * gib, MaxMsgSize: maxMessage, Duplicates: 10 * time.Minute, Replicas: replicas,
	}, {
		Name: logsStream, Description: "Lines of the runs' logs.",
		Subjects: []string{"roadbed.log.v1.>"}, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: 24 * time.Hour, MaxBytes: gib, MaxMsgsPerSubject: 10_000, MaxMsgSize: maxMessage, Duplicates: 2 * time.Minute, Replicas: replicas,
	}, {
		Name: eventsStream, Description: "Committed facts, as CloudEvents.",
		Subjects: []string{"roadbed.evt.v1.>"}, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: 90 * 24 * time.Hour, MaxBytes: 4 * gib, MaxMsgSize: maxMessage, Duplicates: 10 * time.Minute, Replicas: replicas,
	}}
}

// Ensure makes the streams and the pools' consumers or brings them to their settings. It is Unavailable
// while NATS is down and may be repeated. Publishers and consumers of a Queue
// that OwnsStreams call it themselves when a stream is missing.
func (q *Queue) Ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := q.Ready(); err != nil {
		return err
	}
	for _, cfg := range streams(max(q.cfg.Replicas, 1)) {
		if _, err := q.js.CreateOrUpdateStream(ctx, cfg); err != nil {
			return unreachable("make the stream "+cfg.Name, err)
		}
	}
	q.mu.Lock()
	pools := slices.Collect(maps.Keys(q.pools))
	q.mu.Unlock()
	for _, pool := range pools {
		if err := q.makePool(ctx, pool); err != nil {
			return unreachable("make consumers", err)
		}
	}
	return nil
}

// makePool makes the consumer of a pool's jobs, or finds it.
func (q *Queue) makePool(ctx context.Context, pool string) error {
	_, err := q.js.CreateOrUpdateConsumer(ctx, jobsStream, jetstream.ConsumerConfig{
		Durable: consumerOf(pool), Description: "Jobs of the pool " + pool + ".", FilterSubject: "roadbed.job.v1." + pool + ".*",
		// A worker that was handed a job and fell silent holds it up no longer than
		// this. One that claims it more slowly loses nothing: the claim decides.
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 15 * time.Second, MaxDeliver: -1,
	})
	if err != nil {
		return fmt.Errorf("make the consumer of pool %s: %w", pool, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pools[pool] = true
	return nil
}

// mend makes missing streams when err may come of it that this one is missing
// and they are this side's to make. It reports whether it did, so that trying
// again makes sense.
func (q *Queue) mend(ctx context.Context, stream string, err error) bool {
	if !q.cfg.OwnsStreams {
		return false
	}
	missing := errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders)
	if errors.Is(err, context.DeadlineExceeded) {
		// Where someone else listens to the subject NATS does not say that no
		// stream does: no answer comes at all.
		_, err = q.js.Stream(ctx, stream)
		missing = errors.Is(err, jetstream.ErrStreamNotFound)
	}
	if !missing {
		return false
	}
	if err := q.Ensure(ctx); err != nil {
		q.log.Warn("streams are missing and cannot be made", "stream", stream, "err", err)
		return false
	}
	q.log.Warn("streams were missing and are made again", "stream", stream)
	return true
}

var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// token is name when it may be a part of a subject. Names with a dot or a
// wildcard would reach other subjects than their own.
func token(what, name string) (string, error) {
	if tokenPattern.MatchString(name) {
		return name, nil
	}
	return "", provision.Errorf(provision.Invalid, "%s %q may have letters, digits, _ and - only", what, name)
}

var notToken = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// workerToken is a worker's name as a part of a subject; host names have dots.
func workerToken(name string) string {
	if name == "" {
		return "_"
	}
	return notToken.ReplaceAllString(name, "_")
}
