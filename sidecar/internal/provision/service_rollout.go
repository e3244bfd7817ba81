package provision

import (
	"context"

	"github.com/google/uuid"
)

// intendRollout is the upgrade of an instance to the version with digest, as a
// campaign asks for it: what the version adds has its default.
func (s *Service) intendRollout(ctx context.Context, instance Instance, digest string) (intended, error) {
	p := Principal{Subject: CampaignSubject, Groups: []string{instance.Owner}}
	if err := s.Authorizer.Allow(ctx, Access{p, VerbUpgrade, instance.Owner, instance.Environment}); err != nil {
		return intended{}, err
	}
	now, _, err := s.Store.Bundle(ctx, instance.OfferingDigest)
	if err != nil {
		return intended{}, err
	}
	then, _, err := s.Store.Bundle(ctx, digest)
	if err != nil {
		return intended{}, err
	}
	if _, err := s.place(then, instance.Environment); err != nil {
		return intended{}, err
	}
	if then.State = s.versionState(digest); then.State == Draft {
		then.State = "" // it is looked at as it would be once it is published
	}
	ask, err := s.intendBy(ctx, p, instance, Upgrade, nil, StageSubmit, versions{now, then})
	if err == nil && len(ask.frozen) > 0 {
		err = withFaults(nil, ask.frozen)
	}
	return ask, err
}

// StepCampaigns takes every running campaign on by what it does now. It may be
// called by many at once, and again after it was cut short: what was asked for
// is asked for again under the same key.
func (s *Service) StepCampaigns(ctx context.Context) error {
	if err := s.Store.ReplanMembers(ctx); err != nil {
		return err
	}
	running, err := s.Store.RunningCampaigns(ctx)
	if err != nil {
		return err
	}
	for _, id := range running {
		if err := s.stepCampaign(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) stepCampaign(ctx context.Context, id uuid.UUID) error {
	c, members, err := s.Store.Campaign(ctx, id)
	if err != nil {
		return err
	}
	step := c.Step(members, s.Now())
	switch {
	case c.State != CampaignRunning:
		return nil
	case step.Halt != "":
		_, err = s.Store.ChangeCampaign(ctx, id, func(r *CampaignRecord) error {
			if r.State != CampaignRunning {
				return nil
			}
			return r.Halt(CampaignSubject, step.Halt)
		})
		return err
	case step.Finished:
		_, err = s.Store.ChangeCampaign(ctx, id, func(r *CampaignRecord) error { return r.Finish() })
		return err
	}
	for _, m := range step.Ask {
		if err := s.askMember(ctx, c, m); err != nil {
			return err
		}
	}
	return nil
}

// askMember asks for a member's upgrade. What is refused is its failure; while
// something else is at the instance it waits.
func (s *Service) askMember(ctx context.Context, c Campaign, m CampaignMember) error {
	request, err := s.rollOut(ctx, c, m)
	switch kind := KindOf(err); {
	case err == nil || kind == Denied && request.ID != uuid.Nil:
		return nil
	case kind == Conflict:
		return nil
	}
	why := refusal(err)
	if why == "" {
		return err
	}
	_, err = s.Store.ChangePlan(ctx, m.ID, func(r *PlanRecord) error { r.Refuse(why); return nil })
	return err
}

// rollOut asks for the upgrade of a member, as the system and on the word of who
// approved its group, under the same policy as anyone.
func (s *Service) rollOut(ctx context.Context, c Campaign, m CampaignMember) (Request, error) {
	instance, err := s.Store.Instance(ctx, m.InstanceID)
	if err != nil {
		return Request{}, err
	}
	shape := m.Plan.Shape.Digest()
	sub := Submission{
		IdempotencyKey: m.KeyIn(c),
		Rollout:        &Rollout{Campaign: c.ID, Shape: shape, ApprovedBy: c.Approved[shape].By},
	}
	digest, err := bodyDigest(Upgrade, m.InstanceID, Parameters{"version": c.Digest})
	if err != nil {
		return Request{}, err
	}
	p := Principal{Subject: CampaignSubject, Groups: []string{instance.Owner}, Actor: sub.Rollout.ApprovedBy}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	ask, err := s.intendRollout(ctx, instance, c.Digest)
	if err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask.prepared, sub, changeSteps(ask.offering))
}
