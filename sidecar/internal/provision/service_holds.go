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

// Holds are what a queued request waits for besides a worker, given the pauses
// in force; empty when nothing holds it.
func (s *Runs) Holds(ctx context.Context, r *Record, pauses []Pause) ([]Hold, error) {
	return s.Service.holds(ctx, HoldInput{
		Action: r.Request.Action, Subject: r.Request.RequestedBy, Offering: r.Request.Offering,
		Environment: s.Service.Environments[r.Request.Environment], Name: r.Request.Name, Owner: r.Request.Owner,
		Pauses: pauses, At: r.Now(),
	})
}

// holdsNow are what an ask would wait for if it were asked now; never nil.
func (s *Service) holdsNow(ctx context.Context, ask Ask) ([]Hold, error) {
	var pauses []Pause
	if s.Store != nil { // nil where only an ask is judged
		var err error
		if pauses, err = s.Store.Pauses(ctx); err != nil {
			return nil, err
		}
	}
	holds, err := s.holds(ctx, HoldInput{
		Action: ask.Action, Subject: ask.Principal.Subject, Offering: ask.Offering.ID, Environment: ask.Environment,
		Name: ask.Name, Owner: ask.Owner, Pauses: pauses, At: ask.At,
	})
	return append([]Hold{}, holds...), err
}

func (s *Service) holds(ctx context.Context, input HoldInput) ([]Hold, error) {
	if s.Calendar == nil {
		return nil, nil
	}
	return s.Calendar.Holds(ctx, input)
}

// accept stores the record of an accepted ask, which says from the start what
// it waits for.
func (s *Service) accept(ctx context.Context, r *Record) error {
	pauses, err := s.Store.Pauses(ctx)
	if err != nil {
		return err
	}
	holds, err := (&Runs{Service: s}).Holds(ctx, r, pauses)
	if err != nil {
		return err
	}
	r.Hold(holds)
	return s.Store.Accept(ctx, r)
}

// Upcoming are the freezes and windows of the next 30 days, by time; nil when
// there are none.
func (s *Service) Upcoming(ctx context.Context) ([]CalendarEntry, error) {
	if s.Calendar == nil {
		return nil, nil
	}
	return s.Calendar.Upcoming(ctx, s.environmentNames(), s.Now())
}
