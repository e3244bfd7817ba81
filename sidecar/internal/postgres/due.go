package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// InFlight is how many runs of each pool have not ended; a pool without any is
// absent.
func (s *Store) InFlight(ctx context.Context) (map[string]int, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		Pool string
		N    int
	}
	rows, err := many[row](ctx, s.pool, "runs in flight", `
		SELECT u.pool, count(*) AS n FROM runs u WHERE u.state <> 'ended' GROUP BY u.pool ORDER BY u.pool`, pgx.NamedArgs{})
	if err != nil {
		return nil, err
	}
	inFlight := make(map[string]int, len(rows))
	for _, r := range rows {
		inFlight[r.Pool] = r.N
	}
	return inFlight, nil
}

// Unclaimed are jobs whose run was dispatched at least age ago and that no
// worker has claimed, oldest first, at most limit, by pool.
func (s *Store) Unclaimed(ctx context.Context, age time.Duration, limit int) (map[string][]provision.Job, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		Pool           string
		RunID          uuid.UUID
		RequestID      uuid.UUID
		OfferingDigest string
		DispatchedAt   time.Time
	}
	rows, err := many[row](ctx, s.pool, "unclaimed runs", `
		SELECT u.pool, u.id AS run_id, u.request_id, r.offering_digest, u.dispatched_at
		  FROM runs u JOIN requests r ON r.id = u.request_id
		 WHERE u.state = 'dispatched' AND u.dispatched_at <= now() - @age::interval
		 ORDER BY u.dispatched_at, u.id
		 LIMIT @limit`,
		pgx.NamedArgs{"age": age, "limit": limit})
	if err != nil {
		return nil, err
	}
	jobs := map[string][]provision.Job{}
	for _, r := range rows {
		jobs[r.Pool] = append(jobs[r.Pool], provision.Job{
			RunID: r.RunID, RequestID: r.RequestID, OfferingDigest: r.OfferingDigest, DispatchedAt: r.DispatchedAt,
		})
	}
	return jobs, nil
}

// Expired are the ids of claimed runs whose lease has run out and that can be
// dealt with: a lost request waits for its own worker. At most limit.
func (s *Store) Expired(ctx context.Context, limit int) ([]uuid.UUID, error) {
	return s.ids(ctx, "expired runs", `
		SELECT u.id
		  FROM runs u JOIN requests r ON r.id = u.request_id
		 WHERE u.state = 'claimed' AND u.lease_expires_at <= now() AND r.state <> 'lost'
		 ORDER BY u.lease_expires_at, u.id
		 LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

// UnderWay are the ids of requests with a step under way that was not told to
// have stalled, those that were heard of longest ago first, at most limit.
func (s *Store) UnderWay(ctx context.Context, limit int) ([]uuid.UUID, error) {
	return s.ids(ctx, "requests under way", `
		SELECT r.id
		  FROM requests r
		 WHERE r.state IN ('planning', 'applying')
		   AND jsonb_path_exists(r.steps, '$[*] ? (@.status == "in_progress" && !exists (@.stalled_at))')
		 ORDER BY r.updated_at, r.id
		 LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

// Held are the ids of held requests of the environments after one of them, in
// the order of their ids, at most limit.
func (s *Store) Held(ctx context.Context, environments []string, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	return s.ids(ctx, "held requests", `
		SELECT r.id
		  FROM requests r
		 WHERE r.holds IS NOT NULL AND r.environment = ANY(@environments) AND r.id > @after
		 ORDER BY r.id
		 LIMIT @limit`,
		pgx.NamedArgs{"environments": environments, "after": after, "limit": limit})
}

// Overdue are the ids of requests that have been queued for longer than age,
// counted from when they were asked for or, later, approved or released; what
// is held is not overdue. At most limit.
func (s *Store) Overdue(ctx context.Context, age time.Duration, limit int) ([]uuid.UUID, error) {
	return s.ids(ctx, "overdue requests", `
		SELECT r.id
		  FROM requests r
		 WHERE r.state = 'queued' AND r.created_at <= now() - @age::interval
		   AND (r.approved_at IS NULL OR r.approved_at <= now() - @age::interval)
		   AND r.holds IS NULL AND (r.released_at IS NULL OR r.released_at <= now() - @age::interval)
		 ORDER BY r.created_at, r.id
		 LIMIT @limit`,
		pgx.NamedArgs{"age": age, "limit": limit})
}

// Unapproved are the ids of requests whose time to be approved is over. At most
// limit.
func (s *Store) Unapproved(ctx context.Context, limit int) ([]uuid.UUID, error) {
	return s.ids(ctx, "unapproved requests", `
		SELECT r.id
		  FROM requests r
		 WHERE r.state = 'awaiting_approval' AND r.approval_expires_at <= now()
		 ORDER BY r.approval_expires_at, r.id
		 LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

// Nearing are the newest requests of instances that near their end and whose
// owners have not been told. At most limit.
func (s *Store) Nearing(ctx context.Context, limit int) ([]uuid.UUID, error) {
	return s.ids(ctx, "instances that near their end", `
		SELECT i.request_id
		  FROM instances i
		 WHERE i.expiry_warn_at <= now() AND i.gone_at IS NULL
		 ORDER BY i.expiry_warn_at, i.id
		 LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

// Ended are the instances whose end is due and of which nothing is asked at this
// moment, with their newest requests; of one that was never made that is its
// create. At most limit.
func (s *Store) Ended(ctx context.Context, limit int) ([]provision.Ended, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return many[provision.Ended](ctx, s.pool, "instances whose end is due", `
		SELECT i.id AS instance_id, i.request_id
		  FROM instances i JOIN requests r ON r.id = i.request_id
		 WHERE i.expiry_destroy_at <= now() AND i.gone_at IS NULL
		   AND (r.finished_at IS NOT NULL OR i.state = 'reserved' AND r.state IN ('queued', 'awaiting_approval'))
		 ORDER BY i.expiry_destroy_at, i.id
		 LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

func (s *Store) ids(ctx context.Context, what, sql string, args pgx.NamedArgs) ([]uuid.UUID, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, _ := s.pool.Query(ctx, sql, args) // pgx returns the error again from collecting
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return ids, fault(err, "list "+what)
}
