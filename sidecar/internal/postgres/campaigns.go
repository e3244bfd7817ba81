package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const campaignColumns = `c.id, c.state, c.body, c.sequence, c.created_at, c.updated_at`

type campaignRow struct {
	ID        uuid.UUID
	State     provision.CampaignState
	Body      []byte
	Sequence  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (r campaignRow) campaign() (provision.Campaign, error) {
	c := provision.Campaign{ID: r.ID, State: r.State, Sequence: r.Sequence, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	return c, fault(decode(r.Body, &c), "read campaign "+r.ID.String())
}

// memberRow is a member with its instance and its request.
type memberRow struct {
	ID            uuid.UUID
	InstanceID    uuid.UUID
	Name          string
	Environment   string
	Owner         string
	Ring          int
	Plan          []byte
	Accepted      bool
	Digest        string
	InstanceState provision.InstanceState
	Generation    int64
	RequestID     uuid.UUID
	Request       provision.State
	Waiting       string
	Error         string
	Busy          bool
}

func (r memberRow) member() (provision.CampaignMember, error) {
	m := provision.CampaignMember{
		ID: r.ID, InstanceID: r.InstanceID, Name: r.Name, Environment: r.Environment, Owner: r.Owner, Ring: r.Ring, Accepted: r.Accepted,
		Digest: r.Digest, InstanceState: r.InstanceState, Generation: r.Generation,
		RequestID: r.RequestID, Request: r.Request, Waiting: r.Waiting, Error: r.Error, Busy: r.Busy,
	}
	return m, fault(decode(r.Plan, &m.Plan), "read the plan of member "+r.ID.String())
}

// requestOfMember is the request r by which the upgrade of a member m was asked
// for: its key says so, so that nothing need be written down that a crash could
// come before.
const requestOfMember = `r.requested_by = 'system:campaign' AND r.idempotency_key <> '' AND r.idempotency_key = 'campaign/' || m.campaign_id || '/' || m.instance_id`

// Candidates implements provision.Store.
func (s *Store) Candidates(ctx context.Context, c provision.Campaign) ([]provision.CampaignMember, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	type row struct {
		InstanceID  uuid.UUID
		Name        string
		Environment string
		Owner       string
	}
	rows, err := many[row](ctx, s.pool, "instances to upgrade", `
		SELECT i.id AS instance_id, i.name, i.environment, i.owner
		  FROM instances i
		 WHERE i.offering = @offering AND i.offering_digest <> @digest AND i.state NOT IN ('destroyed', 'released')
		   AND (@environments::text[] IS NULL OR i.environment = ANY(@environments))
		   AND (@owners::text[] IS NULL OR i.owner = ANY(@owners))
		 ORDER BY i.environment, i.name, i.id`,
		pgx.NamedArgs{"offering": c.Offering, "digest": c.Digest, "environments": c.Environments, "owners": c.Owners})
	members := make([]provision.CampaignMember, len(rows))
	for i, r := range rows {
		members[i] = provision.CampaignMember{ID: provision.NewID(), InstanceID: r.InstanceID, Name: r.Name, Environment: r.Environment, Owner: r.Owner}
	}
	return members, err
}

// AddCampaign implements provision.Store.
func (s *Store) AddCampaign(ctx context.Context, r *provision.CampaignRecord, members []provision.CampaignMember) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	body, err := encode(r.Campaign)
	if err != nil {
		return err
	}
	ids, instances, rings := make([]pgtype.UUID, len(members)), make([]pgtype.UUID, len(members)), make([]int, len(members))
	for i, m := range members {
		ids[i], instances[i], rings[i] = key(m.ID), key(m.InstanceID), m.Ring
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO campaigns (id, offering, state, body, sequence) VALUES (@id, @offering, @state, @body::jsonb, @sequence)`,
		pgx.NamedArgs{"id": key(r.ID), "offering": r.Offering, "state": string(r.State), "body": body, "sequence": r.Sequence})
	batch.Queue(`
		INSERT INTO campaign_members (id, campaign_id, instance_id, ring, due_at)
		SELECT m.id, @campaign, m.instance, m.ring, now()
		  FROM unnest(@ids::uuid[], @instances::uuid[], @rings::int[]) AS m (id, instance, ring)`,
		pgx.NamedArgs{"campaign": key(r.ID), "ids": ids, "instances": instances, "rings": rings})
	return s.commitCampaign(ctx, batch, r.Events(), "add campaign "+r.ID.String())
}

// commitCampaign sends a batch as one transaction, with events and whom they are
// notable to.
func (s *Store) commitCampaign(ctx context.Context, batch *pgx.Batch, events []provision.Event, doing string) error {
	args, err := tellArgs(events, nil)
	if err != nil {
		return err
	}
	batch.Queue(tellSQL, args)
	s.queueNotices(batch, events)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		if constraint, ok := violated(err); ok && constraint == "campaigns_pkey" {
			return provision.Errorf(provision.Conflict, "this Idempotency-Key is making a campaign at this moment; ask again")
		}
		return fault(err, doing)
	}
	s.hub.committed(events)
	return nil
}

// Campaigns implements provision.Store.
func (s *Store) Campaigns(ctx context.Context, limit int) ([]provision.Campaign, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := many[campaignRow](ctx, s.pool, "campaigns", `
		SELECT `+campaignColumns+` FROM campaigns c ORDER BY c.created_at DESC, c.id DESC LIMIT @limit`, pgx.NamedArgs{"limit": limit})
	if err != nil {
		return nil, err
	}
	campaigns := make([]provision.Campaign, len(rows))
	for i, row := range rows {
		if campaigns[i], err = row.campaign(); err != nil {
			return nil, err
		}
	}
	return campaigns, nil
}

// RunningCampaigns implements provision.Store.
func (s *Store) RunningCampaigns(ctx context.Context) ([]uuid.UUID, error) {
	return s.ids(ctx, "running campaigns", `
		SELECT c.id FROM campaigns c WHERE c.state = 'running' ORDER BY c.created_at, c.id LIMIT 1000`, nil)
}

// Campaign implements provision.Store.
func (s *Store) Campaign(ctx context.Context, id uuid.UUID) (provision.Campaign, []provision.CampaignMember, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	row, err := one[campaignRow](ctx, s.pool, "campaign", id, `SELECT `+campaignColumns+` FROM campaigns c WHERE c.id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return provision.Campaign{}, nil, err
	}
	c, err := row.campaign()
	if err != nil {
		return c, nil, err
	}
	rows, err := many[memberRow](ctx, s.pool, "members of a campaign", `
		SELECT m.id, m.instance_id, i.name, i.environment, i.owner, m.ring, m.plan, m.accepted, i.offering_digest AS digest,
		       i.state AS instance_state, i.generation, COALESCE(r.id, '00000000-0000-0000-0000-000000000000') AS request_id,
		       COALESCE(r.state, '') AS request, COALESCE(r.waiting, '') AS waiting, COALESCE(r.error->>'message', '') AS error,
		       EXISTS (SELECT FROM requests o WHERE o.instance_id = i.id AND o.id IS DISTINCT FROM r.id
		                  AND o.state NOT IN ('succeeded', 'failed', 'denied', 'cancelled')) AS busy
		  FROM campaign_members m JOIN instances i ON i.id = m.instance_id LEFT JOIN requests r ON `+requestOfMember+`
		 WHERE m.campaign_id = @id
		 ORDER BY m.ring, i.environment, i.name, m.id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return c, nil, err
	}
	members := make([]provision.CampaignMember, len(rows))
	for i, row := range rows {
		if members[i], err = row.member(); err != nil {
			return c, nil, err
		}
	}
	return c, members, nil
}

// ChangeCampaign implements provision.Store.
func (s *Store) ChangeCampaign(ctx context.Context, id uuid.UUID, decide func(*provision.CampaignRecord) error) (provision.Campaign, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var record *provision.CampaignRecord
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		type lockedRow struct {
			campaignRow
			Now time.Time
		}
		row, err := one[lockedRow](ctx, tx, "campaign", id, `
			SELECT `+campaignColumns+`, clock_timestamp() AS now FROM campaigns c WHERE c.id = @id FOR UPDATE`, pgx.NamedArgs{"id": id})
		if err != nil {
			return err
		}
		c, err := row.campaign()
		if err != nil {
			return err
		}
		record = provision.NewCampaignRecord(c, row.Now)
		if err := decide(record); err != nil || len(record.Events()) == 0 {
			return err
		}
		batch, err := campaignChanges(record)
		if err != nil {
			return err
		}
		s.queueNotices(batch, record.Events())
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return provision.Campaign{}, shown(err, "change campaign "+id.String())
	}
	s.hub.committed(record.Events())
	return record.Campaign, nil
}

func campaignChanges(r *provision.CampaignRecord) (*pgx.Batch, error) {
	body, err := encode(r.Campaign)
	if err != nil {
		return nil, err
	}
	now := r.UpdatedAt
	events, err := tellArgs(r.Events(), &now)
	if err != nil {
		return nil, err
	}
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE campaigns SET state = @state, body = @body::jsonb, sequence = @sequence, updated_at = @now WHERE id = @id`,
		pgx.NamedArgs{"id": key(r.ID), "state": string(r.State), "body": body, "sequence": r.Sequence, "now": now})
	if r.AcceptFailures {
		batch.Queue(`
			UPDATE campaign_members m SET accepted = true
			  FROM requests r
			 WHERE m.campaign_id = @id AND `+requestOfMember+` AND r.state IN ('failed', 'denied', 'cancelled')`, pgx.NamedArgs{"id": key(r.ID)})
	}
	batch.Queue(tellSQL, events)
	return batch, nil
}
