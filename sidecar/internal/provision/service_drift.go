package provision

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// mostDrifted is how many drifted instances are grouped at most.
const mostDrifted = 1000

// Drifting is an instance with its drift and its check, for people.
type Drifting struct {
	Instance Instance
	Check    DriftCheck
	Offering Offering
	Adoption *Adoption // nil without drift, and to who may only read
}

// DriftGroup is one cause over all instances that it is found on.
type DriftGroup struct {
	Cause     string
	Title     string
	Offering  string
	Type      string
	Attribute string
	Kind      DifferenceKind
	FirstSeen time.Time
	LastSeen  time.Time
	Found     []DriftFound

	MonthlyDifference *Money // what adopting it everywhere would cost more; nil when that cannot be told
}

// DriftFound is a difference on one instance.
type DriftFound struct {
	Instance   Instance
	Difference Difference
}

// Drift is an instance's drift that the principal may see.
func (s *Service) Drift(ctx context.Context, p Principal, id uuid.UUID) (Drifting, error) {
	// First: what is read of the instance is then no older than when it was checked.
	check, err := s.Store.DriftCheck(ctx, id)
	if err != nil {
		return Drifting{}, err
	}
	instance, err := s.Instance(ctx, p, id)
	if err != nil {
		return Drifting{}, err
	}
	drifting := Drifting{Instance: instance, Check: check}
	if instance.Drift == nil {
		return drifting, nil
	}
	if drifting.Offering, _, err = s.Store.Bundle(ctx, instance.OfferingDigest); err != nil {
		return Drifting{}, err
	}
	err = s.Authorizer.Allow(ctx, Access{p, VerbSubmit, instance.Owner, instance.Environment})
	if err != nil {
		if KindOf(err) == Denied {
			return drifting, nil
		}
		return Drifting{}, err
	}
	adoption, err := s.adoption(ctx, p, instance)
	drifting.Adoption = &adoption
	return drifting, err
}

// CheckDrift has an instance checked soon. It is a Conflict while the instance
// is not ready or a request is at it. Asking twice is asking once.
func (s *Service) CheckDrift(ctx context.Context, p Principal, id uuid.UUID) (Drifting, error) {
	if err := s.mayOnInstance(ctx, p, VerbCheckDrift, id); err != nil {
		return Drifting{}, err
	}
	record, err := s.Store.ChangeDrift(ctx, id, func(r *DriftRecord) error { return r.Ask(p.Subject) })
	if err != nil {
		return Drifting{}, err
	}
	return Drifting{Instance: record.Instance, Check: record.Check}, nil
}

// SuppressDrift hides an instance's drift until a date. cause, when not empty,
// must still be what it is.
func (s *Service) SuppressDrift(ctx context.Context, p Principal, id uuid.UUID, cause string, until time.Time, reason string) (Drifting, error) {
	if err := person(p); err != nil {
		return Drifting{}, err
	}
	if err := s.mayOnInstance(ctx, p, VerbSubmit, id); err != nil {
		return Drifting{}, err
	}
	if reason == "" {
		return Drifting{}, Errorf(Invalid, "say why with reason: whoever looks at it later asks")
	}
	record, err := s.Store.ChangeDrift(ctx, id, func(r *DriftRecord) error {
		return r.Suppress(cause, Suppression{Until: until.UTC(), By: p.Subject, Reason: reason})
	})
	if err != nil {
		return Drifting{}, err
	}
	return Drifting{Instance: record.Instance, Check: record.Check}, nil
}

func (s *Service) mayOnInstance(ctx context.Context, p Principal, verb Verb, id uuid.UUID) error {
	instance, err := s.Store.Instance(ctx, id)
	if err != nil {
		return err
	}
	return s.Authorizer.Allow(ctx, Access{p, verb, instance.Owner, instance.Environment})
}

// DriftGroups are the causes of drift over the instances that the principal may
// see, the one on most instances first. Suppressed drift is left out unless it
// is asked for.
func (s *Service) DriftGroups(ctx context.Context, p Principal, suppressed bool) ([]DriftGroup, error) {
	owners, err := s.visible(ctx, p, nil)
	if err != nil {
		return nil, err
	}
	drifted, err := s.Store.Drifted(ctx, owners, mostDrifted)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	groups := map[string]*DriftGroup{}
	for _, i := range drifted {
		if i.Drift == nil || i.Drift.Hidden(now) && !suppressed {
			continue
		}
		for _, d := range i.Drift.Differences {
			group := groups[d.Cause]
			if group == nil {
				group = &DriftGroup{
					Cause: d.Cause, Title: d.Title(), Offering: i.Offering, Type: d.Type, Attribute: d.Attribute, Kind: d.Kind,
					FirstSeen: i.Drift.FirstSeen, LastSeen: i.Drift.LastSeen,
				}
				groups[d.Cause] = group
			}
			group.add(DriftFound{i, d})
		}
	}
	sorted := make([]DriftGroup, 0, len(groups))
	for _, group := range groups {
		group.MonthlyDifference = s.differenceOf(ctx, group.Found)
		sorted = append(sorted, *group)
	}
	slices.SortFunc(sorted, func(a, b DriftGroup) int {
		return cmp.Or(cmp.Compare(len(b.Found), len(a.Found)), a.FirstSeen.Compare(b.FirstSeen), cmp.Compare(a.Cause, b.Cause))
	})
	return sorted, nil
}

func (g *DriftGroup) add(found DriftFound) {
	g.Found = append(g.Found, found)
	if first := found.Instance.Drift.FirstSeen; first.Before(g.FirstSeen) {
		g.FirstSeen = first
	}
	if last := found.Instance.Drift.LastSeen; last.After(g.LastSeen) {
		g.LastSeen = last
	}
}
