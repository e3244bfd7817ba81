package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// PublishJob offers a run's job to the workers of its pool and returns once it
// is stored: Invalid for a pool that cannot be named in a subject, Unavailable
// within 5 s when NATS is down. Each call is a message of its own, so that a
// sweep that repeats a lost job is heard; whoever gets a job twice loses the
// second claim.
func (q *Queue) PublishJob(ctx context.Context, pool string, job provision.Job) error {
	pool, err := token("pool", pool)
	if err != nil {
		return err
	}
	msg, err := message("roadbed.job.v1."+pool+".normal", job.RunID.String()+"."+provision.NewID().String(), job)
	if err != nil {
		return fmt.Errorf("encode job of run %s: %w", job.RunID, err)
	}
	doing := "publish the job of run " + job.RunID.String()
	return q.insist(ctx, jobsStream, doing, func(ctx context.Context) error {
		if err := q.makePool(ctx, pool); err != nil {
			return err
		}
		_, err := q.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(jobsStream))
		return err
	})
}

// PublishEvents publishes events and answers the ids of those that are stored,
// whatever the error. It returns within 5 s. The rest, for an Unavailable error,
// is published again by whoever has it; consumers know a repeat by its id.
func (q *Queue) PublishEvents(ctx context.Context, events []provision.Event) (published []uuid.UUID, err error) {
	var messages []*nats.Msg
	var ids []uuid.UUID
	var unfit error // an event that can never be sent must not keep the others back
	for _, e := range events {
		msg, err := eventMessage(e)
		if err != nil {
			unfit = cmp.Or(unfit, err)
			continue
		}
		messages, ids = append(messages, msg), append(ids, e.ID)
	}
	stored, err := q.publishAll(ctx, eventsStream, messages, "publish events")
	for i, ok := range stored {
		if ok {
			published = append(published, ids[i])
		}
	}
	return published, cmp.Or(err, unfit)
}

func message(subject, id string, body any) (*nats.Msg, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	msg := nats.NewMsg(subject)
	msg.Data = data
	msg.Header[nats.MsgIdHdr] = []string{id}
	msg.Header["content-type"] = []string{"application/json"}
	return msg, nil
}

// publish stores one message; a missing stream is made when it is ours to make.
func (q *Queue) publish(ctx context.Context, stream string, msg *nats.Msg, doing string) error {
	return q.insist(ctx, stream, doing, func(ctx context.Context) error {
		_, err := q.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(stream))
		return err
	})
}

// publishAll stores messages in order, with one wait for all. stored says for
// each whether NATS has it.
func (q *Queue) publishAll(ctx context.Context, stream string, messages []*nats.Msg, doing string) (stored []bool, err error) {
	stored = make([]bool, len(messages))
	return stored, q.insist(ctx, stream, doing, func(ctx context.Context) error {
		return q.publishRest(ctx, stream, messages, stored)
	})
}

// insist publishes within patience, a second time when the stream was missing
// and is made. A repeat is known by its id.
func (q *Queue) insist(ctx context.Context, stream, doing string, publish func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx, end := q.session(ctx) // no answer comes over a connection that is lost
	defer end()
	first, enough := context.WithTimeout(ctx, patience/2)
	defer enough()
	err := publish(first)
	if err != nil && q.mend(ctx, stream, err) {
		err = publish(ctx)
	}
	if err != nil {
		return unreachable(doing, err)
	}
	return nil
}

// publishRest publishes what is not stored yet and marks what then is. Its error
// is the first; it stops at one that concerns all.
func (q *Queue) publishRest(ctx context.Context, stream string, messages []*nats.Msg, stored []bool) error {
	futures := make([]jetstream.PubAckFuture, len(messages))
	var failed error
	for i, msg := range messages {
		if stored[i] {
			continue
		}
		future, err := q.js.PublishMsgAsync(msg, jetstream.WithExpectStream(stream), jetstream.WithStallWait(patience/2))
		if errors.Is(err, nats.ErrMaxPayload) {
			failed = cmp.Or(failed, err) // this one alone is too large
			continue
		}
		if err != nil {
			failed = cmp.Or(failed, err)
			break
		}
		futures[i] = future
	}
	for i, future := range futures {
		if future == nil {
			continue
		}
		select {
		case <-future.Ok():
			stored[i] = true
		case err := <-future.Err():
			failed = cmp.Or(failed, err)
		case <-ctx.Done():
			return cmp.Or(failed, ctx.Err())
		}
	}
	return failed
}
