package provision

import "context"

// Exemptions are all that the policies have, those that count now first; nil
// when there are none.
func (s *Service) Exemptions() ([]Exemption, error) {
	if s.Calendar == nil {
		return nil, nil
	}
	return s.Calendar.Exemptions(s.Now())
}

// Upcoming are the freezes and windows of the next 30 days, by time; nil when
// there are none.
func (s *Service) Upcoming(ctx context.Context) ([]CalendarEntry, error) {
	if s.Calendar == nil {
		return nil, nil
	}
	return s.Calendar.Upcoming(ctx, s.environmentNames(), s.Now())
}
