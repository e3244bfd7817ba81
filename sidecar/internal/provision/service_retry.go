package provision

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Retry asks anew for what a request did not bring about: the same action and
// parameters, judged and approved as if for the first time. It goes on from what
// the earlier attempt has made, so nothing is made twice; a create that made
// nothing begins from the start, by the published version. Only what failed, was
// cancelled or was denied can be retried, while nothing newer has been asked of
// the instance; else it is a Conflict that says why.
func (s *Service) Retry(ctx context.Context, p Principal, id uuid.UUID, sub Submission) (Request, error) {
	first, err := s.Store.Request(ctx, id)
	if err != nil {
		return Request{}, err
	}
	if err := s.mayRetry(ctx, p, first); err != nil {
		return Request{}, err
	}
	digest, err := bodyDigest("retry", id, nil)
	if err != nil {
		return Request{}, err
	}
	if done, err := s.repeated(ctx, p, sub, digest); err != nil || done.ID != uuid.Nil {
		return done, err
	}
	if !slices.Contains([]State{Failed, Cancelled, DeniedState}, first.State) {
		return Request{}, Errorf(Conflict, "request %s is %s; only one that failed, was cancelled or was denied can be retried", id, first.State)
	}
	if first.Action == Create && first.InstanceID == uuid.Nil {
		return s.createAgain(ctx, p, first, sub, digest)
	}
	if first.Action == Import && first.InstanceID == uuid.Nil {
		return Request{}, Errorf(Conflict, "nothing was kept of what request %s would have imported; ask for it anew with its resources", id)
	}
	instance, err := s.Store.Instance(ctx, first.InstanceID)
	if err != nil {
		return Request{}, err
	}
	if first.Action == Import && instance.State == Released {
		return Request{}, Errorf(Conflict, "request %s imported nothing and has freed its name; ask for it anew with its resources", id)
	}
	if first.Action == Create && instance.State == Released {
		return s.createAgain(ctx, p, first, sub, digest)
	}
	if err := s.stillNewest(ctx, first, instance); err != nil {
		return Request{}, err
	}
	ask, steps, err := s.askAgain(ctx, p, first, instance)
	if err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask, sub, steps)
}

// mayRetry is nil when p may ask anew for what first asked: what is asked of an
// instance is its owner's to ask, so that nobody takes what was not given.
func (s *Service) mayRetry(ctx context.Context, p Principal, first Request) error {
	owner := first.Owner
	if first.Action == HandOver {
		instance, err := s.Store.Instance(ctx, first.InstanceID)
		if err != nil {
			return err
		}
		owner = instance.Owner
	}
	return s.Authorizer.Allow(ctx, Access{p, VerbSubmit, owner, first.Environment})
}

// stillNewest is nil while nothing has been asked of an instance after first.
func (s *Service) stillNewest(ctx context.Context, first Request, instance Instance) error {
	newest, err := s.Store.Request(ctx, instance.RequestID)
	if err != nil {
		return err
	}
	if why := instance.Busy(newest); why != "" {
		return Errorf(Conflict, "%s", why)
	}
	if newest.ID != first.ID && newest.CreatedAt.After(first.CreatedAt) {
		return Errorf(Conflict, "request %s (%s) came after it, so %s is not what it was; ask for the change anew", newest.ID, newest.Action, instance.Name)
	}
	return nil
}

// askAgain is what an earlier request asked of an instance, to be judged now.
func (s *Service) askAgain(ctx context.Context, p Principal, first Request, instance Instance) (prepared, []StepDefinition, error) {
	if first.Action == Destroy {
		ask, err := s.unchanged(ctx, p, instance, Destroy, StageSubmit)
		if first.Generation > 0 { // it was accepted, so it was confirmed
			ask.judged.Confirm = instance.Name
		}
		return ask, destroySteps(ask.offering), err
	}
	offering, _, err := s.Store.Bundle(ctx, first.OfferingDigest)
	if err != nil {
		return prepared{}, nil, err
	}
	environment, err := s.placeOf(instance)
	if err != nil {
		return prepared{}, nil, err
	}
	links, err := s.link(ctx, p, offering, environment.Name, first.Parameters, instance.Links)
	if err != nil {
		return prepared{}, nil, err
	}
	ask := prepared{
		offering: offering, environment: environment, name: first.Name, owner: first.Owner, costCenter: first.CostCenter, sealed: first.Parameters, links: links,
		judged: Ask{
			Stage: StageSubmit, Action: first.Action, Principal: p, Offering: offering, Environment: environment,
			Name: first.Name, Owner: first.Owner, CostCenter: first.CostCenter, Parameters: first.Shown(), Lifetime: first.Lifetime, At: s.Now().UTC(),
		},
	}
	if first.Action.makes() {
		return ask, stepsOf(first.Action, offering), nil
	}
	ask.judged.Before = instance.Shown()
	if first.Action == Extend {
		ask.judged.LifetimeBefore = instance.Lifetime
	}
	return ask, stepsOf(first.Action, offering), nil
}

// createAgain asks for an instance of which nothing was made, by the published
// version and with the secrets that were sealed then.
func (s *Service) createAgain(ctx context.Context, p Principal, first Request, sub Submission, digest string) (Request, error) {
	offering, err := s.Catalog.Offering(first.Offering)
	if err != nil {
		return Request{}, err
	}
	environment, err := s.place(offering, first.Environment)
	if err != nil {
		return Request{}, err
	}
	plain, kept := overlay(first.Parameters, nil)
	checked, err := s.checkKept(offering, plain, kept)
	if err != nil {
		return Request{}, err
	}
	links, err := s.link(ctx, p, offering, environment.Name, checked, nil)
	if err != nil {
		return Request{}, err
	}
	for name := range kept {
		checked[name] = first.Parameters[name]
	}
	return s.submit(ctx, p, sub, prepared{
		offering: offering, environment: environment, name: first.Name, owner: first.Owner, costCenter: first.CostCenter,
		sealed: checked, links: links, digest: digest,
		judged: Ask{
			Stage: StageSubmit, Action: Create, Principal: p, Offering: offering, Environment: environment,
			Name: first.Name, Owner: first.Owner, CostCenter: first.CostCenter, Parameters: unsealed(checked), Lifetime: first.Lifetime, At: s.Now().UTC(),
		},
	})
}
