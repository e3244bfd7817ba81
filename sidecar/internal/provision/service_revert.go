package provision

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Revert asks for an instance to be again as it was asked for: its unchanged
// parameters are applied. It is judged, approved and stored as Update is. Without
// drift, or while another request of the instance has not ended, it is a Conflict.
func (s *Service) Revert(ctx context.Context, p Principal, instanceID uuid.UUID, cause string, sub Submission) (Request, error) {
	return s.putRight(ctx, p, instanceID, Revert, cause, sub)
}

// Adopt asks for what an instance has become: its parameters become those of
// what is there. It is judged, approved and stored as Update is; its plan must
// leave alone what has drifted. What is the value of no parameter alone is a
// Conflict; a value that may not be asked for is Invalid or denied, as ever.
func (s *Service) Adopt(ctx context.Context, p Principal, instanceID uuid.UUID, cause string, sub Submission) (Request, error) {
	return s.putRight(ctx, p, instanceID, Adopt, cause, sub)
}

// putRight does either. cause, when not empty, must still be the drift's.
func (s *Service) putRight(ctx context.Context, p Principal, instanceID uuid.UUID, action Action, cause string, sub Submission) (Request, error) {
	instance, err := s.forChange(ctx, p, instanceID)
	if err != nil {
		return Request{}, err
	}
	digest, err := bodyDigest(action, instanceID, Parameters{"cause": cause})
	if err != nil {
		return Request{}, err
	}
	if first, err := s.repeated(ctx, p, sub, digest); err != nil || first.ID != uuid.Nil {
		return first, err
	}
	if err := s.idle(ctx, instance); err != nil {
		return Request{}, err
	}
	ask, err := s.rightly(ctx, p, instance, action, cause, StageSubmit)
	if err != nil {
		return Request{}, err
	}
	ask.digest = digest
	return s.submitChange(ctx, p, instance, ask.prepared, sub, changeSteps(ask.offering))
}

// rightly is what a revert or an adoption asks for.
func (s *Service) rightly(ctx context.Context, p Principal, instance Instance, action Action, cause string, stage Stage) (intended, error) {
	drift := instance.Drift
	switch {
	case drift == nil:
		return intended{}, Errorf(Conflict, "%s is as it was asked for, as far as is known; have it checked first", instance.Name)
	case cause != "" && cause != drift.Cause:
		return intended{}, Errorf(Conflict, "the drift of %s is another one by now; look at it again", instance.Name)
	}
	given := Parameters{}
	if action == Adopt {
		offering, _, err := s.Store.Bundle(ctx, instance.OfferingDigest)
		if err != nil {
			return intended{}, err
		}
		if given, err = Adopted(offering, instance); err != nil {
			return intended{}, err
		}
	}
	ask, err := s.intend(ctx, p, instance, action, given, stage)
	if err != nil {
		return intended{}, err
	}
	ask.judged.Drifted = drift.Addresses()
	if action == Adopt {
		return ask, ask.fault()
	}
	return ask, nil
}

// Addresses are the drifted resources, each once, in order.
func (d Drift) Addresses() []string {
	var addresses []string
	for _, difference := range d.Differences {
		if n := len(addresses); n == 0 || addresses[n-1] != difference.Address {
			addresses = append(addresses, difference.Address)
		}
	}
	return addresses
}

// Adoption is what adopting an instance's drift would be.
type Adoption struct {
	Preview *ChangePreview // nil when it cannot be adopted
	WhyNot  string         // "" when it can
}

// adoption previews adopting the drift of an instance for p.
func (s *Service) adoption(ctx context.Context, p Principal, instance Instance) (Adoption, error) {
	ask, err := s.rightly(ctx, p, instance, Adopt, "", StageForm)
	if kind := KindOf(err); err != nil && (kind == Conflict || kind == Invalid) {
		return Adoption{WhyNot: err.Error()}, nil
	}
	if err != nil {
		return Adoption{}, err
	}
	answer, err := s.foresee(ctx, &ask)
	if err != nil {
		return Adoption{}, err
	}
	preview := ask.preview(answer)
	return Adoption{Preview: &preview}, nil
}

// InWords is the adoption for the owner: what it changes, what that costs, and
// whether it would be allowed.
func (a Adoption) InWords(o Offering) string {
	if a.Preview == nil {
		return a.WhyNot
	}
	v := a.Preview
	each := make([]string, len(v.Changes))
	for i, c := range v.Changes {
		p, _ := o.Parameter(c.Parameter)
		each[i] = changeInWords(p, c.Before, c.After)
		if p.Type == "map" {
			each[i] = membersInWords(c.Before, c.After)
		}
	}
	said := strings.Join(each, " and ")
	switch {
	case v.CostDifference == nil || v.CostAfter == nil:
	case *v.CostDifference == 0:
		said += ": " + v.CostAfter.String() + " a month as before"
	case *v.CostDifference > 0:
		said += ": +" + v.CostDifference.String() + " a month, now " + v.CostAfter.String()
	default:
		said += ": " + v.CostDifference.String() + " a month, now " + v.CostAfter.String()
	}
	switch v.Outcome {
	case OutcomeDeny:
		said += "; it cannot be adopted"
	case OutcomeRequireApproval:
		said += "; approval is needed to adopt it"
	default:
		return said + "; it can be adopted"
	}
	return said + ": " + v.Findings[0].Message
}

// membersInWords says which members of a map change.
func membersInWords(before, after any) string {
	was, _ := before.(map[string]any)
	is, _ := after.(map[string]any)
	names := slices.Sorted(maps.Keys(was))
	for name := range is {
		if _, both := was[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var each []string
	for _, name := range names {
		if !same(was[name], is[name]) {
			each = append(each, name+" "+text(was[name])+" → "+text(is[name]))
		}
	}
	return strings.Join(each, " and ")
}
