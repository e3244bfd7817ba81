package provision

import (
	"context"

	"github.com/google/uuid"
)

// Rotate asks for new credentials of an instance; everything else stays as it
// is, and the old ones are void once it has been applied. It is judged and
// stored as Update is, under the version that the instance was made by; what has
// no credentials that can be made anew is a Conflict.
func (s *Service) Rotate(ctx context.Context, p Principal, instanceID uuid.UUID, sub Submission) (Request, error) {
	instance, err := s.forChange(ctx, p, instanceID)
	if err != nil {
		return Request{}, err
	}
	digest, err := bodyDigest(Rotate, instanceID, nil)
	if err != nil {
		return Request{}, err
	}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	ask, err := s.unchanged(ctx, p, instance, Rotate, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	if err := s.rotatable(instance, ask.offering); err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask, sub, stepsOf(Rotate, ask.offering))
}

// rotatable is nil when an instance of the offering can be given new
// credentials, else a Conflict that says why not and the way out.
func (s *Service) rotatable(instance Instance, o Offering) error {
	if o.Rotates {
		return nil
	}
	published, err := s.Catalog.Offering(o.ID)
	if err == nil && published.Rotates {
		return Errorf(Conflict, "%s is of version %s of %s, which cannot make credentials anew; upgrade it to %s first", instance.Name, o.Version, o.Name, published.Version)
	}
	return Errorf(Conflict, "%s has no credentials that can be made anew: its offering, %s, does not rotate any", instance.Name, o.Name)
}
