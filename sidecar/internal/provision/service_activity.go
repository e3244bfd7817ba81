package provision

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// mostUnused is how many unused instances are listed at most.
const mostUnused = 1000

// UnusedGroup is what one owner has unused.
type UnusedGroup struct {
	Owner         string
	MonthlySaving Money // what destroying all of it would save
	Found         []UnusedInstance
}

// Activity is what is known of the use of an instance that the principal may see.
func (s *Service) Activity(ctx context.Context, p Principal, id uuid.UUID) (Activity, error) {
	if _, err := s.Instance(ctx, p, id); err != nil {
		return Activity{}, err
	}
	return s.Store.Activity(ctx, id)
}

// Unused are the owners, of those whose instances the principal may see, who have
// something unused, the largest saving first. What somebody has answered for is
// left out unless it is asked for.
func (s *Service) Unused(ctx context.Context, p Principal, answered bool) ([]UnusedGroup, error) {
	owners, err := s.visible(ctx, p, nil)
	if err != nil {
		return nil, err
	}
	found, err := s.Store.Unused(ctx, owners, mostUnused)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	groups := map[string]*UnusedGroup{}
	for _, f := range found {
		if f.Activity.Quiet(now) && !answered {
			continue
		}
		owner := f.Instance.Owner
		if groups[owner] == nil {
			groups[owner] = &UnusedGroup{Owner: owner}
		}
		groups[owner].Found = append(groups[owner].Found, f)
		groups[owner].MonthlySaving += f.Saves()
	}
	sorted := make([]UnusedGroup, 0, len(groups))
	for _, group := range groups {
		sorted = append(sorted, *group)
	}
	slices.SortFunc(sorted, func(a, b UnusedGroup) int {
		return cmp.Or(cmp.Compare(b.MonthlySaving, a.MonthlySaving), cmp.Compare(a.Owner, b.Owner))
	})
	return sorted, nil
}

// SnoozeUnused has an owner told nothing of an unused instance until a date. It is a Conflict when the instance is not unused.
func (s *Service) SnoozeUnused(ctx context.Context, p Principal, id uuid.UUID, until time.Time, reason string) (Activity, error) {
	return s.answerUnused(ctx, p, id, ActivityAnswer{Kind: "snooze", Until: until, Reason: reason})
}

// KeepUnused says that an unused instance is needed until a date, and why. It is
// a Conflict when the instance is not unused.
func (s *Service) KeepUnused(ctx context.Context, p Principal, id uuid.UUID, until time.Time, reason string) (Activity, error) {
	if reason == "" {
		return Activity{}, Errorf(Invalid, "say with reason what it is needed for: whoever looks at it later asks")
	}
	return s.answerUnused(ctx, p, id, ActivityAnswer{Kind: "needed", Until: until, Reason: reason})
}

func (s *Service) answerUnused(ctx context.Context, p Principal, id uuid.UUID, answer ActivityAnswer) (Activity, error) {
	if err := person(p); err != nil {
		return Activity{}, err
	}
	if err := s.mayOnInstance(ctx, p, VerbSubmit, id); err != nil {
		return Activity{}, err
	}
	answer.By, answer.Until = p.Subject, answer.Until.UTC()
	record, err := s.Store.ChangeDrift(ctx, id, func(r *DriftRecord) error { return r.AnswerUnused(answer) })
	if err != nil {
		return Activity{}, err
	}
	return record.Activity, nil
}
