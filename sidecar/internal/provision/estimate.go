package provision

import "context"

// Estimate prices the parameters given, with defaults for the rest, and says
// what to consider. What is given must be right; that others are missing is no
// fault of a price, unless the formula reads them.
func (s *Service) Estimate(ctx context.Context, offeringID string, parameters Parameters) (Estimate, []string, error) {
	offering, err := s.Catalog.Offering(offeringID)
	if err != nil {
		return Estimate{}, nil, err
	}
	given, err := s.given(offering, parameters)
	if err != nil {
		return Estimate{}, nil, err
	}
	estimate, err := s.Judge.Prices.Price(offering, given)
	if err != nil {
		return Estimate{}, nil, err
	}
	ask, err := s.draft(offering, given)
	if KindOf(err) == Invalid { // a price does not depend on the place
		return estimate, []string{}, nil
	}
	if err != nil {
		return Estimate{}, nil, err
	}
	verdict, _, err := s.Judge.weigh(ctx, ask)
	return estimate, verdict.Recommendations(), err
}
