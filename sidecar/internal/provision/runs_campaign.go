package provision

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"
)

// PlanRecord is a campaign's member with its check, read as a DriftRecord is. A
// plan reads only: its instance is not even locked, and what was found counts
// only while the instance is as it was.
type PlanRecord struct {
	*DriftRecord
	CampaignID uuid.UUID
	Offering   string // the campaign's
	Digest     string // of the version that it rolls out
	Plan       *MemberPlan
}

// Keep ends the check in hand with a plan; when a request came in between it is
// dropped, and the check is due again.
func (r *PlanRecord) Keep(plan MemberPlan) {
	moved := r.moved()
	r.Check.release()
	if r.Check.DueAt = (time.Time{}); moved {
		r.Check.DueAt = r.now
		return
	}
	plan.Generation, plan.At = r.Instance.Generation, r.now
	r.Plan = &plan
}

// Refuse keeps why the member cannot be planned, without a check.
func (r *PlanRecord) Refuse(why string) {
	r.Check.release()
	r.Check.DueAt = time.Time{}
	r.Plan = &MemberPlan{Findings: []Finding{}, Failure: why, Generation: r.Instance.Generation, At: r.now}
}

// claimPlan gives a worker the upgrade of a campaign's member to plan, or nil
// when none is due. Drift checks come first.
func (s *Runs) claimPlan(ctx context.Context, worker string, due DueChecks) (*Check, error) {
	for {
		members, err := s.Service.Store.DuePlans(ctx, due)
		if err != nil || len(members) == 0 {
			return nil, err
		}
		refused := false
		for _, id := range members {
			check, why, err := s.planMember(ctx, worker, id)
			switch {
			case err != nil && KindOf(err) == Conflict:
				continue // another worker was faster, or a request came
			case err != nil || check != nil:
				return check, err
			}
			refused = refused || why != ""
		}
		if !refused {
			return nil, nil
		}
	}
}

// planMember is the check of a member, or why there can be none; that is kept.
func (s *Runs) planMember(ctx context.Context, worker string, id uuid.UUID) (check *Check, why string, err error) {
	token, lease := newToken(), cmp.Or(s.CheckLease, 30*time.Minute)
	record, err := s.Service.Store.ChangePlan(ctx, id, func(r *PlanRecord) error { return r.Claim(worker, tokenDigest(token), lease) })
	if err != nil {
		return nil, "", err
	}
	ask, err := s.Service.intendRollout(ctx, record.Instance, record.Digest)
	if why = refusal(err); why != "" {
		_, err = s.Service.Store.ChangePlan(ctx, id, func(r *PlanRecord) error { r.Refuse(why); return nil })
		return nil, why, err
	}
	if err != nil {
		return nil, "", err
	}
	parameters, err := s.Service.resolved(ctx, ask.sealed, ask.links)
	if err != nil {
		return nil, "", err
	}
	check = s.checkOf(record.DriftRecord, ask.offering, parameters, ask.costCenter)
	check.ID, check.Token, check.LeaseSeconds = id, token, int(lease/time.Second)
	return check, "", nil
}

// refusal is why something can never be asked for as it is; "" for what may pass.
func refusal(err error) string {
	if err == nil || KindOf(err) == Unavailable || KindOf(err) == Internal {
		return ""
	}
	return err.Error()
}

// plannedInstance is the instance that a member's check is of; zero when the id
// is not a member's.
func (s *Runs) plannedInstance(ctx context.Context, pool string, id uuid.UUID, token string) (uuid.UUID, error) {
	record, err := s.Service.Store.ChangePlan(ctx, id, func(r *PlanRecord) error { return s.authenticateCheck(r.DriftRecord, pool, token) })
	if err != nil && KindOf(err) == NotFound && record == nil {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, err
	}
	return record.Instance.ID, nil
}

// finishPlan takes what a member's plan would do, and judges it as its upgrade
// would be; planned is false when the id is not a member's.
func (s *Runs) finishPlan(ctx context.Context, pool string, id uuid.UUID, token string, found Checked) (planned bool, err error) {
	instanceID, err := s.plannedInstance(ctx, pool, id, token)
	if err != nil || instanceID == uuid.Nil {
		return false, err
	}
	record, err := s.Service.Store.ChangePlan(ctx, id, func(*PlanRecord) error { return nil })
	if err != nil {
		return true, err
	}
	plan := MemberPlan{Findings: []Finding{}, Failure: found.Failure}
	if found.Failure == "" {
		if plan, err = s.judgeMember(ctx, record, found.Changes); refusal(err) != "" {
			plan = MemberPlan{Findings: []Finding{}, Failure: refusal(err)}
		} else if err != nil {
			return true, err
		}
	}
	_, err = s.Service.Store.ChangePlan(ctx, id, func(r *PlanRecord) error {
		if err := s.authenticateCheck(r.DriftRecord, pool, token); err != nil {
			return err
		}
		r.Keep(plan)
		return nil
	})
	return true, err
}

// judgeMember judges a plan as its upgrade's would be.
func (s *Runs) judgeMember(ctx context.Context, r *PlanRecord, changes []Change) (MemberPlan, error) {
	ask, err := s.Service.intendRollout(ctx, r.Instance, r.Digest)
	if err != nil {
		return MemberPlan{}, err
	}
	ask.judged.Stage, ask.judged.Changes = StagePlan, changes
	if err := s.Service.fund(ctx, &ask.judged, &r.Instance); err != nil {
		return MemberPlan{}, err
	}
	verdict, _, err := s.Service.Judge.weigh(ctx, ask.judged)
	if err != nil {
		return MemberPlan{}, err
	}
	plan := MemberPlan{Shape: shapeOf(changes, r.AppliedBy), Outcome: verdict.Outcome, Findings: []Finding{}, CostBefore: r.Instance.MonthlyCost}
	if verdict.Estimate != nil {
		plan.CostAfter = &verdict.Estimate.MonthlyCost
	}
	for _, f := range verdict.Findings {
		if f.Level != LevelInfo {
			plan.Findings = append(plan.Findings, f)
		}
	}
	return plan, nil
}
