package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// tellSQL writes events and the outbox rows that make sure they are published.
// Without @at they happen at the transaction's start.
const tellSQL = `
	WITH told AS (
		INSERT INTO events (subject_id, sequence, id, entity, verb, environment, at, data)
		SELECT t.subject_id, t.sequence, t.id, t.entity, t.verb, @environment, COALESCE(@at::timestamptz, now()), t.data::jsonb
		  FROM unnest(@subject_ids::uuid[], @sequences::bigint[], @ids::uuid[], @entities::text[], @verbs::text[], @data::text[])
		       AS t (subject_id, sequence, id, entity, verb, data)
		RETURNING id, subject_id, sequence)
	INSERT INTO outbox (event_id, subject_id, sequence)
	SELECT id, subject_id, sequence FROM told`

// tellArgs are the arguments of tellSQL; at is nil for the transaction's start.
func tellArgs(events []provision.Event, at *time.Time) (pgx.NamedArgs, error) {
	n := len(events)
	subjects, ids, sequences := make([]pgtype.UUID, n), make([]pgtype.UUID, n), make([]int64, n)
	entities, verbs, data := make([]string, n), make([]string, n), make([]string, n)
	environment := ""
	for i, e := range events {
		text, err := encode(e.Data)
		if err != nil {
			return nil, fmt.Errorf("event %d of %s: %w", e.Sequence, e.SubjectID, err)
		}
		environment = e.Environment // one record's events have one environment
		subjects[i], sequences[i], ids[i], entities[i], verbs[i], data[i] = key(e.SubjectID), e.Sequence, key(e.ID), e.Entity, e.Verb, text
	}
	return pgx.NamedArgs{
		"environment": environment, "at": at, "subject_ids": subjects, "sequences": sequences, "ids": ids,
		"entities": entities, "verbs": verbs, "data": data,
	}, nil
}

const eventColumns = `e.id, e.entity, e.verb, e.subject_id, e.sequence, e.environment, e.at, e.data`

// eventRow is a row of events as it is read.
type eventRow struct {
	ID          uuid.UUID
	Entity      string
	Verb        string
	SubjectID   uuid.UUID
	Sequence    int64
	Environment string
	At          time.Time
	Data        []byte
}

func (r eventRow) event() (provision.Event, error) {
	event := provision.Event{
		ID: r.ID, Entity: r.Entity, Verb: r.Verb, SubjectID: r.SubjectID, Sequence: r.Sequence,
		Environment: r.Environment, At: r.At,
	}
	return event, fault(decode(r.Data, &event.Data), "read event "+r.ID.String())
}

func eventsOf(rows []eventRow) ([]provision.Event, error) {
	events := make([]provision.Event, len(rows))
	for i, row := range rows {
		event, err := row.event()
		if err != nil {
			return nil, err
		}
		events[i] = event
	}
	return events, nil
}

// EventsAfter are the events of a request or instance with a higher sequence,
// in order, at most limit. Of an unknown subject there are none.
func (s *Store) EventsAfter(ctx context.Context, subjectID uuid.UUID, sequence int64, limit int) ([]provision.Event, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[eventRow](ctx, s.pool, "events", `
		SELECT `+eventColumns+`
		  FROM events e
		 WHERE e.subject_id = @subject_id AND e.sequence > @sequence
		 ORDER BY e.sequence
		 LIMIT @limit`,
		pgx.NamedArgs{"subject_id": subjectID, "sequence": sequence, "limit": limit})
	if err != nil {
		return nil, err
	}
	return eventsOf(rows)
}

// Unknown are those of the events that this database does not have: it has been
// restored to a point before they were committed, or others are told of here.
func (s *Store) Unknown(ctx context.Context, events []provision.Event) ([]provision.Event, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n := len(events)
	subjects, ids, sequences := make([]pgtype.UUID, n), make([]pgtype.UUID, n), make([]int64, n)
	for i, e := range events {
		subjects[i], ids[i], sequences[i] = key(e.SubjectID), key(e.ID), e.Sequence
	}
	type row struct{ Place int64 }
	rows, err := many[row](ctx, s.pool, "events", `
		SELECT t.place
		  FROM unnest(@subject_ids::uuid[], @sequences::bigint[], @ids::uuid[]) WITH ORDINALITY AS t (subject_id, sequence, id, place)
		 WHERE NOT EXISTS (SELECT FROM events e WHERE e.subject_id = t.subject_id AND e.sequence = t.sequence AND e.id = t.id)
		 ORDER BY t.place`,
		pgx.NamedArgs{"subject_ids": subjects, "sequences": sequences, "ids": ids})
	if err != nil {
		return nil, err
	}
	unknown := make([]provision.Event, len(rows))
	for i, row := range rows {
		unknown[i] = events[row.Place-1]
	}
	return unknown, nil
}
