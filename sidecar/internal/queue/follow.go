package queue

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// EverySubject follows every event.
const EverySubject = "roadbed.evt.v1.>"

// Follow says which events, and from where.
type Follow struct {
	Subject string // with wildcards, as roadbed.evt.v1.request.*.prod.>; "" is EverySubject
	After   uint64 // the stream's number of the last event already seen; 0 is all that are kept
	New     bool   // only events published from now on; After is then ignored
}

// FollowedEvent is an event as it lies in the stream.
type FollowedEvent struct {
	provision.Event
	Number uint64 // its place in the stream, to follow on After
}

// FollowEvents calls see with each event in the stream's order until ctx ends,
// then returns nil; Invalid for a subject that is none of events. It waits while
// NATS is down. Where the stream was lost and made anew it starts at the new
// one's beginning, so that an event may be seen again.
func (q *Queue) FollowEvents(ctx context.Context, f Follow, see func(FollowedEvent)) error {
	if f.Subject == "" {
		f.Subject = EverySubject
	}
	if !subjectPattern.MatchString(f.Subject) {
		return provision.Errorf(provision.Invalid, "%q is no subject of events; an example is roadbed.evt.v1.request.*.prod.>", f.Subject)
	}
	place := place{after: f.After, fresh: f.New}
	q.forever(ctx, eventsStream, func(session context.Context) error {
		source, err := q.seek(session, f.Subject, &place)
		if err != nil {
			return err
		}
		for session.Err() == nil {
			batch, err := fetch(session, source, consumer{most: 100})
			for _, msg := range batch {
				meta, metaErr := msg.Metadata()
				if metaErr != nil {
					return fmt.Errorf("read the place of a message on %s: %w", msg.Subject(), metaErr)
				}
				if meta.Sequence.Consumer != place.next {
					return fmt.Errorf("messages were lost on the way after event %d", place.after)
				}
				place.next++
				place.after = meta.Sequence.Stream
				event, readErr := readEvent(msg.Subject(), msg.Headers(), msg.Data())
				if readErr != nil {
					q.log.Warn("event not understood", "nats_subject", msg.Subject(), "err", readErr)
					continue
				}
				see(FollowedEvent{Event: event, Number: meta.Sequence.Stream})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// place is how far a follower has come.
type place struct {
	after   uint64    // stream sequence of the last message seen
	fresh   bool      // nothing was bound yet, and only new messages count
	created time.Time // of the stream that after belongs to
	next    uint64    // the consumer sequence that comes next
}

// seek makes a consumer of this follower alone that goes on from its place.
// NATS forgets it by itself.
func (q *Queue) seek(ctx context.Context, subject string, p *place) (jetstream.Consumer, error) {
	stream, err := q.js.Stream(ctx, eventsStream)
	if err != nil && q.mend(ctx, eventsStream, err) {
		stream, err = q.js.Stream(ctx, eventsStream)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the stream %s: %w", eventsStream, err)
	}
	info := stream.CachedInfo()
	switch {
	case p.fresh:
		p.after, p.fresh = info.State.LastSeq, false
	case p.created.IsZero() && p.after > info.State.LastSeq, !p.created.IsZero() && !p.created.Equal(info.Created):
		p.after = 0
	}
	p.created = info.Created
	made, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description: "Follows " + subject + ".", FilterSubject: subject,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: p.after + 1,
		AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", subject, err)
	}
	p.next = 1
	return made, nil
}

var subjectPattern = regexp.MustCompile(`^roadbed\.evt\.v1(\.([A-Za-z0-9_-]+|\*))*(\.>)?$`)
