package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// tallySQL counts the requests that ended on each UTC day, in the window and in
// the one before; what ended between the two is on its day alone.
//
// What a change or a destroy saves is the price that the instance's last success
// had, less its own. What a smaller ask saves is the price of the denied one
// that came right before it, by the same owner for the same thing within a week.
const tallySQL = `
	WITH ended AS MATERIALIZED (
		SELECT r.id, r.action, r.instance_id, r.generation, r.owner, r.offering, r.environment, r.name, r.created_at,
		       (r.finished_at AT TIME ZONE 'UTC')::date AS day,
		       CASE WHEN r.finished_at >= @from THEN 'window' WHEN r.finished_at < @before_until THEN 'before' END AS part,
		       extract(epoch FROM r.finished_at - r.created_at)::float8 / 60 AS minutes,
		       r.state = 'succeeded' AS succeeded,
		       r.state = 'succeeded' AND r.action = 'create' AS created,
		       r.state = 'denied' AND r.verdict->>'outcome' = 'deny' AS blocked,
		       r.requested_by LIKE 'user:%' AS by_person,
		       r.approval IS NOT NULL AS asked_people,
		       CASE WHEN r.action = 'destroy' THEN 0 ELSE r.monthly_cost_mills END AS mills
		  FROM requests r
		 WHERE r.finished_at >= @before_from AND r.finished_at < @until),
	asks AS (
		SELECT p.id, p.owner, p.offering, p.environment, p.name, p.created_at,
		       CASE WHEN p.state = 'denied' AND p.verdict->>'outcome' = 'deny' THEN p.monthly_cost_mills END AS refused_mills
		  FROM requests p
		 WHERE p.action = 'create' AND p.state IN ('denied', 'succeeded')
		   AND p.finished_at >= (SELECT min(e.created_at) - interval '7 days' FROM ended e) AND p.finished_at < @until),
	saved AS (
		(SELECT DISTINCT ON (e.id) e.id, a.refused_mills - e.mills AS mills
		   FROM ended e
		   JOIN asks a ON a.owner = e.owner AND a.offering = e.offering AND a.environment = e.environment AND a.name = e.name
		                  AND a.created_at < e.created_at AND a.created_at >= e.created_at - interval '7 days'
		  WHERE e.created
		  ORDER BY e.id, a.created_at DESC, a.id DESC)
		UNION ALL
		SELECT e.id, earlier.mills - e.mills
		  FROM ended e
		 CROSS JOIN LATERAL (
			SELECT p.monthly_cost_mills AS mills
			  FROM requests p
			 WHERE p.instance_id = e.instance_id AND p.state = 'succeeded' AND p.generation < e.generation
			 ORDER BY p.generation DESC
			 LIMIT 1) earlier
		 WHERE e.succeeded AND e.action <> 'create')
	SELECT COALESCE(to_char(e.day, 'YYYY-MM-DD'), e.part, '') AS part,
	       count(*) FILTER (WHERE e.created)::int AS created,
	       count(*) FILTER (WHERE e.created AND NOT e.asked_people)::int AS created_freely,
	       avg(e.minutes) FILTER (WHERE e.created) AS mean,
	       percentile_cont(0.5) WITHIN GROUP (ORDER BY e.minutes) FILTER (WHERE e.created) AS median,
	       percentile_cont(0.95) WITHIN GROUP (ORDER BY e.minutes) FILTER (WHERE e.created) AS percentile,
	       count(*) FILTER (WHERE e.succeeded AND e.by_person)::int AS served,
	       count(*) FILTER (WHERE e.blocked)::int AS blocked,
	       count(*) FILTER (WHERE e.asked_people)::int AS answered,
	       COALESCE(sum(s.mills) FILTER (WHERE e.action = 'create' AND s.mills > 0), 0)::bigint AS smaller,
	       COALESCE(sum(s.mills) FILTER (WHERE e.action NOT IN ('create', 'destroy') AND s.mills > 0), 0)::bigint AS lowered,
	       COALESCE(sum(s.mills) FILTER (WHERE e.action = 'destroy' AND s.mills > 0), 0)::bigint AS removed
	  FROM ended e LEFT JOIN saved s ON s.id = e.id
	 GROUP BY GROUPING SETS ((e.day), (e.part))`

