package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Load is what is in hand now.
type Load struct {
	Requests     map[provision.State]int         // by state, those that have not ended
	Instances    map[provision.InstanceState]int // by state, those that are not gone
	Campaigns    map[provision.CampaignState]int // by state, those that go on
	OldestQueued time.Duration                   // since the queued request that waits longest was asked for; 0 when none is
	Unpublished  int                             // events that NATS does not have yet
	OldestEvent  time.Duration                   // how long the first of them has waited; 0 when there is none
}

// Load counts what is in hand. It reads what has not ended and what lives, not
// the history.
func (s *Store) Load(ctx context.Context) (Load, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		Kind, State string
		Count       int
		Seconds     float64 // of the oldest
	}
	rows, err := many[row](ctx, s.pool, "load", `
		SELECT 'request' AS kind, r.state, count(*)::int AS count, extract(epoch FROM now() - min(r.created_at))::float8 AS seconds
		  FROM requests r
		 WHERE r.state NOT IN ('succeeded', 'failed', 'denied', 'cancelled')
		 GROUP BY r.state
		UNION ALL
		SELECT 'instance', i.state, count(*)::int, 0
		  FROM instances i
		 WHERE i.state NOT IN ('destroyed', 'released')
		 GROUP BY i.state
		UNION ALL
		SELECT 'campaign', c.state, count(*)::int, 0
		  FROM campaigns c
		 WHERE c.state IN ('open', 'running', 'halted')
		 GROUP BY c.state
		UNION ALL
		SELECT 'event', '', count(*)::int, COALESCE(extract(epoch FROM now() - min(o.created_at)), 0)::float8
		  FROM outbox o`, pgx.NamedArgs{})
	load := Load{Requests: map[provision.State]int{}, Instances: map[provision.InstanceState]int{}, Campaigns: map[provision.CampaignState]int{}}
	for _, r := range rows {
		oldest := time.Duration(r.Seconds * float64(time.Second))
		switch r.Kind {
		case "request":
			load.Requests[provision.State(r.State)] = r.Count
			if provision.State(r.State) == provision.Queued {
				load.OldestQueued = oldest
			}
		case "instance":
			load.Instances[provision.InstanceState(r.State)] = r.Count
		case "campaign":
			load.Campaigns[provision.CampaignState(r.State)] = r.Count
		case "event":
			load.Unpublished, load.OldestEvent = r.Count, oldest
		}
	}
	return load, err
}
