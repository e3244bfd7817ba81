package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
)

type eventsCommand struct {
	Tail      eventsTailCommand      `cmd:"" help:"Print events as they happen."`
	Forgotten eventsForgottenCommand `cmd:"" help:"After a restore: list what was told and is not in the database."`
}

type eventsTailCommand struct {
	Subject string `help:"Only events with this NATS subject, which may have wildcards: entity, verb, environment, id." default:"roadbed.evt.v1.>" placeholder:"SUBJECT"`
	All     bool   `help:"Begin with the oldest event that is kept."`
	NATS    string `name:"nats" help:"NATS URL; by default the development site's." placeholder:"URL" env:"ROADBED_NATS_URL"`
	NATSKey string `name:"nats-key" help:"File with the seed of a NATS user that may follow events." type:"existingfile" env:"ROADBED_NATS_KEY_FILE"`
	Data    string `help:"Folder of the development site." default:".build/dev" type:"path" env:"ROADBED_DATA"`
	JSON    bool   `name:"json" help:"Print each event as a CloudEvent in JSON, one a line."`
}

// Help is the longer text of --help.
func (eventsTailCommand) Help() string {
	return `Every committed fact is published as a CloudEvent. It waits while NATS is away,
and ends when it is interrupted.

  roadbed events tail --subject 'roadbed.evt.v1.request.*.prod.>'
  roadbed events tail --all --json | jq 'select(.type == "dev.roadbed.credentials.opened.v1")'`
}

// Run prints events until it is interrupted.
func (c *eventsTailCommand) Run(ctx context.Context, out io.Writer) error {
	address := c.NATS
	if address == "" {
		site, err := serverFlags{Data: c.Data}.site("no NATS is named", "--nats URL (or ROADBED_NATS_URL)")
		if err != nil {
			return err
		}
		address = site.NATSURL()
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	q, err := queue.Connect(ctx, queue.Config{URL: address, Name: "roadbed-events", KeyFile: c.NATSKey, Inbox: queue.FollowerInbox, Log: log})
	if err != nil {
		return err
	}
	defer q.Close()
	impatient := time.AfterFunc(3*time.Second, func() {
		if q.Ready() != nil {
			fmt.Fprintln(os.Stderr, "roadbed: NATS cannot be reached yet; waiting for it")
		}
	})
	defer impatient.Stop()
	return q.FollowEvents(ctx, queue.Follow{Subject: c.Subject, New: !c.All}, func(e queue.FollowedEvent) {
		if c.JSON {
			_ = json.NewEncoder(out).Encode(cloudEvent(e.Event)) // who left does not read errors
			return
		}
		fmt.Fprintln(out, eventLine(e.Event))
	})
}

// structured is a CloudEvent 1.0 in structured mode.
type structured struct {
	SpecVersion string         `json:"specversion"`
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Type        string         `json:"type"`
	Subject     string         `json:"subject"`
	Time        time.Time      `json:"time"`
	ContentType string         `json:"datacontenttype"`
	Sequence    string         `json:"sequence"`
	Data        map[string]any `json:"data"`
}

func cloudEvent(e provision.Event) structured {
	return structured{
		SpecVersion: "1.0", ID: e.ID.String(), Source: "/roadbed", Type: e.Type(), Subject: e.SubjectID.String(), Time: e.At.UTC(),
		ContentType: "application/json", Sequence: fmt.Sprintf("%020d", e.Sequence), Data: e.Data,
	}
}

// eventLine is an event in one line; values are quoted where they have spaces.
func eventLine(e provision.Event) string {
	line := fmt.Sprintf("%s  %s.%s  %s  %s  #%d", e.At.Local().Format(time.TimeOnly), e.Entity, e.Verb, e.Environment, e.SubjectID, e.Sequence)
	for _, name := range slices.Sorted(maps.Keys(e.Data)) {
		text, plain := e.Data[name].(string)
		if !plain {
			encoded, _ := json.Marshal(e.Data[name]) // it came from JSON
			text = string(encoded)
		} else if text == "" || strings.ContainsAny(text, " \n\t\"") {
			text = fmt.Sprintf("%q", text)
		}
		line += "  " + name + "=" + text
	}
	return line
}