// tallyRow is a row of tallySQL.
type tallyRow struct {
	Part                      string // a day, "window", "before", or "" for what is between the two
	Created, CreatedFreely    int
	Mean, Median, Percentile  *float64
	Served, Blocked, Answered int
	Smaller, Lowered, Removed int64
}

func (r tallyRow) tally() provision.Tally {
	return provision.Tally{
		Created: r.Created, CreatedFreely: r.CreatedFreely, Mean: r.Mean, Median: r.Median, Percentile: r.Percentile,
		Served: r.Served, Blocked: r.Blocked, Answered: r.Answered,
		Smaller: provision.Money(r.Smaller), Lowered: provision.Money(r.Lowered), Removed: provision.Money(r.Removed),
	}
}

// Measure implements provision.Store.
func (s *Store) Measure(ctx context.Context, w provision.MeasureWindow) (provision.Counts, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var c provision.Counts
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
		c = provision.Counts{Days: map[provision.Day]provision.Tally{}, Tickets: map[provision.Day]int{}}
		before := w.Before()
		rows, err := many[tallyRow](ctx, tx, "measures", tallySQL, pgx.NamedArgs{
			"before_from": before.From, "before_until": before.Until, "from": w.From, "until": w.Until,
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			switch row.Part {
			case "window":
				c.Window = row.tally()
			case "before":
				c.Before = row.tally()
			case "":
			default:
				c.Days[provision.Day(row.Part)] = row.tally()
			}
		}
		if err := countDrift(ctx, tx, w, &c); err != nil {
			return err
		}
		if c.Ran, err = many[provision.Ran](ctx, tx, "past requests", ranSQL, pgx.NamedArgs{"until": w.Until}); err != nil {
			return err
		}
		if err := countTickets(ctx, tx, before.From, w.Until, &c); err != nil {
			return err
		}
		return countNow(ctx, tx, w, &c)
	})
	return c, shown(err, "measure")
}

// ranSQL is when the newest requests that succeeded began and ended, by the kinds
// of pastSQL.
const ranSQL = `
	SELECT concat_ws(' ', r.offering, r.offering_version, r.action, r.approval IS NOT NULL) AS kind, u.dispatched_at AS began, r.finished_at AS ended
	  FROM requests r
	 CROSS JOIN LATERAL (
		SELECT u.dispatched_at FROM runs u WHERE u.request_id = r.id ORDER BY u.dispatched_at DESC, u.id DESC LIMIT 1) u
	 WHERE r.state = 'succeeded' AND r.finished_at < @until
	 ORDER BY r.finished_at DESC
	 LIMIT 5000`

func countDrift(ctx context.Context, tx pgx.Tx, w provision.MeasureWindow, c *provision.Counts) error {
	type part struct {
		Part  string // as a tally's
		Times int
	}
	before := w.Before()
	parts, err := many[part](ctx, tx, "drift", `
		WITH found AS (
			SELECT (e.at AT TIME ZONE 'UTC')::date AS day,
			       CASE WHEN e.at >= @from THEN 'window' WHEN e.at < @before_until THEN 'before' END AS part
			  FROM events e
			 WHERE e.entity = 'drift' AND e.verb = 'detected' AND e.at >= @before_from AND e.at < @until)
		SELECT COALESCE(to_char(f.day, 'YYYY-MM-DD'), f.part, '') AS part, count(*)::int AS times
		  FROM found f
		 GROUP BY GROUPING SETS ((f.day), (f.part))`,
		pgx.NamedArgs{"before_from": before.From, "before_until": before.Until, "from": w.From, "until": w.Until})
	if err != nil {
		return err
	}
	c.Drift.Days = map[provision.Day]int{}
	for _, p := range parts {
		switch p.Part {
		case "window":
			c.Drift.Window = p.Times
		case "before":
			c.Drift.Before = p.Times
		case "":
		default:
			c.Drift.Days[provision.Day(p.Part)] = p.Times
		}
	}
	type now struct {
		Checked bool
		Differ  int
		Since   *time.Time
	}
	told, err := one[now](ctx, tx, "drift", "", `
		SELECT EXISTS (SELECT FROM drift_checks d WHERE d.checked_at IS NOT NULL) AS checked,
		       (SELECT count(*) FROM instances i WHERE i.drift IS NOT NULL AND i.state NOT IN ('destroyed', 'released'))::int AS differ,
		       (SELECT min(e.at) FROM events e WHERE e.entity = 'drift') AS since`, nil)
	c.Drift.Checked, c.Drift.Now = told.Checked, told.Differ
	if told.Since != nil {
		c.Drift.Since = *told.Since
	}
	return err
}

