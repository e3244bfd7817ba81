package provision

import "context"

// Versions are those of an offering, the latest served first. An offering that
// nobody knows is NotFound.
func (s *Service) Versions(ctx context.Context, offering string) ([]Version, error) {
	versions, err := s.Store.Versions(ctx, offering)
	if err == nil && len(versions) == 0 {
		return nil, Errorf(NotFound, "there is no offering %q", offering)
	}
	return versions, err
}

// MoveVersion publishes, deprecates or withdraws a version of an offering, named
// by its version or its digest, for the platform team alone. It may be repeated.
// What cannot follow is a Conflict, what is unknown NotFound.
func (s *Service) MoveVersion(ctx context.Context, p Principal, offering, version string, next VersionState, reason string) (Version, error) {
	if err := s.Authorizer.Allow(ctx, Access{Principal: p, Verb: VerbPublish}); err != nil {
		return Version{}, err
	}
	moved, err := s.Store.ChangeVersion(ctx, offering, version, func(v *Version) (*Event, error) {
		return v.Move(next, p.Subject, reason, s.Now())
	})
	if err != nil {
		return Version{}, err
	}
	if s.Publication == nil {
		return moved, nil
	}
	return moved, s.Publication.Refresh(ctx, s.Store)
}

// versionState is how far the version with this digest has come.
func (s *Service) versionState(digest string) VersionState {
	if s.Publication == nil {
		return Published
	}
	return s.Publication.VersionState(digest)
}
