package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// longestLogLine is how many bytes of a log line are kept.
const longestLogLine = 16 << 10

// appendLogSQL numbers a run's new lines on from the request's last. The
// statement before it makes other appends to the request wait, so that no
// position becomes visible after a higher one.
const appendLogSQL = `
	WITH run AS (
		SELECT u.id, u.request_id, u.fence FROM runs u
		 WHERE u.id = @run_id AND u.pool = @pool AND regexp_replace(u.worker, '[^A-Za-z0-9_-]+', '_', 'g') = @worker),
	fresh AS (
		SELECT run.request_id, l.fence, l.number, l.at, l.text
		  FROM run
		  JOIN unnest(@fences::bigint[], @numbers::bigint[], @ats::timestamptz[], @texts::text[]) AS l (fence, number, at, text)
		    ON l.fence = run.fence
		 WHERE NOT EXISTS (SELECT FROM log_lines k WHERE k.run_id = @run_id AND k.fence = l.fence AND k.number = l.number))
	INSERT INTO log_lines (request_id, position, run_id, fence, number, at, text)
	SELECT f.request_id,
	       COALESCE((SELECT max(k.position) FROM log_lines k WHERE k.request_id = f.request_id), 0)
	         + row_number() OVER (ORDER BY f.number),
	       @run_id, f.fence, f.number, f.at, f.text
	  FROM fresh f
	ON CONFLICT (run_id, fence, number) DO NOTHING`

const lockLogSQL = `
	SELECT u.request_id, pg_advisory_xact_lock(hashtextextended(u.request_id::text, 0)) FROM runs u WHERE u.id = @run_id`

// AppendLog keeps log lines in the order given, each (run, fence, number) once;
// lines of a run that is unknown, has another token or is another worker's are
// dropped. It may be repeated.
func (s *Store) AppendLog(ctx context.Context, lines []provision.LogLine) error {
	said := map[speaker][]provision.LogLine{}
	var speakers []speaker
	for _, line := range lines {
		by := speaker{line.RunID, line.Pool, line.Worker}
		if _, seen := said[by]; !seen {
			speakers = append(speakers, by)
		}
		said[by] = append(said[by], line)
	}
	for _, by := range speakers {
		if err := s.appendLog(ctx, by, said[by]); err != nil {
			return fault(err, "keep log of run "+by.run.String())
		}
	}
	return nil
}

// speaker is who says lines of which run.
type speaker struct {
	run          uuid.UUID
	pool, worker string
}

func (s *Store) appendLog(ctx context.Context, by speaker, lines []provision.LogLine) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n := len(lines)
	fences, numbers, ats, texts := make([]int64, n), make([]int64, n), make([]time.Time, n), make([]string, n)
	for i, line := range lines {
		text := line.Text
		if len(text) > longestLogLine {
			text = text[:longestLogLine] + " … (cut)"
		}
		fences[i], numbers[i], ats[i], texts[i] = line.Fence, line.Number, line.At, clean(text)
	}
	batch := &pgx.Batch{}
	batch.Queue(lockLogSQL, pgx.NamedArgs{"run_id": by.run})
	batch.Queue(appendLogSQL, pgx.NamedArgs{"run_id": by.run, "pool": by.pool, "worker": by.worker, "fences": fences, "numbers": numbers, "ats": ats, "texts": texts})
	sent := s.pool.SendBatch(ctx, batch)
	var requestID uuid.UUID
	err := sent.QueryRow().Scan(&requestID, nil)
	if closed := sent.Close(); err == nil {
		err = closed
	}
	if isNoRows(err) {
		return nil // no such run: nobody would read its log
	}
	if err != nil {
		return err
	}
	s.hub.logged(requestID)
	return nil
}

// LogAfter implements provision.Store.
func (s *Store) LogAfter(ctx context.Context, requestID uuid.UUID, after int64, limit int) ([]provision.LogEntry, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return many[provision.LogEntry](ctx, s.pool, "log lines", `
		SELECT l.position, l.at, l.text
		  FROM log_lines l
		 WHERE l.request_id = @request_id AND l.position > @after
		 ORDER BY l.position
		 LIMIT @limit`,
		pgx.NamedArgs{"request_id": requestID, "after": after, "limit": limit})
}
