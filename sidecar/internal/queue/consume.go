package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const (
	// handling bounds one call of a handler. It outlives a shutdown, so that
	// what is in hand is settled.
	handling = 30 * time.Second
	// silent is how long a message may be in hand without a sign of life before
	// it is given to someone else: a killed sidecar holds up reports no longer.
	silent = 10 * time.Second
	// tries is how often a message is given to a handler that answers with an
	// error of no kind before it is dropped as poison.
	tries = 10
	// takeover is how long log lines wait when the replica that had them has died.
	takeover = 5 * time.Second
	// logBatch is how many log lines a handler gets at once, at most.
	logBatch = 500
)

// ConsumeReports gives each report to handle, one after the other and in the
// order of their publication, over all replicas of the sidecar: a report counts
// only if none with a higher sequence was taken before. It returns nil once ctx
// ends and the report in hand is settled, for which handle gets at most 30 s.
//
// An error of handle decides: nil, it is done; Unavailable, it comes again, and
// all others wait; Invalid, NotFound, Conflict, Denied or Gone, it is dropped with a log
// line; any other, it comes again a few times. A report may come more than once.
func (q *Queue) ConsumeReports(ctx context.Context, handle func(context.Context, provision.Report) error) error {
	one := consumer{stream: reportsStream, config: jetstream.ConsumerConfig{
		Durable: recorder, Description: "Takes reports into requests.",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: silent, MaxDeliver: -1, MaxAckPending: 1,
	}, most: 1}
	q.consume(ctx, one, func(ctx context.Context, batch []jetstream.Msg) {
		for _, msg := range batch {
			report, err := readReport(msg.Subject(), msg.Data())
			if err == nil {
				err = handle(ctx, report)
			}
			q.settle(msg, err)
		}
	})
	return nil
}

// ConsumeLogs gives log lines to handle in batches, in the order of their
// publication; it ends and errors count as with ConsumeReports. Where handle
// refuses a batch that it must not see again, it gets each line alone, so that
// one bad line costs no other. One replica of the sidecar at a time has them.
func (q *Queue) ConsumeLogs(ctx context.Context, handle func(context.Context, []provision.LogLine) error) error {
	many := consumer{stream: logsStream, config: jetstream.ConsumerConfig{
		Durable: recorder, Description: "Keeps log lines.",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: silent, MaxDeliver: -1, MaxAckPending: 4 * logBatch,
		// Two replicas that take turns would shuffle the lines of a run.
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{inOrder}, PinnedTTL: takeover,
	}, most: logBatch, group: inOrder}
	q.consume(ctx, many, func(ctx context.Context, batch []jetstream.Msg) {
		var lines []provision.LogLine
		var fit []jetstream.Msg
		for _, msg := range batch {
			line, err := readLine(msg.Subject(), msg.Data())
			if err != nil {
				q.settle(msg, err)
				continue
			}
			lines, fit = append(lines, line), append(fit, msg)
		}
		if len(lines) == 0 {
			return
		}
		err := handle(ctx, lines)
		for i, msg := range fit {
			each := err
			if err != nil && len(lines) > 1 && provision.KindOf(err) != provision.Unavailable {
				each = handle(ctx, lines[i:i+1])
			}
			q.settle(msg, each)
		}
	})
	return nil
}

const inOrder = "in-order" // the priority group of consumers that one client has at a time

// consumer is a durable consumer and how to fetch from it.
type consumer struct {
	stream string
	config jetstream.ConsumerConfig
	most   int // messages at once
	group  string
}

