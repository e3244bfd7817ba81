package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Pool is the side of a Queue that one pool's worker uses. Many slots may use it
// at once.
type Pool struct {
	queue *Queue
	name  string

	mu   sync.Mutex
	jobs jetstream.Consumer // nil until bound
}

// Delivery is a job with the two answers to it; exactly one is given. An answer
// that is lost makes the job come again, and its second claim is refused.
type Delivery struct {
	Job provision.Job
	Ack func(context.Context) error // it is claimed, or not for us: never again
	Nak func(context.Context) error // it could not be claimed now: later
}

// Pool is the worker's side for a pool; Invalid when its name cannot be a part
// of a subject.
func (q *Queue) Pool(name string) (*Pool, error) {
	name, err := token("pool", name)
	if err != nil {
		return nil, err
	}
	return &Pool{queue: q, name: name}, nil
}

// Next blocks until there is a job or ctx ends, whose error it then returns. One
// call fetches one job: none grows old in the buffer of a busy worker. While
// NATS is down, or the stream is not made yet, it waits.
func (p *Pool) Next(ctx context.Context) (Delivery, error) {
	msg, job := p.next(ctx)
	if msg == nil {
		return Delivery{}, ctx.Err()
	}
	answer := func(send func() error) func(context.Context) error {
		return func(context.Context) error {
			if err := send(); err != nil {
				return unreachable("answer for the job of run "+job.RunID.String(), err)
			}
			return nil
		}
	}
	return Delivery{
		Job: job,
		Ack: answer(msg.Ack),
		Nak: answer(func() error { return msg.NakWithDelay(redelivery(deliveries(msg))) }),
	}, nil
}

// Work gives one job after the other to handle until ctx ends, then returns nil
// once the job in hand is answered. The context of handle outlives ctx. By the
// error of handle a job is done (nil, Conflict), comes again (Unavailable, or a
// few times if of no kind) or is dropped with a log line.
func (p *Pool) Work(ctx context.Context, handle func(context.Context, provision.Job) error) error {
	for {
		msg, job := p.next(ctx)
		if msg == nil {
			return nil
		}
		err := handle(context.WithoutCancel(ctx), job)
		if provision.KindOf(err) == provision.Conflict {
			err = nil // someone else has it, or it has ended
		}
		p.queue.settle(msg, err)
	}
}

// next is the next job, with its message; nil once ctx has ended.
func (p *Pool) next(ctx context.Context) (found jetstream.Msg, job provision.Job) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	p.queue.forever(waiting, jobsStream, func(session context.Context) error {
		source, err := p.bind(session)
		if err != nil {
			return err
		}
		for session.Err() == nil {
			batch, err := fetchUpTo(source, 1, "", jetstream.FetchContext(session))
			for _, msg := range batch {
				if job, err = readJob(msg); err == nil {
					found = msg
					stop()
					return nil
				}
				p.queue.settle(msg, err)
			}
			if err != nil {
				p.unbind(source)
				return err
			}
		}
		return nil
	})
	return found, job
}

// bind makes the pool's consumer once for all slots.
func (p *Pool) bind(ctx context.Context) (jetstream.Consumer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs != nil {
		return p.jobs, nil
	}
	jobs, err := p.queue.bind(ctx, jobsStream, jetstream.ConsumerConfig{
		Durable: "pool-" + p.name, Description: "Jobs of the pool " + p.name + ".", FilterSubject: "roadbed.job.v1." + p.name + ".*",
		// A worker that was handed a job and fell silent holds it up no longer than
		// this. One that claims it more slowly loses nothing: the claim decides.
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 15 * time.Second, MaxDeliver: -1,
	})
	if err != nil {
		return nil, err
	}
	p.jobs = jobs
	return jobs, nil
}

// unbind forgets a consumer that failed, unless another slot did already.
func (p *Pool) unbind(failed jetstream.Consumer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs == failed {
		p.jobs = nil
	}
}

// PublishReport says something of a run and returns once it is stored:
// Unavailable within 5 s when NATS is down, Invalid when it is too large. It may
// be repeated: the same report within ten minutes is stored once, and counts once
// at any time.
func (p *Pool) PublishReport(ctx context.Context, report provision.Report) error {
	subject := fmt.Sprintf("roadbed.rpt.v1.%s.%s.%s", p.name, workerToken(report.Worker), report.RunID)
	msg, err := message(subject, fmt.Sprintf("%s.%d.%d", report.RunID, report.Fence, report.Sequence), report)
	if err != nil {
		return provision.Errorf(provision.Invalid, "encode report %d of run %s: %w", report.Sequence, report.RunID, err)
	}
	return p.queue.publish(ctx, reportsStream, msg, fmt.Sprintf("publish report %d of run %s", report.Sequence, report.RunID))
}

// PublishLogs stores log lines in order, as PublishReport does one report: on an
// error some may be stored, and all may be published again.
func (p *Pool) PublishLogs(ctx context.Context, lines []provision.LogLine) error {
	messages := make([]*nats.Msg, len(lines))
	for i, line := range lines {
		msg, err := message("roadbed.log.v1."+line.RunID.String(), fmt.Sprintf("%s.%d.%d", line.RunID, line.Fence, line.Number), line)
		if err != nil {
			return fmt.Errorf("encode line %d of run %s: %w", line.Number, line.RunID, err)
		}
		messages[i] = msg
	}
	_, err := p.queue.publishAll(ctx, logsStream, messages, "publish log lines")
	return err
}

func readJob(msg jetstream.Msg) (provision.Job, error) {
	var job provision.Job
	if err := json.Unmarshal(msg.Data(), &job); err != nil {
		return job, provision.Errorf(provision.Invalid, "read a job: %w", err)
	}
	return job, nil
}

func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
