package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Taken says whose output a parameter takes: its value names an instance of that
// offering, and the module is given what that instance's output is.
type Taken struct {
	Offering string `json:"offering"`
	Output   string `json:"output"`
}

// Link is a parameter of an instance that takes another instance's output. What
// is kept is whose it is; what it is, is looked up for each run.
type Link struct {
	Parameter  string    `json:"parameter"`
	InstanceID uuid.UUID `json:"instance_id"` // whose output it takes
	EntityRef  string    `json:"entity_ref"`  // of that instance
	Output     string    `json:"output"`
}

// Dependant is an instance that takes an output of another one, which cannot be
// destroyed meanwhile.
type Dependant struct {
	InstanceID uuid.UUID `json:"instance_id"`
	EntityRef  string    `json:"entity_ref"`
	Name       string    `json:"name"`
	Offering   string    `json:"offering"`
	Owner      string    `json:"owner"`
	Parameter  string    `json:"parameter"` // of the dependant
	Output     string    `json:"output"`    // that it takes
}

var instanceRef = regexp.MustCompile(`^resource:([^/]+)/(.+)\.([^./]+)$`)

// ParseEntityRef reads what EntityRef writes.
func ParseEntityRef(ref string) (environment, name, offering string, ok bool) {
	parts := instanceRef.FindStringSubmatch(ref)
	if parts == nil {
		return "", "", "", false
	}
	return parts[1], parts[2], parts[3], true
}

// link finds the instances whose outputs parameters take, and writes their
// entity refs where their ids were given. One that p may not read, that is
// elsewhere or not ready, or that lacks the output is Invalid, every fault at
// once. What is in kept already is taken as it is: it holds its instance.
func (s *Service) link(ctx context.Context, p Principal, o Offering, environment string, parameters Parameters, kept []Link) ([]Link, error) {
	var links []Link
	var faults []Fault
	for _, parameter := range o.Parameters {
		value := parameters.Text(parameter.Name)
		if parameter.Takes == nil || value == "" {
			continue
		}
		known := slices.IndexFunc(kept, func(l Link) bool {
			return l.Parameter == parameter.Name && l.Output == parameter.Takes.Output && (l.EntityRef == value || l.InstanceID.String() == value)
		})
		if known >= 0 {
			links = append(links, kept[known])
			parameters[parameter.Name] = kept[known].EntityRef
			continue
		}
		upstream, why, err := s.upstream(ctx, p, *parameter.Takes, environment, value)
		if err != nil {
			return nil, err
		}
		if why != "" {
			faults = append(faults, Fault{Path: "/" + parameter.Name, Message: parameter.Name + " is " + value + why})
			continue
		}
		parameters[parameter.Name] = upstream.EntityRef()
		links = append(links, Link{parameter.Name, upstream.ID, upstream.EntityRef(), parameter.Takes.Output})
	}
	if len(faults) > 0 {
		return nil, withFaults(nil, faults)
	}
	return links, nil
}

// upstream is the instance that a value names, or why its output cannot be taken.
func (s *Service) upstream(ctx context.Context, p Principal, takes Taken, environment, value string) (upstream Instance, why string, err error) {
	if id, parsed := uuid.Parse(value); parsed == nil {
		upstream, err = s.Store.Instance(ctx, id)
	} else if place, name, offering, ok := ParseEntityRef(value); ok {
		upstream, err = s.Store.InstanceByName(ctx, offering, place, name)
	} else {
		return Instance{}, ", which names no instance", nil
	}
	// Whether there is one is told to those alone who may read it.
	missing := fmt.Sprintf(", which is no instance of %s that you may read", takes.Offering)
	switch {
	case err != nil && KindOf(err) == NotFound:
		return Instance{}, missing, nil
	case err != nil:
		return Instance{}, "", err
	}
	err = s.Authorizer.Allow(ctx, Access{p.about("", upstream.Preview), VerbRead, upstream.Owner, upstream.Environment})
	switch {
	case err != nil && KindOf(err) == Denied:
		return Instance{}, missing, nil
	case err != nil:
		return Instance{}, "", err
	case upstream.Offering != takes.Offering:
		return Instance{}, missing, nil
	case upstream.Environment != environment:
		return Instance{}, fmt.Sprintf(", which is in %s; take one in %s", upstream.Environment, environment), nil
	case upstream.State != Ready:
		return Instance{}, fmt.Sprintf(", which is %s; ask again once it is ready", upstream.State), nil
	}
	if _, ok := scalar(upstream.Outputs[takes.Output]); !ok {
		return Instance{}, fmt.Sprintf(", which has no output %s; upgrade it first", takes.Output), nil
	}
	return upstream, "", nil
}