// consume gives batches to take until ctx ends. It survives restarts of NATS
// and makes the consumer again when it is gone.
func (q *Queue) consume(ctx context.Context, c consumer, take func(context.Context, []jetstream.Msg)) {
	q.forever(ctx, c.stream, func(session context.Context) error {
		source, err := q.bind(session, c.stream, c.config)
		if err != nil {
			return err
		}
		for session.Err() == nil {
			batch, err := fetch(session, source, c)
			if len(batch) > 0 {
				hand, cancel := context.WithTimeout(context.WithoutCancel(ctx), handling)
				go hold(hand, batch)
				take(hand, batch)
				cancel()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// hold keeps messages in hand until ctx ends. A sign of life that is lost brings
// a message twice, which its taker must bear anyhow.
func hold(ctx context.Context, batch []jetstream.Msg) {
	tick := time.NewTicker(silent / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, msg := range batch {
			_ = msg.InProgress()
		}
	}
}

// bind makes a durable consumer or brings it to its settings.
func (q *Queue) bind(ctx context.Context, stream string, config jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	made, err := q.js.CreateOrUpdateConsumer(ctx, stream, config)
	if err != nil && q.mend(ctx, stream, err) {
		made, err = q.js.CreateOrUpdateConsumer(ctx, stream, config)
	}
	if err != nil {
		return nil, fmt.Errorf("make the consumer %s of %s: %w", config.Durable, stream, err)
	}
	return made, nil
}

// fetch waits for a message and takes those that are there with it. It asks for
// one first: a request for many is answered only once they are many.
func fetch(ctx context.Context, source jetstream.Consumer, c consumer) ([]jetstream.Msg, error) {
	batch, err := fetchUpTo(source, 1, c.group, jetstream.FetchContext(ctx))
	if err != nil || len(batch) == 0 || c.most == 1 {
		return batch, err
	}
	rest, err := fetchUpTo(source, c.most-1, c.group, jetstream.FetchMaxWait(20*time.Millisecond))
	return append(batch, rest...), err
}

func fetchUpTo(source jetstream.Consumer, most int, group string, options ...jetstream.FetchOpt) ([]jetstream.Msg, error) {
	if group != "" {
		options = append(options, jetstream.FetchPriorityGroup(group))
	}
	messages, err := source.Fetch(most, options...)
	if err != nil {
		return nil, err
	}
	var batch []jetstream.Msg
	for msg := range messages.Messages() {
		batch = append(batch, msg)
	}
	if err := messages.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) && !errors.Is(err, jetstream.ErrPinIDMismatch) {
		return batch, err
	}
	return batch, nil
}

// settle tells NATS what became of a message. Where that does not arrive the
// message comes again, which its taker must bear anyhow.
func (q *Queue) settle(msg jetstream.Msg, err error) {
	log := q.log.With("nats_subject", msg.Subject())
	switch decide(err, deliveries(msg)) {
	case done:
		err = msg.Ack()
	case later:
		delay := redelivery(deliveries(msg))
		log.Warn("message will come again", "delay", delay, "err", err)
		err = msg.NakWithDelay(delay)
	case never:
		log.Error("message dropped", "err", err)
		err = msg.TermWithReason(provision.KindOf(err).String())
	}
	if err != nil {
		log.Warn("message not settled; it will come again", "err", err)
	}
}

// fate is what becomes of a message.
type fate int

const (
	done fate = iota
	later
	never
)

// decide is a message's fate by its handler's error and how often it was delivered.
func decide(err error, delivered uint64) fate {
	switch kind := provision.KindOf(err); {
	case err == nil:
		return done
	case kind == provision.Unavailable:
		return later
	case kind != provision.Internal:
		return never
	case delivered >= tries:
		return never
	default:
		return later
	}
}

// redelivery is how long a message rests before it is delivered again.
func redelivery(delivered uint64) time.Duration {
	steps := []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second}
	return steps[min(max(int(delivered), 1), len(steps))-1]
}

func deliveries(msg jetstream.Msg) uint64 {
	meta, err := msg.Metadata()
	if err != nil {
		return 1
	}
	return meta.NumDelivered
}

func readReport(subject string, data []byte) (provision.Report, error) {
	var report provision.Report
	if err := json.Unmarshal(data, &report); err != nil {
		return report, provision.Errorf(provision.Invalid, "read a report: %w", err)
	}
	pool, worker, run := sender(subject)
	if run != report.RunID.String() || worker != workerToken(report.Worker) {
		return report, provision.Errorf(provision.Invalid, "a report of run %s by %s came as one of run %s by %s", report.RunID, report.Worker, run, worker)
	}
	report.Pool = pool
	return report, nil
}

func readLine(subject string, data []byte) (provision.LogLine, error) {
	var line provision.LogLine
	if err := json.Unmarshal(data, &line); err != nil {
		return line, provision.Errorf(provision.Invalid, "read a log line: %w", err)
	}
	var run string
	if line.Pool, line.Worker, run = sender(subject); run != line.RunID.String() {
		return line, provision.Errorf(provision.Invalid, "a log line of run %s came as one of run %s", line.RunID, run)
	}
	return line, nil
}
