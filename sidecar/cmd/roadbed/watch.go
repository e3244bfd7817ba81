package main

import (
	"context"
	"io"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

type requestWatchCommand struct {
	serverFlags
	ID   uuid.UUID `arg:"" name:"id" help:"The request's id."`
	JSON bool      `name:"json" help:"Print each event as one line of JSON."`
}

// Help is the longer text of --help.
func (requestWatchCommand) Help() string {
	return `It begins with what has happened already and lasts over restarts of the sidecar.
Interrupting it does not stop the request.

Exits 0 when the request succeeded, 1 when it failed or was cancelled, 3 when it
was denied, 4 when it waits for approval.

  roadbed request watch 0199a3c0-… --as ann
  roadbed request watch 0199a3c0-… --as ann --json | jq -r .type`
}

// Run follows a request to its end.
func (c *requestWatchCommand) Run(ctx context.Context, out io.Writer) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	r, err := conn.Request(ctx, c.ID)
	if err != nil {
		return err
	}
	return conn.watch(ctx, out, r, c.JSON)
}

// exitInterrupted is what a shell expects of an interrupted program.
const exitInterrupted = 130

// watch shows a request's events, from the first, until it has ended or waits
// for people; its error is the exit code of that.
func (c *connection) watch(ctx context.Context, out io.Writer, r api.Request, asJSON bool) error {
	seen := newWatched(r)
	show := displayOn(out, asJSON)
	show.begin(seen)
	following, stop := context.WithCancel(ctx)
	events, done := make(chan api.Event), make(chan error, 1)
	go func() {
		done <- c.Follow(following, r.Id, 0, func(e api.Event) error {
			select {
			case events <- e:
				return nil
			case <-following.Done():
				return following.Err()
			}
		})
	}()
	defer func() { stop(); <-done }()
	looks := c.looks(following, r.Id)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case e := <-events:
			show.event(seen, e, seen.take(e))
			// An approval that was given since is not waited for: only the newest event tells.
			if seen.request.State == provision.AwaitingApproval && e.Sequence >= r.Sequence {
				show.end(seen)
				return exit(exitWaiting)
			}
		case err := <-c.lost:
			show.interrupted(seen, err)
		case look := <-looks:
			for _, line := range seen.look(look) {
				show.note(line)
			}
		case now := <-tick.C:
			show.tick(seen, now)
		case err := <-done:
			done <- nil // for the deferred wait
			if ctx.Err() != nil {
				show.end(seen)
				return exit(exitInterrupted)
			}
			if err != nil {
				return err
			}
			if last, err := c.Request(ctx, r.Id); err == nil {
				seen.request = last // the same, with what no event carries
			}
			show.end(seen)
			return exitOf(seen.request.State)
		}
	}
}

// exitOf is the exit code of a request's end; nil is 0.
func exitOf(s provision.State) error {
	switch s {
	case provision.Succeeded:
		return nil
	case provision.DeniedState:
		return exit(exitDenied)
	default:
		return exit(exitFailed)
	}
}
