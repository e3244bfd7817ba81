package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

// restoreSubject is who pauses everything after a restore.
const restoreSubject = "system:restore"

// restoreReason is what a person reads who waits for it.
const restoreReason = "the database is older than what it has told: it was restored, and what was made since is not known to it; see the runbook's part on restoring"

// mindRestore pauses everything when the newest published event is not in the
// database. Every event is committed before it is published, so such a database
// has been put back to an earlier time: it may ask again for what was made since.
// The pause is told as an event, which is the newest from then on, so that a
// person's word to resume holds over the next start. It is Unavailable while NATS
// or the database is.
func (s *sidecar) mindRestore(ctx context.Context) error {
	last, ok, err := s.queue.LastEvent(ctx)
	if err != nil || !ok {
		return err
	}
	unknown, err := s.store.Unknown(ctx, []provision.Event{last})
	if err != nil || len(unknown) == 0 {
		return err
	}
	s.log.Error("everything is paused: the database is older than its events", "event_id", last.ID, "type", last.Type(), "at", last.At)
	_, err = s.store.BeginPause(ctx, provision.Pause{
		ID: provision.NewID(), Kind: provision.PauseEverything, Reason: restoreReason, By: restoreSubject,
	})
	if err != nil && provision.KindOf(err) != provision.Conflict { // a conflict: paused by someone else already
		return err
	}
	return s.takeBack(ctx)
}

// takeBack ends every run that no worker has claimed: a pause holds only what
// has none.
func (s *sidecar) takeBack(ctx context.Context) error {
	const page = 100
	for {
		pools, err := s.store.Unclaimed(ctx, 0, page)
		if err != nil || len(pools) == 0 {
			return err
		}
		for _, jobs := range pools {
			for _, job := range jobs {
				_, err := s.store.ChangeRun(ctx, job.RunID, func(r *provision.Record) error {
					r.TakeBack("the database was restored")
					return nil
				})
				if err != nil {
					return err
				}
			}
		}
	}
}

type eventsForgottenCommand struct {
	Database string `help:"PostgreSQL connection string." required:"" env:"ROADBED_DATABASE_URL"`
	NATS     string `name:"nats" help:"NATS URL." required:"" env:"ROADBED_NATS_URL"`
	JSON     bool   `name:"json" help:"Print them as JSON."`
}

// Help is the longer text of --help.
func (eventsForgottenCommand) Help() string {
	return `After a restore the database may be older than the world. The stream of events
keeps 90 days: what it tells and the database does not have is what was asked
for, made, changed and destroyed since the backup. The exit code is 1 when there
is any.`
}

// forgotten is what events tell of one request, instance or other thing that the
// database has no row of.
type forgotten struct {
	Entity      string    `json:"entity"` // request, instance, pause, …
	ID          uuid.UUID `json:"id"`
	Environment string    `json:"environment"`
	Name        string    `json:"name,omitempty"`     // where an event told it
	Offering    string    `json:"offering,omitempty"` // likewise
	Known       int64     `json:"known"`              // how many of its events the database has
	Verbs       []string  `json:"verbs"`              // what it does not have, in order
	At          time.Time `json:"at"`                 // of the newest of them
}

// Run compares every event that is kept with the database.
func (c *eventsForgottenCommand) Run(ctx context.Context, out io.Writer) error {
	store, err := postgres.Open(c.Database, postgres.Options{MaxConnections: 1})
	if err != nil {
		return err
	}
	defer store.Close()
	events, err := queue.Connect(ctx, queue.Config{URL: c.NATS, Name: "roadbed-events"})
	if err != nil {
		return err
	}
	defer events.Close()
	found, err := findForgotten(ctx, store, events)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(out, found); err != nil {
			return err
		}
	} else {
		tellForgotten(out, found)
	}
	if len(found) > 0 {
		return exit(exitFailed)
	}
	return nil
}

// findForgotten are the things whose events the database lacks, in the order in
// which it has lost them.
func findForgotten(ctx context.Context, store *postgres.Store, events *queue.Queue) ([]*forgotten, error) {
	const batch = 1000
	found, byID := []*forgotten{}, map[uuid.UUID]*forgotten{}
	names := map[uuid.UUID]map[string]any{} // what an instance's first event says of it
	var pending []provision.Event
	compare := func() error {
		unknown, err := store.Unknown(ctx, pending)
		pending = pending[:0]
		for _, e := range unknown {
			f := byID[e.SubjectID]
			if f == nil {
				f = &forgotten{Entity: subjectEntity(e.Entity), ID: e.SubjectID, Environment: e.Environment, Known: e.Sequence - 1}
				byID[e.SubjectID], found = f, append(found, f)
			}
			f.Verbs, f.At = append(f.Verbs, e.Entity+"."+e.Verb), e.At
		}
		return err
	}
	var failed error
	err := events.PastEvents(ctx, func(e queue.FollowedEvent) {
		if e.Entity == "instance" && e.Verb == "reserved" {
			names[e.SubjectID] = e.Data
		}
		if pending = append(pending, e.Event); len(pending) == batch && failed == nil {
			failed = compare()
		}
	})
	if err == nil && failed == nil {
		failed = compare()
	}
	for _, f := range found {
		f.Name, _ = names[f.ID]["name"].(string)
		f.Offering, _ = names[f.ID]["offering"].(string)
	}
	if err == nil {
		err = failed
	}
	return found, err
}

// subjectEntity is whose id an event of an entity carries.
func subjectEntity(entity string) string {
	switch entity {
	case "run", "step", "approval", "reservation":
		return "request"
	case "credentials", "drift", "unused", "expiry":
		return "instance"
	default:
		return entity
	}
}

func tellForgotten(out io.Writer, found []*forgotten) {
	for _, f := range found {
		thing := f.ID.String()
		if f.Name != "" {
			thing = fmt.Sprintf("%s.%s in %s (%s)", f.Name, f.Offering, f.Environment, f.ID)
		}
		fmt.Fprintf(out, "%s %s: known up to event %d; since then, until %s: %s\n",
			f.Entity, thing, f.Known, f.At.UTC().Format(time.RFC3339), strings.Join(f.Verbs, ", "))
	}
	if len(found) == 0 {
		fmt.Fprintln(out, "The database has every event that was published.")
	}
}
