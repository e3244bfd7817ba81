package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/bucket"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
)

// openBucket is where states are kept, nil for the database. A bucket that is
// away is only warned of: requests wait for it, and nothing is lost.
func openBucket(ctx context.Context, address string, log *slog.Logger) (postgres.Bucket, error) {
	if address == "" {
		return nil, nil
	}
	b, err := bucket.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	soon, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := b.Check(soon); err != nil {
		log.Warn("states cannot be kept for now; runs wait for it", "state", address, "err", err)
	}
	return b, nil
}

// examineStates looks whether the bucket of states may be written and read; with
// states in the database there is nothing to see.
func (e *examination) examineStates(ctx context.Context, address string) {
	if address == "" {
		return
	}
	b, err := bucket.Open(ctx, address)
	if err == nil {
		err = b.Check(ctx)
	}
	if err != nil {
		e.fail("states", "correct ROADBED_STATE, and let the identity in the sidecar's environment do s3:PutObject and s3:GetObject below "+address, "%v", oneLineOf(err))
		return
	}
	e.ok("states", "%s takes an object and gives it back", address)
}

type stateCommand struct {
	Move stateMoveCommand `cmd:"" help:"Move the bytes of every state to where they shall be; sidecars may go on meanwhile."`
}

type stateMoveCommand struct {
	Database string `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	State    string `help:"The bucket, as the sidecar is told it: s3://bucket/prefix." placeholder:"URL" required:"" env:"ROADBED_STATE"`
	To       string `help:"bucket or database. What is brought back into the database stays in the bucket as well." enum:"bucket,database" required:""`
}

// Run moves what is not there yet. It may be stopped and run again.
func (c *stateMoveCommand) Run(ctx context.Context, out io.Writer) error {
	b, err := bucket.Open(ctx, c.State)
	if err != nil {
		return err
	}
	store, err := postgres.Open(c.Database, postgres.Options{Bucket: b})
	if err != nil {
		return err
	}
	defer store.Close()
	moved, bytes := 0, 0
	err = store.MoveStates(ctx, c.To == "database", func(n int) { moved, bytes = moved+1, bytes+n })
	fmt.Fprintf(out, "Moved %d states, %d KiB, to the %s.\n", moved, (bytes+1023)/1024, c.To)
	return err
}
