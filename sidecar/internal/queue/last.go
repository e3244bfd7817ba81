package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// LastEvent is the newest event that the stream keeps; ok is false when it
// keeps none. Unavailable within 5 s when NATS is down.
func (q *Queue) LastEvent(ctx context.Context) (last provision.Event, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const doing = "look at the newest event"
	stream, err := q.js.Stream(ctx, eventsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return provision.Event{}, false, nil
	}
	if err != nil {
		return provision.Event{}, false, unreachable(doing, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, EverySubject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return provision.Event{}, false, nil
	}
	if err != nil {
		return provision.Event{}, false, unreachable(doing, err)
	}
	last, err = readEvent(msg.Subject, msg.Header, msg.Data)
	return last, err == nil, err
}

// PastEvents calls see with every event that the stream keeps now, oldest
// first, and returns. Unavailable when NATS goes away meanwhile: begin again.
func (q *Queue) PastEvents(ctx context.Context, see func(FollowedEvent)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := q.js.Stream(ctx, eventsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return unreachable("read past events", err)
	}
	last := stream.CachedInfo().State.LastSeq
	if stream.CachedInfo().State.Msgs == 0 {
		return nil
	}
	err = q.FollowEvents(ctx, Follow{}, func(e FollowedEvent) {
		see(e)
		if e.Number >= last {
			cancel()
		}
	})
	if err != nil {
		return fmt.Errorf("read past events: %w", err)
	}
	return nil
}
