package provision

import (
	"context"
	"strings"

	"github.com/google/uuid"
)

// InstanceNamed is the living instance that a person may read and names by its
// id or by its entity ref, "resource:dev/orders.postgres-database". A name that
// is neither is Invalid.
func (s *Service) InstanceNamed(ctx context.Context, p Principal, name string) (Instance, error) {
	if id, err := uuid.Parse(name); err == nil && len(name) == 36 {
		return s.Instance(ctx, p, id)
	}
	environment, called, offering, ok := splitEntityRef(name)
	if !ok {
		return Instance{}, Errorf(Invalid, "%q names no instance; give its id, or its entity ref such as resource:dev/orders.postgres-database", name)
	}
	instance, err := s.Store.InstanceByName(ctx, offering, environment, called)
	if err != nil {
		return Instance{}, err
	}
	return s.Instance(ctx, p, instance.ID)
}

// splitEntityRef undoes EntityRef: no name has a dot.
func splitEntityRef(ref string) (environment, name, offering string, ok bool) {
	rest, isResource := strings.CutPrefix(ref, "resource:")
	environment, rest, placed := strings.Cut(rest, "/")
	name, offering, typed := strings.Cut(rest, ".")
	return environment, name, offering, isResource && placed && typed && environment != "" && name != "" && offering != ""
}
