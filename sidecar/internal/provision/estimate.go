package provision

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Estimate prices the parameters given, with defaults for the rest. What is
// given must be right; that others are missing is no fault of a price, unless
// the formula reads them.
func (s *Service) Estimate(offeringID string, given Parameters) (Estimate, error) {
	offering, err := s.Catalog.Offering(offeringID)
	if err != nil {
		return Estimate{}, err
	}
	parameters, err := s.priced(offering, given)
	if err != nil {
		return Estimate{}, err
	}
	return s.Judge.Prices.Price(offering, parameters)
}

func (s *Service) priced(offering Offering, given Parameters) (Parameters, error) {
	checked, err := s.Catalog.Check(offering, given)
	var invalid *Error
	if err == nil || !errors.As(err, &invalid) {
		return checked, err
	}
	wrong := slices.DeleteFunc(slices.Clone(invalid.Details), func(f Fault) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Path, "/"), "/")
		_, isGiven := given[name]
		return !isGiven || given[name] == "" // a form sends its empty fields too
	})
	if len(wrong) > 0 {
		said := make([]string, len(wrong))
		for i, fault := range wrong {
			said[i] = fault.Message
		}
		return nil, &Error{Kind: Invalid, Message: strings.Join(said, "; "), Details: wrong}
	}
	filled := Parameters{}
	for _, p := range offering.Parameters {
		if p.Default != nil {
			filled[p.Name] = p.Default
		}
	}
	maps.Copy(filled, given)
	return filled, nil
}
