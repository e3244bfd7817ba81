package postgres

import (
	"context"
	"reflect"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// plannable are members of campaigns that go on and have not been asked for.
const plannable = `c.state IN ('open', 'running', 'halted') AND NOT EXISTS (SELECT FROM requests r WHERE ` + requestOfMember + `)`

// DuePlans implements provision.Store.
func (s *Store) DuePlans(ctx context.Context, f provision.DueChecks) ([]uuid.UUID, error) {
	return s.ids(ctx, "due plans", `
		SELECT m.id
		  FROM campaign_members m JOIN campaigns c ON c.id = m.campaign_id JOIN instances i ON i.id = m.instance_id
		 WHERE (m.due_at <= now() - @late::interval OR m.expires_at <= now() - @late::interval)
		   AND (m.expires_at IS NULL OR m.expires_at <= now()) AND `+plannable+`
		   AND i.state = 'ready' AND i.environment = ANY(@environments)
		   AND NOT EXISTS (SELECT FROM requests r WHERE r.instance_id = i.id AND `+liveRequest+`)
		 ORDER BY COALESCE(m.due_at, m.expires_at), m.ring, m.id
		 LIMIT @limit`,
		pgx.NamedArgs{"environments": f.Environments, "late": f.Late, "limit": f.Limit})
}

// ReplanMembers implements provision.Store.
func (s *Store) ReplanMembers(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.pool.Exec(ctx, `
		UPDATE campaign_members m SET due_at = now()
		  FROM campaigns c, instances i
		 WHERE c.id = m.campaign_id AND i.id = m.instance_id AND `+plannable+`
		   AND m.due_at IS NULL AND m.expires_at IS NULL AND i.state = 'ready'
		   AND (m.plan IS NULL OR (m.plan->>'generation')::bigint <> i.generation)`)
	return fault(err, "plan members again")
}

// ChangePlan implements provision.Store.
func (s *Store) ChangePlan(ctx context.Context, member uuid.UUID, decide func(*provision.PlanRecord) error) (*provision.PlanRecord, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var record *provision.PlanRecord
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var err error
		if record, err = lockPlan(ctx, tx, member); err != nil {
			record = nil
			return err
		}
		check, plan := record.Check, record.Plan
		if err := decide(record); err != nil || record.Check == check && reflect.DeepEqual(record.Plan, plan) {
			return err
		}
		encoded, err := encodeSet(record.Plan, record.Plan != nil)
		if err != nil {
			return err
		}
		args := checkArgs(member, record.Check)
		args["plan"] = encoded
		_, err = tx.Exec(ctx, `
			UPDATE campaign_members
			   SET plan = @plan::jsonb, due_at = @due_at, worker = @worker, token_digest = @token_digest,
			       generation = @generation, fence = @fence, expires_at = @expires_at
			 WHERE id = @instance_id`, args)
		return err
	})
	if err != nil {
		return record, shown(err, "change the plan of member "+member.String())
	}
	return record, nil
}

func lockPlan(ctx context.Context, tx pgx.Tx, member uuid.UUID) (*provision.PlanRecord, error) {
	type row struct {
		checkRow
		CampaignID uuid.UUID
		InstanceID uuid.UUID
		Offering   string
		Target     string
		Plan       []byte
	}
	locked, err := one[row](ctx, tx, "check", member, `
		SELECT m.due_at, '' AS asked_by, NULL::timestamptz AS checked_at, '' AS failure, m.worker, m.token_digest, m.generation, m.fence, m.expires_at,
		       m.campaign_id, m.instance_id, c.offering, c.body->>'digest' AS target, m.plan
		  FROM campaign_members m JOIN campaigns c ON c.id = m.campaign_id
		 WHERE m.id = @id
		   FOR UPDATE OF m`, pgx.NamedArgs{"id": member})
	if err != nil {
		return nil, err
	}
	read, err := one[instanceRow](ctx, tx, "instance", locked.InstanceID, `SELECT `+instanceColumns+` FROM instances i WHERE i.id = @id`,
		pgx.NamedArgs{"id": locked.InstanceID})
	if err != nil {
		return nil, err
	}
	around, err := one[aroundRow](ctx, tx, "instance", locked.InstanceID, aroundCheckSQL, pgx.NamedArgs{"id": locked.InstanceID})
	if err != nil {
		return nil, err
	}
	instance, err := read.instance()
	if err != nil {
		return nil, err
	}
	record := &provision.PlanRecord{
		DriftRecord: provision.NewDriftRecord(instance, locked.check(), around.Busy, around.AppliedBy, around.Now),
		CampaignID:  locked.CampaignID, Offering: locked.Offering, Digest: locked.Target,
	}
	return record, fault(decode(locked.Plan, &record.Plan), "read the plan of member "+member.String())
}
