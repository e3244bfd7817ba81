package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Pool is the side of a Queue that one worker of a pool uses. Many slots may use
// it at once.
type Pool struct {
	queue  *Queue
	name   string
	worker string // as it stands in subjects

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

// Pool is a worker's side for its pool; Invalid when the pool's name cannot be a
// part of a subject.
func (q *Queue) Pool(name, worker string) (*Pool, error) {
	name, err := token("pool", name)
	if err != nil {
		return nil, err
	}
	return &Pool{queue: q, name: name, worker: workerToken(worker)}, nil
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

// bind finds the pool's consumer once for all slots. The sidecar makes it: a
// worker that could would choose what is delivered where.
func (p *Pool) bind(ctx context.Context) (jetstream.Consumer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.jobs != nil {
		return p.jobs, nil
	}
	jobs, err := p.queue.js.Consumer(ctx, jobsStream, consumerOf(p.name))
	if err != nil {
		return nil, fmt.Errorf("find the jobs of pool %s: %w", p.name, err)
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
	subject := fmt.Sprintf("roadbed.rpt.v1.%s.%s.%s", p.name, p.worker, report.RunID)
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
		msg, err := message(fmt.Sprintf("roadbed.log.v1.%s.%s.%s", p.name, p.worker, line.RunID), fmt.Sprintf("%s.%d.%d", line.RunID, line.Fence, line.Number), line)
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

// sender is who said something, as the subject says and NATS has checked, and of
// which run.
func sender(subject string) (pool, worker, run string) {
	parts := strings.Split(subject, ".")
	if len(parts) != 6 {
		return "", "", ""
	}
	return parts[3], parts[4], parts[5]
}
