package queue

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// WaitingJobs is how many job messages a pool's workers have not acknowledged
// yet; 0 when there is no stream. Unavailable within 5 s when NATS is down.
func (q *Queue) WaitingJobs(ctx context.Context, pool string) (int, error) {
	pool, err := token("pool", pool)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const doing = "count waiting jobs"
	stream, err := q.js.Stream(ctx, jobsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, unreachable(doing, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("roadbed.job.v1."+pool+".>"))
	if err != nil {
		return 0, unreachable(doing, err)
	}
	waiting := 0
	for _, n := range info.State.Subjects {
		waiting += int(n)
	}
	return waiting, nil
}
