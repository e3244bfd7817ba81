package provision

import (
	"context"

	"github.com/google/uuid"
)

// Destroy asks for the end of an instance. While its create has not begun to
// apply there is nothing to destroy: that request is cancelled and returned. A
// change that no worker has yet is cancelled for it; any other live request is a
// Conflict.
func (s *Service) Destroy(ctx context.Context, p Principal, instanceID uuid.UUID, sub Submission) (Request, error) {
	instance, err := s.forChange(ctx, p.about(Destroy, nil), instanceID)
	if err != nil {
		return Request{}, err
	}
	digest, err := bodyDigest(Destroy, instanceID, nil)
	if err != nil {
		return Request{}, err
	}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if instance.State == Reserved {
		return s.Cancel(ctx, p, instance.RequestID, "its owner asked to destroy it before anything was made")
	}
	ask, err := s.unchanged(ctx, p, instance, Destroy, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	ask.digest, ask.judged.Confirm = digest, sub.Confirm
	request, err := s.judgeChange(ctx, p, instance, ask, sub)
	if err != nil {
		return Request{}, err
	}
	if !request.Verdict.Acceptable() {
		return s.refuseChange(ctx, request)
	}
	if err := s.makeWay(ctx, p, instance); err != nil {
		return Request{}, err
	}
	return s.acceptChange(ctx, instance, request, destroySteps(ask.offering))
}

// unchanged is an ask about an instance that gives it no other parameters.
func (s *Service) unchanged(ctx context.Context, p Principal, instance Instance, action Action, stage Stage) (prepared, error) {
	offering, _, err := s.Store.Bundle(ctx, instance.OfferingDigest)
	if err != nil {
		return prepared{}, err
	}
	environment, err := s.placeOf(instance)
	if err != nil {
		return prepared{}, err
	}
	var dependants []Dependant
	if action == Destroy {
		if dependants, err = s.Store.Dependants(ctx, instance.ID); err != nil {
			return prepared{}, err
		}
	}
	shown := unsealed(instance.Parameters)
	return prepared{
		offering: offering, environment: environment, name: instance.Name, owner: instance.Owner,
		costCenter: instance.CostCenter, sealed: instance.Parameters, links: instance.Links,
		judged: Ask{
			Stage: stage, Action: action, Principal: p, Offering: offering, Environment: environment,
			Name: instance.Name, Owner: instance.Owner, CostCenter: instance.CostCenter,
			Parameters: shown, Before: shown, Was: wasOf(instance, offering), Dependants: dependants, Lifetime: instance.Lifetime, At: s.Now().UTC(),
		},
	}, nil
}

// makeWay is nil once nothing stands before the destroy of an instance: a
// change that no worker has is cancelled.
func (s *Service) makeWay(ctx context.Context, p Principal, instance Instance) error {
	newest, err := s.Store.Request(ctx, instance.RequestID)
	if err != nil {
		return err
	}
	if newest.Action != Destroy && (newest.State == Queued || newest.State == AwaitingApproval) {
		if newest, err = s.Cancel(ctx, p, newest.ID, "its owner asked to destroy "+instance.Name+" instead"); err != nil {
			return err
		}
	}
	if why := instance.Busy(newest); why != "" {
		return Errorf(Conflict, "%s", why)
	}
	return nil
}

// destroySteps are what a person sees of a destroy: the resources go in
// Terraform's order, so they are one step.
func destroySteps(o Offering) []StepDefinition {
	return []StepDefinition{
		{Name: "Validate request", Phase: "validate"},
		{Name: "Plan removal", Phase: "plan"},
		{Name: "Remove resources", Addresses: resourceAddresses(o)},
	}
}
