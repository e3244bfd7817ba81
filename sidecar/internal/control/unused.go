package control

import (
	"context"
	"time"
)

// mostUnused is how many of an owner's unused instances are told of at once.
const mostUnused = 200

// unusedEvery is how often an owner is told of what is unused, at most: checks
// are spread over the day, and what they find of one day is one message.
const unusedEvery = 24 * time.Hour

// tellUnused tells each owner once of what has been found unused since.
func (s *sweep) tellUnused(ctx context.Context) error {
	owners, err := s.Store.UntoldUnused(ctx, unusedEvery, sweepPage)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		told, err := s.Store.TellUnused(ctx, owner, mostUnused)
		if err != nil {
			return err
		}
		if told {
			s.Log.Info("owner told of what is unused", "owner", owner)
		}
	}
	return nil
}
