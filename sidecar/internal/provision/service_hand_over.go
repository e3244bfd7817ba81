package provision

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Handing is to whom an instance is to be given.
type Handing struct {
	Owner      string // a team, by name or entity ref
	CostCenter string // who pays from then on; "" is who pays now
}

// HandOver asks for another team to own an instance, with credentials of its
// own. The giver is authorised as for any change; it is judged as the receiver's,
// whose budgets it would be paid from. From the start of the apply on the
// receiver owns it, and alone may open its credentials. A team that nobody knows
// and whatever else is wrong is Invalid; the owner that it has is a Conflict.
func (s *Service) HandOver(ctx context.Context, p Principal, instanceID uuid.UUID, to Handing, sub Submission) (Request, error) {
	instance, err := s.forChange(ctx, p, instanceID)
	if err != nil {
		return Request{}, err
	}
	to.Owner = OwnerRef(to.Owner)
	digest, err := bodyDigest(HandOver, instanceID, Parameters{"owner": to.Owner, "cost_center": to.CostCenter})
	if err != nil {
		return Request{}, err
	}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	if to.Owner == instance.Owner {
		return Request{}, Errorf(Conflict, "%s is owned by %s already", instance.Name, shortRefs([]string{to.Owner}))
	}
	if err := s.receivable(ctx, p, to.Owner); err != nil {
		return Request{}, err
	}
	ask, err := s.handing(ctx, p, instance, to)
	if err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask.prepared, sub, stepsOf(HandOver, ask.offering))
}

// receivable is nil for a team that has members; nothing may be given to nobody.
func (s *Service) receivable(ctx context.Context, p Principal, owner string) error {
	refused := func(format string, args ...any) error {
		err := Errorf(Invalid, format, args...)
		err.Details = []Fault{{Path: "/owner", Message: err.Message}}
		return err
	}
	switch {
	case !strings.HasPrefix(owner, "group:"):
		return refused("owner must be a team, such as payments or group:default/payments")
	case p.Owns(owner):
		return nil
	case s.Directory == nil:
		return refused("whether there is a team %s cannot be found out, because the sidecar has no --signing-key to ask the catalog with; a member of both teams can hand it over", shortRefs([]string{owner}))
	}
	members, err := s.Directory.Members(ctx, owner)
	if err != nil {
		return err
	}
	if len(members) == 0 {
		return refused("there is no team %s with members in the catalog", shortRefs([]string{owner}))
	}
	return nil
}

// handing is what handing an instance over asks for: the parameters that say who
// owns it and who pays, and nothing else.
func (s *Service) handing(ctx context.Context, p Principal, instance Instance, to Handing) (intended, error) {
	offering, _, err := s.Store.Bundle(ctx, instance.OfferingDigest)
	if err != nil {
		return intended{}, err
	}
	given := Parameters{offering.Roles.Owner: strings.TrimPrefix(to.Owner, "group:default/")}
	if to.CostCenter != "" {
		given[offering.Roles.CostCenter] = to.CostCenter
	}
	ask, err := s.intend(ctx, p, instance, HandOver, given, StageSubmit)
	if err != nil {
		return intended{}, err
	}
	ask.frozen = slices.DeleteFunc(ask.frozen, func(f Fault) bool { return f.Path == "/"+offering.Roles.Owner })
	ask.owner, ask.judged.Owner = to.Owner, to.Owner
	return ask, ask.fault()
}
