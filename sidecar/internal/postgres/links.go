package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// A link and the end of what it takes from are accepted one after the other:
// each locks the row of what is taken from before it looks, in a statement of
// its own, which sees what whoever had the lock before has committed. Links of
// what exists already are accepted one after the other too, whatever they are of:
// rows locked in pairs cannot keep four of them from going round in a circle.
const (
	upstreamIsGoing = "upstream is going"
	hasDependants   = "instance has dependants"
	goesRound       = "links go round"

	lockLinkingSQL = `SELECT pg_advisory_xact_lock(hashtext('links of what exists'))`

	lockUpstreamsSQL = `SELECT 1 FROM instances WHERE id = ANY(@upstreams::uuid[]) ORDER BY id FOR SHARE`

	insertLinksSQL = `
		INSERT INTO links (dependant_id, parameter, output, upstream_id)
		SELECT @dependant_id, l.parameter, l.output, l.upstream_id
		  FROM unnest(@parameters::text[], @outputs::text[], @upstreams::uuid[]) AS l (parameter, output, upstream_id)
		ON CONFLICT DO NOTHING`

	checkUpstreamsSQL = `
		SELECT roadbed_found(1 + count(*), '` + upstreamIsGoing + `')
		  FROM instances i JOIN requests r ON r.id = i.request_id
		 WHERE i.id = ANY(@upstreams::uuid[])
		   AND (i.state IN ('destroying', 'destroyed', 'released') OR r.action = 'destroy' AND r.finished_at IS NULL)`

	checkCircleSQL = `
		WITH RECURSIVE upstream AS (
			SELECT l.upstream_id AS id FROM links l WHERE l.dependant_id = @dependant_id
			UNION
			SELECT l.upstream_id FROM links l JOIN upstream u ON u.id = l.dependant_id)
		SELECT roadbed_found(1 + count(*), '` + goesRound + `') FROM upstream WHERE id = @dependant_id`

	checkDependantsSQL = `SELECT roadbed_found(1 + count(*), '` + hasDependants + `') FROM links WHERE upstream_id = @id`

	keepLinksSQL = `
		DELETE FROM links k
		 WHERE k.dependant_id = @dependant_id
		   AND NOT EXISTS (
		       SELECT FROM unnest(@parameters::text[], @outputs::text[], @upstreams::uuid[]) AS l (parameter, output, upstream_id)
		        WHERE (l.parameter, l.output, l.upstream_id) = (k.parameter, k.output, k.upstream_id))`
)

func linkArgs(dependant uuid.UUID, links []provision.Link) pgx.NamedArgs {
	parameters, outputs, upstreams := make([]string, len(links)), make([]string, len(links)), make([]uuid.UUID, len(links))
	for i, l := range links {
		parameters[i], outputs[i], upstreams[i] = l.Parameter, l.Output, l.InstanceID
	}
	return pgx.NamedArgs{"dependant_id": key(dependant), "parameters": parameters, "outputs": outputs, "upstreams": upstreams}
}

// queueLinks holds what a new record takes, and refuses the end of what others
// take from. The instance's row is locked by then.
func queueLinks(batch *pgx.Batch, r *provision.Record) {
	if r.Instance == nil {
		return
	}
	if r.Request.Action == provision.Destroy {
		batch.Queue(checkDependantsSQL, pgx.NamedArgs{"id": key(r.Instance.ID)})
		return
	}
	if len(r.Request.Links) == 0 {
		return
	}
	links := linkArgs(r.Instance.ID, r.Request.Links)
	batch.Queue(lockUpstreamsSQL, links)
	batch.Queue(insertLinksSQL, links)
	batch.Queue(checkUpstreamsSQL, links)
	if !r.Request.Reserves() { // nothing takes from what is new
		batch.Queue(checkCircleSQL, links)
	}
}

// queueLinksLeft lets go of what an instance does not take any more, now that a
// request has ended.
func queueLinksLeft(batch *pgx.Batch, r *provision.Record, before []provision.Link) {
	if r.Instance == nil || !r.Request.State.Terminal() || len(before)+len(r.Request.Links) == 0 {
		return
	}
	batch.Queue(keepLinksSQL, linkArgs(r.Instance.ID, r.HeldLinks()))
}

// Dependants implements provision.Store.
func (s *Store) Dependants(ctx context.Context, instanceID uuid.UUID) ([]provision.Dependant, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		InstanceID                                            uuid.UUID
		Environment, Name, Offering, Owner, Parameter, Output string
	}
	rows, _ := s.pool.Query(ctx, `
		SELECT i.id AS instance_id, i.environment, i.name, i.offering, i.owner, l.parameter, l.output
		  FROM links l JOIN instances i ON i.id = l.dependant_id
		 WHERE l.upstream_id = @id
		 ORDER BY i.name, i.offering, l.parameter
		 LIMIT 100`, pgx.NamedArgs{"id": key(instanceID)})
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, fault(err, "read dependants of instance "+instanceID.String())
	}
	dependants := make([]provision.Dependant, len(found))
	for i, r := range found {
		dependants[i] = provision.Dependant{
			InstanceID: r.InstanceID, EntityRef: provision.EntityRef(r.Environment, r.Name, r.Offering),
			Name: r.Name, Offering: r.Offering, Owner: r.Owner, Parameter: r.Parameter, Output: r.Output,
		}
	}
	return dependants, nil
}
