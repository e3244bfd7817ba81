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

// Examine asks the server at url how it stands, and makes nothing. It blocks
// for at most 10 s; the error is that it cannot be reached, or does not let us in.
func Examine(ctx context.Context, url string) (Condition, error) {
	conn, err := nats.Connect(url, nats.Name("roadbed-doctor"), nats.Timeout(patience))
	if err != nil {
		return Condition{}, err
	}
	defer conn.Close()
	c := Condition{Version: conn.ConnectedServerVersion()}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		return c, err
	}
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
