package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// queueNotices remembers, in the transaction of the events, which of them
// somebody is to be told.
func (s *Store) queueNotices(batch *pgx.Batch, events []provision.Event) {
	if s.notable == nil {
		return
	}
	var ids, subjects []pgtype.UUID
	var sequences []int64
	for _, e := range events {
		if s.notable(e) {
			ids, subjects, sequences = append(ids, key(e.ID)), append(subjects, key(e.SubjectID)), append(sequences, e.Sequence)
		}
	}
	if len(ids) == 0 {
		return
	}
	batch.Queue(`
		INSERT INTO notices (event_id, channel, subject_id, sequence, due_at)
		SELECT t.id, '', t.subject_id, t.sequence, now()
		  FROM unnest(@ids::uuid[], @subject_ids::uuid[], @sequences::bigint[]) AS t (id, subject_id, sequence)`,
		pgx.NamedArgs{"ids": ids, "subject_ids": subjects, "sequences": sequences})
}

// noticeRow is a row of notices with its event, as it is read.
type noticeRow struct {
	eventRow
	Channel  string
	Attempts int
	Error    string
	Since    time.Time
}

const noticeColumns = eventColumns + `, n.channel, n.attempts, n.error, n.created_at AS since`

// ClaimNotices are notices of a channel that are due, the oldest first, at most
// limit. No other claim sees them for as long as hold: whoever claims them says
// within it what became of each, or they come again.
func (s *Store) ClaimNotices(ctx context.Context, channel string, limit int, hold time.Duration) ([]provision.Notice, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[noticeRow](ctx, s.pool, "notices", `
		WITH due AS (
			SELECT n.event_id, n.channel
			  FROM notices n
			 WHERE n.channel = @channel AND n.due_at <= now()
			 ORDER BY n.due_at, n.created_at, n.sequence
			 LIMIT @limit
			   FOR UPDATE SKIP LOCKED),
		n AS (
			UPDATE notices n
			   SET due_at = now() + @hold::interval
			  FROM due
			 WHERE n.event_id = due.event_id AND n.channel = due.channel
			RETURNING n.*)
		SELECT `+noticeColumns+`
		  FROM n
		  JOIN events e ON e.subject_id = n.subject_id AND e.sequence = n.sequence
		 ORDER BY n.created_at, n.sequence`,
		pgx.NamedArgs{"channel": channel, "limit": limit, "hold": hold})
	return noticesOf(rows, err)
}

func noticesOf(rows []noticeRow, err error) ([]provision.Notice, error) {
	if err != nil {
		return nil, err
	}
	notices := make([]provision.Notice, len(rows))
	for i, row := range rows {
		event, err := row.event()
		if err != nil {
			return nil, err
		}
		notices[i] = provision.Notice{Event: event, Channel: row.Channel, Attempts: row.Attempts, Err: row.Error, Since: row.Since}
	}
	return notices, nil
}

// RouteNotice replaces the notice of an event that has no channel yet by one for
// each channel; none when nobody is to be told. It may be repeated.
func (s *Store) RouteNotice(ctx context.Context, eventID uuid.UUID, channels []string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `
		WITH routed AS (DELETE FROM notices n WHERE n.event_id = @event_id AND n.channel = '' RETURNING n.*)
		INSERT INTO notices (event_id, channel, subject_id, sequence, due_at, created_at)
		SELECT r.event_id, c.channel, r.subject_id, r.sequence, now(), r.created_at
		  FROM routed r, unnest(@channels::text[]) AS c (channel)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{"event_id": eventID, "channels": channels})
	return fault(err, "route the notice of event "+eventID.String())
}

// NoticeSent forgets a notice that has arrived; it may be repeated.
func (s *Store) NoticeSent(ctx context.Context, eventID uuid.UUID, channel string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `DELETE FROM notices n WHERE n.event_id = @event_id AND n.channel = @channel`,
		pgx.NamedArgs{"event_id": eventID, "channel": channel})
	return fault(err, "forget the notice of event "+eventID.String())
}

// NoticeFailed keeps why an attempt failed. The notice is due after again, or
// given up when that is negative.
func (s *Store) NoticeFailed(ctx context.Context, eventID uuid.UUID, channel, why string, again time.Duration) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `
		UPDATE notices n
		   SET attempts = attempts + 1, error = @why, due_at = CASE WHEN @given_up THEN NULL ELSE now() + @again::interval END
		 WHERE n.event_id = @event_id AND n.channel = @channel`,
		pgx.NamedArgs{"event_id": eventID, "channel": channel, "why": why, "given_up": again < 0, "again": max(again, 0)})
	return fault(err, "keep the failure of the notice of event "+eventID.String())
}

// FailedNotices are those that were given up, the oldest first, at most limit.
func (s *Store) FailedNotices(ctx context.Context, limit int) ([]provision.Notice, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return noticesOf(many[noticeRow](ctx, s.pool, "notices", `
		SELECT `+noticeColumns+`
		  FROM notices n
		  JOIN events e ON e.subject_id = n.subject_id AND e.sequence = n.sequence
		 WHERE n.due_at IS NULL
		 ORDER BY n.created_at, n.event_id, n.channel
		 LIMIT @limit`, pgx.NamedArgs{"limit": limit}))
}

// RetryNotices makes notices that were given up due again, of one channel or of
// all ("") and of one event or of all (uuid.Nil), and answers how many.
func (s *Store) RetryNotices(ctx context.Context, channel string, eventID uuid.UUID) (int64, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	tag, err := s.pool.Exec(ctx, `
		UPDATE notices n
		   SET due_at = now(), attempts = 0
		 WHERE n.due_at IS NULL AND (@channel = '' OR n.channel = @channel) AND (@event_id::uuid IS NULL OR n.event_id = @event_id)`,
		pgx.NamedArgs{"channel": channel, "event_id": pgtype.UUID{Bytes: eventID, Valid: eventID != uuid.Nil}})
	return tag.RowsAffected(), fault(err, "retry notices")
}

// CountNotices is how many wait to be sent, and how many were given up.
func (s *Store) CountNotices(ctx context.Context) (waiting, failed int64, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = s.pool.QueryRow(ctx, `SELECT count(due_at), count(*) - count(due_at) FROM notices`).Scan(&waiting, &failed)
	return waiting, failed, fault(err, "count notices")
}
