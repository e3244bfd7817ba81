package provision

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Extend asks for an instance to live by longer than it would. It is judged,
// priced over its whole life, and approved where policy asks for that, as any
// change is; until it has been applied the instance ends when it would have.
// What lives without an end, or would exceed its offering's maximum, is Invalid.
func (s *Service) Extend(ctx context.Context, p Principal, instanceID uuid.UUID, by time.Duration, sub Submission) (Request, error) {
	instance, err := s.forChange(ctx, p.about(Extend, nil), instanceID)
	if err != nil {
		return Request{}, err
	}
	digest, err := bodyDigest(Extend, instanceID, Parameters{"by": LifetimeText(by)})
	if err != nil {
		return Request{}, err
	}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	ask, err := s.extension(ctx, p, instance, by, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask, sub, extensionText(ask.offering, instance, by))
}

// PreviewExtension answers what Extend would, and stores nothing.
func (s *Service) PreviewExtension(ctx context.Context, p Principal, instanceID uuid.UUID, by time.Duration) (ChangePreview, error) {
	instance, err := s.forChange(ctx, p.about(Extend, nil), instanceID)
	if err != nil {
		return ChangePreview{}, err
	}
	ask := intended{instance: instance}
	if ask.prepared, err = s.extension(ctx, p, instance, by, StageForm); err != nil {
		return ChangePreview{}, err
	}
	answer, err := s.foresee(ctx, &ask)
	if err != nil {
		return ChangePreview{}, err
	}
	return ask.preview(answer), nil
}

func (s *Service) extension(ctx context.Context, p Principal, instance Instance, by time.Duration, stage Stage) (prepared, error) {
	if instance.Lifetime == 0 {
		return prepared{}, Errorf(Invalid, "%s lives without an end, so there is nothing to extend", instance.Name)
	}
	if by <= 0 {
		return prepared{}, Errorf(Invalid, "say by how much with by, such as 24h")
	}
	ask, err := s.unchanged(ctx, p, instance, Extend, stage)
	if err != nil {
		return prepared{}, err
	}
	longer, err := ask.offering.lifetime(instance.Lifetime + by)
	if err != nil {
		return prepared{}, err
	}
	ask.judged.Lifetime, ask.judged.LifetimeBefore = longer, instance.Lifetime
	return ask, nil
}

// Expire asks for the end of an instance that has expired, as the system and
// under the same policy as anyone. What was never made is cancelled. While
// another request of it has not ended it is a Conflict.
func (s *Service) Expire(ctx context.Context, instanceID uuid.UUID) (Request, error) {
	p := Principal{Subject: ExpirySubject}
	instance, err := s.Store.Instance(ctx, instanceID)
	if err != nil {
		return Request{}, err
	}
	if err := s.Authorizer.Allow(ctx, Access{p, VerbExpire, instance.Owner, instance.Environment}); err != nil {
		return Request{}, err
	}
	if instance.State == Reserved {
		return s.Cancel(ctx, p, instance.RequestID, instance.Name+" expired before anything was made")
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	ask, err := s.unchanged(ctx, p, instance, Destroy, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	ask.judged.Confirm = instance.Name // its end was agreed to when it was asked for
	return s.submitChange(ctx, p, instance, ask, Submission{}, destroySteps(ask.offering))
}
