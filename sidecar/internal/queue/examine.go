package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Condition is how a NATS server stands.
type Condition struct {
	Version   string
	JetStream error    // nil when it may be used
	Missing   []string // streams that are not there
	InMemory  []string // streams that a restart of the server loses
	Differing []string // streams whose subjects or retention are not ours
}

// Examine asks a server how it stands, as the sidecar, and makes nothing. It
// blocks for at most 15 s; the error is that it cannot be reached, or does not
// let us in.
func Examine(ctx context.Context, cfg Config) (Condition, error) {
	conn, js, err := visit(cfg)
	if err != nil {
		return Condition{}, err
	}
	defer conn.Close()
	c := Condition{Version: conn.ConnectedServerVersion()}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for _, want := range streams(1) {
		stream, err := js.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			c.Missing = append(c.Missing, want.Name)
			continue
		case err != nil:
			c.JetStream = fmt.Errorf("look at the stream %s: %w", want.Name, err)
			return c, nil
		}
		has := stream.CachedInfo().Config
		if has.Storage == jetstream.MemoryStorage {
			c.InMemory = append(c.InMemory, want.Name)
		}
		if len(has.Subjects) != 1 || has.Subjects[0] != want.Subjects[0] || has.Retention != want.Retention {
			c.Differing = append(c.Differing, want.Name)
		}
	}
	return c, nil
}

// ExaminePool is Examine as a worker of a pool, whose user sees no more than the
// pool's jobs: Missing is then the stream of jobs, and JetStream why they cannot
// be looked at.
func ExaminePool(ctx context.Context, cfg Config, pool string) (Condition, error) {
	conn, js, err := visit(cfg)
	if err != nil {
		return Condition{}, err
	}
	defer conn.Close()
	c := Condition{Version: conn.ConnectedServerVersion()}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = js.Consumer(ctx, jobsStream, consumerOf(pool))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		c.Missing = []string{jobsStream}
	case err != nil:
		c.JetStream = fmt.Errorf("look at the jobs of pool %s: %w", pool, err)
	}
	return c, nil
}

// visit connects once and does not try again.
func visit(cfg Config) (*nats.Conn, jetstream.JetStream, error) {
	options, err := cfg.identity()
	if err != nil {
		return nil, nil, err
	}
	conn, err := nats.Connect(cfg.URL, append(options, nats.Name("roadbed-doctor"), nats.Timeout(patience))...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, js, nil
}
