package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
)

type notificationsCommand struct {
	Failed notificationsFailedCommand `cmd:"" help:"List the notices that were given up, and why."`
	Retry  notificationsRetryCommand  `cmd:"" help:"Send notices that were given up again."`
}

type notificationsFailedCommand struct {
	Database string `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	JSON     bool   `name:"json" help:"Print them as JSON."`
}

// failedNotice is a notice that was given up, as it is printed.
type failedNotice struct {
	Event    uuid.UUID `json:"event"`
	Type     string    `json:"type"`
	Subject  uuid.UUID `json:"subject"`
	Channel  string    `json:"channel"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
	Since    time.Time `json:"since"`
}

// Run lists at most a thousand, the oldest first.
func (c *notificationsFailedCommand) Run(ctx context.Context, out io.Writer) error {
	store, err := postgres.Open(c.Database, postgres.Options{MaxConnections: 1})
	if err != nil {
		return err
	}
	defer store.Close()
	notices, err := store.FailedNotices(ctx, 1000)
	if err != nil {
		return err
	}
	failed := make([]failedNotice, len(notices))
	for i, n := range notices {
		failed[i] = failedNotice{n.Event.ID, n.Event.Type(), n.Event.SubjectID, n.Channel, n.Attempts, n.Err, n.Since}
	}
	if c.JSON {
		return printJSON(out, failed)
	}
	for _, n := range failed {
		fmt.Fprintf(out, "%s  %s  %s  %s  %d attempts: %s\n", n.Since.Local().Format(time.DateTime), n.Channel, n.Type, n.Event, n.Attempts, n.Error)
	}
	fmt.Fprintf(out, "%d given up\n", len(failed))
	return nil
}

type notificationsRetryCommand struct {
	Database string    `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	Channel  string    `help:"Only those of this channel." placeholder:"NAME"`
	Event    uuid.UUID `help:"Only those of this event." placeholder:"ID"`
}

// Run makes them due; a running sidecar sends them within seconds.
func (c *notificationsRetryCommand) Run(ctx context.Context, out io.Writer) error {
	store, err := postgres.Open(c.Database, postgres.Options{MaxConnections: 1})
	if err != nil {
		return err
	}
	defer store.Close()
	n, err := store.RetryNotices(ctx, c.Channel, c.Event)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d are sent again\n", n)
	return nil
}