// scalar is an output as the text that a parameter takes; ok is false for one
// that is not set, or is a list or a mapping.
func scalar(output any) (text string, ok bool) {
	switch v := output.(type) {
	case string:
		return v, true
	case json.Number, bool, float64, int64, int:
		return fmt.Sprint(v), true
	}
	return "", false
}

// acyclic is Invalid when an instance would come to take, over others, an output
// of its own.
func (s *Service) acyclic(ctx context.Context, instance Instance, links []Link) error {
	seen := map[uuid.UUID]bool{}
	var follow func(links []Link, first Link) error
	follow = func(links []Link, first Link) error {
		for _, l := range links {
			if l.InstanceID == instance.ID {
				return withFaults(nil, []Fault{{Path: "/" + first.Parameter, Message: fmt.Sprintf("%s is %s, which takes an output of %s itself", first.Parameter, first.EntityRef, instance.Name)}})
			}
			if seen[l.InstanceID] {
				continue
			}
			seen[l.InstanceID] = true
			next, err := s.Store.Instance(ctx, l.InstanceID)
			if err != nil {
				return err
			}
			if err := follow(next.Links, first); err != nil {
				return err
			}
		}
		return nil
	}
	for _, l := range links {
		if err := follow([]Link{l}, l); err != nil {
			return err
		}
	}
	return nil
}

// resolved are parameters for a module: in place of each reference the output
// that it takes, as it is now. One that is not there any more is left out, for
// the module to have its default or Terraform to say that there is no value.
func (s *Service) resolved(ctx context.Context, parameters Parameters, links []Link) (Parameters, error) {
	if len(links) == 0 {
		return parameters, nil
	}
	values := Parameters{}
	for name, value := range parameters {
		values[name] = value
	}
	for _, l := range links {
		delete(values, l.Parameter)
		upstream, err := s.Store.Instance(ctx, l.InstanceID)
		if err != nil {
			return nil, err
		}
		if text, ok := scalar(upstream.Outputs[l.Output]); ok {
			values[l.Parameter] = text
		}
	}
	return values, nil
}

// followed marks the differences that come of an output which has changed since
// it was taken: its present value is in what is expected, and not in what is.
func followed(found []Difference, links []Link, values Parameters) []Difference {
	for i, d := range found {
		if d.Kind != DriftOutdated {
			continue
		}
		for _, l := range links {
			value := values.Text(l.Parameter)
			if value != "" && strings.Contains(text(d.Expected), value) && !strings.Contains(text(d.Actual), value) {
				found[i].Upstream, found[i].Output = l.EntityRef, l.Output
			}
		}
	}
	return found
}

// HeldLinks are the links that the record's instance keeps: those of what it is
// and, while a request that has begun may still make it so, those of what was
// asked for.
func (r *Record) HeldLinks() []Link {
	if r.Instance == nil || r.Instance.State.Gone() {
		return nil
	}
	held := slices.Clone(r.Instance.Links)
	if !r.Request.State.Terminal() || r.Instance.State == Incomplete {
		held = append(held, r.Request.Links...)
	}
	return held
}
