package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Upgrade asks for an instance to be of the published version of its offering.
// What the new version no longer takes is dropped, what it adds has its default;
// sub.Parameters are those that change besides, or that the new version needs
// and has no default for. Answers are those of Update; an instance of the
// published version is a Conflict.
func (s *Service) Upgrade(ctx context.Context, p Principal, instanceID uuid.UUID, sub Submission) (Request, error) {
	return s.alter(ctx, p, instanceID, Upgrade, sub)
}

// target is the offering that an instance is of, and the one that it would be of
// after an action.
func (s *Service) target(ctx context.Context, instance Instance, action Action) (now, then Offering, err error) {
	if now, _, err = s.Store.Bundle(ctx, instance.OfferingDigest); err != nil || action != Upgrade {
		return now, now, err
	}
	if then, err = s.Catalog.Offering(instance.Offering); err != nil {
		return now, then, err
	}
	if then.Digest == now.Digest {
		return now, then, Errorf(Conflict, "%s is of the published version already, %s", instance.Name, now.Version)
	}
	_, err = s.place(then, instance.Environment)
	return now, then, err
}

// carryOver takes from an instance's parameters what another version does not
// know, and gives it what every request has under the names that it has for it.
// What was given stays, so that it is refused if it is not known.
func carryOver(now, then Offering, instance Instance, given, plain Parameters, kept map[string]bool) {
	for _, p := range now.Parameters {
		_, known := then.Parameter(p.Name)
		_, asked := given[p.Name]
		if !known && !asked {
			delete(plain, p.Name)
			delete(kept, p.Name)
		}
	}
	for name, value := range map[string]string{
		then.Roles.Name: instance.Name, then.Roles.Environment: instance.Environment, then.Roles.CostCenter: instance.CostCenter,
		then.Roles.Owner: strings.TrimPrefix(instance.Owner, "group:default/"),
	} {
		if plain[name] == nil && value != "" {
			plain[name] = value
		}
	}
}

// renamedRoles are faults about parameters that are new in a version and say
// what the instance is: they say what it was before.
func renamedRoles(now, then Offering, instance Instance, after Parameters) []Fault {
	var faults []Fault
	for _, role := range []struct{ name, is, was string }{
		{then.Roles.Name, after.Text(then.Roles.Name), instance.Name},
		{then.Roles.Environment, after.Text(then.Roles.Environment), instance.Environment},
		{then.Roles.Owner, OwnerRef(after.Text(then.Roles.Owner)), instance.Owner},
	} {
		if _, known := now.Parameter(role.name); !known && now.Digest != then.Digest && role.is != role.was {
			faults = append(faults, Fault{Path: "/" + role.name, Message: fmt.Sprintf("%s is %s and stays so for good; leave it out", role.name, role.was)})
		}
	}
	return faults
}

// dropped are the changes of parameters that a version no longer has.
func dropped(now, then Offering, before Parameters) []ParameterChange {
	var changes []ParameterChange
	for _, p := range now.Parameters {
		value, set := before[p.Name]
		if _, known := then.Parameter(p.Name); known || !set {
			continue
		}
		change := ParameterChange{Parameter: p.Name, Title: p.title(), Before: value}
		if p.Sensitive {
			change.Before = setMark(value)
		}
		changes = append(changes, change)
	}
	return slices.Clip(changes)
}

// AvailableVersion is the version of its offering that an instance could be
// upgraded to; "" when it is of the published one, or when none is published.
func (s *Service) AvailableVersion(i Instance) string {
	published, err := s.Catalog.Offering(i.Offering)
	if err != nil || published.Digest == i.OfferingDigest {
		return ""
	}
	return published.Version
}
