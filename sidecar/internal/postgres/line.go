package postgres

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// busySQL is how many runs each owner has in flight, in any pool.
const busySQL = `
	SELECT r.owner, count(*)::int AS n
	  FROM runs u JOIN requests r ON r.id = u.request_id
	 WHERE u.state <> 'ended'
	 GROUP BY r.owner`

// Queued are queued requests that nothing holds and no run serves yet, of the
// given environments and of owners that may have another run, at most limit.
// Owners take turns: an owner's first comes before another's second, counting
// what each has in flight; the older comes first.
func (s *Store) Queued(ctx context.Context, environments []string, l provision.Limits, limit int) ([]provision.InLine, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	args := teamArgs(l)
	args["environments"], args["limit"] = environments, limit
	return many[provision.InLine](ctx, s.pool, "queued requests", `
		WITH waiting AS (
			SELECT r.id, r.owner, r.created_at
			  FROM requests r
			 WHERE r.state = 'queued' AND r.environment = ANY(@environments) AND r.holds IS NULL
			   AND NOT EXISTS (SELECT FROM runs u WHERE u.request_id = r.id AND u.state <> 'ended')),
		busy AS (`+busySQL+`),
		teams AS (SELECT t.owner, t.most FROM unnest(@owners::text[], @most::int[]) AS t(owner, most))
		SELECT w.id AS request_id, w.owner, COALESCE(b.n, 0) AS in_flight
		  FROM waiting w LEFT JOIN busy b ON b.owner = w.owner LEFT JOIN teams t ON t.owner = w.owner
		 WHERE COALESCE(b.n, 0) < COALESCE(t.most, @otherwise)
		 ORDER BY COALESCE(b.n, 0) + row_number() OVER (PARTITION BY w.owner ORDER BY w.created_at, w.id), w.created_at, w.id
		 LIMIT @limit`, args)
}

// placesSQL ranks the line of every pool as Queued does and picks some.
const placesSQL = `
	WITH pools AS (SELECT p.environment, p.pool FROM unnest(@environments::text[], @pools::text[]) AS p(environment, pool)),
	teams AS (SELECT t.owner, t.most FROM unnest(@owners::text[], @most::int[]) AS t(owner, most)),
	busy AS (` + busySQL + `),
	waiting AS (
		SELECT r.id, r.owner, r.created_at, p.pool, COALESCE(b.n, 0) AS in_use, COALESCE(t.most, @otherwise) AS most,
		       row_number() OVER (PARTITION BY p.pool, r.owner ORDER BY r.created_at, r.id) AS own
		  FROM requests r JOIN pools p ON p.environment = r.environment
		  LEFT JOIN busy b ON b.owner = r.owner LEFT JOIN teams t ON t.owner = r.owner
		 WHERE r.state = 'queued' AND r.holds IS NULL
		   AND NOT EXISTS (SELECT FROM runs u WHERE u.request_id = r.id AND u.state <> 'ended')),
	line AS (
		SELECT w.id, w.pool, w.owner, w.in_use, w.own, w.in_use + w.own > w.most AS kept_back,
		       row_number() OVER (PARTITION BY w.pool, w.in_use + w.own > w.most ORDER BY w.in_use + w.own, w.created_at, w.id) AS position
		  FROM waiting w)
	SELECT l.id, l.pool, l.owner, l.kept_back, l.position::int, l.own::int, l.in_use AS team_in_use,
	       (SELECT count(*)::int FROM runs u WHERE u.pool = l.pool AND u.state <> 'ended') AS pool_in_use
	  FROM line l
	 WHERE l.id = ANY(@ids)
	 ORDER BY l.id
	 LIMIT 1000`

// Places implements provision.Line.
func (s *Store) Places(ctx context.Context, requests []uuid.UUID, pools map[string]string, l provision.Limits) (map[uuid.UUID]provision.Place, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		ID        uuid.UUID
		Pool      string
		Owner     string
		KeptBack  bool
		Position  int
		Own       int
		TeamInUse int
		PoolInUse int
	}
	args := teamArgs(l)
	environments := slices.Sorted(maps.Keys(pools))
	names := make([]string, len(environments))
	for i, environment := range environments {
		names[i] = pools[environment]
	}
	args["environments"], args["pools"], args["ids"] = environments, names, requests
	rows, err := many[row](ctx, s.pool, "places in line", placesSQL, args)
	if err != nil {
		return nil, err
	}
	places := make(map[uuid.UUID]provision.Place, len(rows))
	for _, r := range rows {
		place := provision.Place{
			Pool: r.Pool, Owner: r.Owner, Position: r.Position, KeptBack: r.KeptBack, PoolInUse: r.PoolInUse, TeamInUse: r.TeamInUse,
			PoolLimit: l.OfPool(r.Pool), TeamLimit: l.OfTeam(r.Owner),
		}
		if place.KeptBack {
			place.Position = r.Own
		}
		places[r.ID] = place
	}
	return places, nil
}

// teamArgs are the limits of owners as statements take them.
func teamArgs(l provision.Limits) pgx.NamedArgs {
	owners := slices.Sorted(maps.Keys(l.Teams))
	most := make([]int, len(owners))
	for i, owner := range owners {
		most[i] = l.Teams[owner]
	}
	return pgx.NamedArgs{"owners": owners, "most": most, "otherwise": cmp.Or(l.Team, math.MaxInt32)}
}

// dispatching is the advisory lock of whoever gives out slots.
const dispatching = 0x726f6164 // "road"

// Dispatching has do give out slots while no other process does: what it counts
// stays true until it returns. It answers ok false, and does nothing, while
// another is at it.
func (s *Store) Dispatching(ctx context.Context, do func(context.Context) error) (ok bool, err error) {
	begin, cancel := s.bounded(ctx)
	defer cancel()
	conn, err := s.pool.Acquire(begin)
	if err != nil {
		return false, fault(err, "begin to dispatch")
	}
	defer conn.Release()
	if err := conn.QueryRow(begin, "SELECT pg_try_advisory_lock($1)", dispatching).Scan(&ok); err != nil || !ok {
		return false, fault(err, "begin to dispatch")
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", dispatching); err != nil {
			_ = conn.Conn().Close(ctx) // the lock goes with the connection
		}
	}()
	return true, do(ctx)
}