func countTickets(ctx context.Context, tx pgx.Tx, from, until time.Time, c *provision.Counts) error {
	type day struct {
		Day   string
		Count int
	}
	days, err := many[day](ctx, tx, "tickets", `
		SELECT to_char(t.day, 'YYYY-MM-DD') AS day, t.count
		  FROM tickets t
		 WHERE t.day BETWEEN (@from::timestamptz AT TIME ZONE 'UTC')::date AND (@until::timestamptz AT TIME ZONE 'UTC')::date`,
		pgx.NamedArgs{"from": from, "until": until})
	if err != nil {
		return err
	}
	for _, d := range days {
		c.Tickets[provision.Day(d.Day)] = d.Count
	}
	type span struct{ First, Last string }
	known, err := one[span](ctx, tx, "tickets", "", `
		SELECT COALESCE(to_char(min(t.day), 'YYYY-MM-DD'), '') AS first, COALESCE(to_char(max(t.day), 'YYYY-MM-DD'), '') AS last
		  FROM tickets t`, nil)
	c.TicketsFrom, c.TicketsUntil = provision.Day(known.First), provision.Day(known.Last)
	return err
}

// countNow counts what no day has: the rules that denied in the window, the
// instances that exist, and when history began.
func countNow(ctx context.Context, tx pgx.Tx, w provision.MeasureWindow, c *provision.Counts) (err error) {
	if c.BlockedBy, err = many[provision.BlockedBy](ctx, tx, "denials", `
		SELECT f->>'rule' AS rule, count(DISTINCT r.id)::int AS requests
		  FROM requests r CROSS JOIN LATERAL jsonb_array_elements(r.verdict->'findings') f
		 WHERE r.finished_at >= @from AND r.finished_at < @until
		   AND r.state = 'denied' AND r.verdict->>'outcome' = 'deny' AND f->>'level' = 'deny'
		 GROUP BY f->>'rule'
		 ORDER BY count(DISTINCT r.id) DESC, f->>'rule'
		 LIMIT 5`,
		pgx.NamedArgs{"from": w.From, "until": w.Until}); err != nil {
		return err
	}
	type living struct {
		Active, Tagged int
		CostMills      int64
		Since          *time.Time
	}
	now, err := one[living](ctx, tx, "instances", "", `
		SELECT count(*)::int AS active,
		       count(*) FILTER (WHERE i.owner <> '' AND i.cost_center <> '')::int AS tagged,
		       COALESCE(sum(i.monthly_cost_mills), 0)::bigint AS cost_mills,
		       (SELECT min(r.created_at) FROM requests r) AS since
		  FROM instances i
		 WHERE i.state IN ('ready', 'changing', 'incomplete', 'destroying')`, nil)
	c.Active, c.ActiveTagged, c.ActiveCost = now.Active, now.Tagged, provision.Money(now.CostMills)
	if now.Since != nil {
		c.Since = *now.Since
	}
	return err
}

// ImportTickets implements provision.Store.
func (s *Store) ImportTickets(ctx context.Context, by string, tickets []provision.TicketCount) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	days, counts := make([]string, len(tickets)), make([]int, len(tickets))
	for i, t := range tickets {
		days[i], counts[i] = string(t.Day), t.Count
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO tickets (day, count, imported_by)
		SELECT t.day::date, t.count, @by
		  FROM unnest(@days::text[], @counts::int[]) AS t (day, count)
		ON CONFLICT (day) DO UPDATE SET count = EXCLUDED.count, imported_by = EXCLUDED.imported_by, imported_at = now()`,
		pgx.NamedArgs{"by": by, "days": days, "counts": counts})
	return fault(err, "import tickets")
}
