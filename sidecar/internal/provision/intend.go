package provision

import "context"

// intended is a change of an instance that is authorised and well formed. What
// must not change is in frozen.
type intended struct {
	prepared
	instance Instance
	changes  []ParameterChange
	frozen   []Fault
}

// intend lays given over an instance's parameters and checks the whole against
// the offering that the action leads to. Every fault at once is Invalid, what
// must not change among them; when that is all that is wrong it is left to the
// caller.
func (s *Service) intend(ctx context.Context, p Principal, instance Instance, action Action, given Parameters, stage Stage) (intended, error) {
	now, offering, err := s.target(ctx, instance, action)
	if err != nil {
		return intended{}, err
	}
	return s.intendBy(ctx, p, instance, action, given, stage, versions{now, offering})
}

// versions are the offering that an instance is of, and the one that it would be
// of.
type versions struct{ now, then Offering }

// intendBy is intend for a version that is known.
func (s *Service) intendBy(ctx context.Context, p Principal, instance Instance, action Action, given Parameters, stage Stage, v versions) (intended, error) {
	now, offering := v.now, v.then
	environment, err := s.placeOf(instance)
	if err != nil {
		return intended{}, err
	}
	plain, kept := overlay(instance.Parameters, given)
	if action == Upgrade {
		carryOver(now, offering, instance, given, plain, kept)
	}
	checked, err := s.checkKept(offering, plain, kept)
	after := checked
	if err != nil {
		after = plain
	}
	for name := range kept {
		after[name] = instance.Parameters[name]
	}
	next := intended{instance: instance, changes: changesBetween(now, offering, instance.Parameters, after)}
	next.frozen = append(frozenFaults(offering, next.changes), renamedRoles(now, offering, instance, after)...)
	if err != nil {
		return intended{}, withFaults(err, next.frozen)
	}
	links, err := s.link(ctx, p, offering, instance.Environment, after, instance.Links)
	if err == nil {
		err = s.acyclic(ctx, instance, links)
	}
	if err != nil {
		return intended{}, withFaults(err, next.frozen)
	}
	next.changes = changesBetween(now, offering, instance.Parameters, after) // an id has become an entity ref
	sealed, err := s.sealNew(offering, environment.Pool, after, kept, stage)
	if err != nil {
		return intended{}, err
	}
	next.prepared = prepared{
		offering: offering, environment: environment, name: instance.Name, owner: instance.Owner,
		costCenter: sealed.Text(offering.Roles.CostCenter), sealed: sealed, links: links,
	}
	next.judged = Ask{
		Stage: stage, Action: action, Principal: p, Offering: offering, Environment: environment,
		Name: next.name, Owner: next.owner, CostCenter: next.costCenter,
		Parameters: unsealed(sealed), Before: unsealed(instance.Parameters), Was: wasOf(instance, now),
		Lifetime: instance.Lifetime, At: s.Now().UTC(),
	}
	return next, nil
}

// placeOf is the environment of an instance.
func (s *Service) placeOf(instance Instance) (Environment, error) {
	environment, ok := s.Environments[instance.Environment]
	if !ok {
		return Environment{}, Errorf(Conflict, "environment %q is no longer configured; ask the platform team to restore it first", instance.Environment)
	}
	return environment, nil
}

// fault is Invalid when the change must not or need not be made.
func (n intended) fault() error {
	if len(n.frozen) > 0 {
		return withFaults(nil, n.frozen)
	}
	if len(n.changes) == 0 && n.judged.Action == Update && n.instance.State != Incomplete {
		return Errorf(Invalid, "nothing would change: %s is as this asks already; give at least one parameter another value", n.instance.Name)
	}
	return nil
}

// overlay lays given over before. kept are the sealed values that stay: nobody
// can read them, so a form sends back that they are set, or nothing.
func overlay(before, given Parameters) (plain Parameters, kept map[string]bool) {
	plain, kept = Parameters{}, map[string]bool{}
	for name, value := range before {
		if _, sealed := Sealed(value); sealed {
			kept[name] = true
			continue
		}
		plain[name] = value
	}
	for name, value := range given {
		if kept[name] && isSetMark(value) {
			continue
		}
		delete(kept, name)
		plain[name] = value
	}
	return plain, kept
}

func isSetMark(value any) bool {
	mark, ok := value.(map[string]any)
	return ok && len(mark) == 1 && mark["set"] == true
}

// checkKept is Catalog.Check for parameters of which some are kept sealed and
// cannot be looked at.
func (s *Service) checkKept(o Offering, plain Parameters, kept map[string]bool) (Parameters, error) {
	if len(kept) == 0 {
		return s.Catalog.Check(o, plain)
	}
	names := plain.Names()
	var missing []Fault
	for _, p := range o.Parameters {
		if kept[p.Name] {
			continue
		}
		if plain[p.Name] == nil {
			names = append(names, p.Name) // for its default
			if p.Required {
				missing = append(missing, Fault{Path: "/" + p.Name, Message: p.Name + " is required"})
			}
		}
	}
	checked, err := s.Catalog.CheckPart(o, plain, names)
	if err != nil || len(missing) > 0 {
		return nil, withFaults(err, missing)
	}
	return checked, nil
}

// sealNew seals the sensitive values that are new.
func (s *Service) sealNew(o Offering, pool string, after Parameters, kept map[string]bool, stage Stage) (Parameters, error) {
	fresh := Parameters{}
	for name, value := range after {
		if !kept[name] {
			fresh[name] = value
		}
	}
	sealed, err := s.seal(o, pool, fresh, stage)
	if err != nil {
		return nil, err
	}
	for name := range kept {
		sealed[name] = after[name]
	}
	return sealed, nil
}
