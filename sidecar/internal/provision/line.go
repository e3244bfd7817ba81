package provision

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Limits are how many runs may be in flight at once: given a slot, and not
// ended.
type Limits struct {
	Slots int            // of a pool that Pools does not name; 0 is 4
	Pools map[string]int // by pool
	Team  int            // of one owner over all pools, where Teams does not name it; 0 is no limit
	Teams map[string]int // by owner
}

// OfPool is how many slots a pool has, at least 1.
func (l Limits) OfPool(pool string) int { return max(1, cmp.Or(l.Pools[pool], l.Slots, 4)) }

// OfTeam is how many runs an owner may have in flight; 0 is no limit.
func (l Limits) OfTeam(owner string) int { return cmp.Or(l.Teams[owner], l.Team) }

// InLine is a queued request that may be given a run.
type InLine struct {
	RequestID uuid.UUID
	Owner     string
	InFlight  int // runs that its owner has
}

// Line says where queued requests stand.
type Line interface {
	// Places are those of these requests that stand in line: queued, held by
	// nothing, without a run. pools is the pool of each environment. It may block
	// on the database and answers Unavailable when it is down.
	Places(ctx context.Context, requests []uuid.UUID, pools map[string]string, l Limits) (map[uuid.UUID]Place, error)
}

// Place is where a queued request stands, at one moment.
type Place struct {
	Pool      string
	Owner     string
	Position  int  // from 1, among those of the pool that no team's limit keeps back; of one that is kept back, among its team's in the pool
	KeptBack  bool // by its team's limit
	PoolInUse int  // slots of the pool that are taken
	PoolLimit int
	TeamInUse int // runs in flight of its owner, in any pool
	TeamLimit int // 0 is none
}

// String is what the request waits for, in words.
func (p Place) String() string {
	team := p.Owner[strings.LastIndex(p.Owner, "/")+1:]
	switch {
	case p.KeptBack && p.Position == 1:
		return fmt.Sprintf("%s has %d of its %d runs in flight", team, p.TeamInUse, p.TeamLimit)
	case p.KeptBack:
		return fmt.Sprintf("%s has %d of its %d runs in flight; this is %s of its own in line for pool %s", team, p.TeamInUse, p.TeamLimit, ordinal(p.Position), p.Pool)
	}
	return fmt.Sprintf("%s in line for pool %s; %d of %d slots busy", ordinal(p.Position), p.Pool, p.PoolInUse, p.PoolLimit)
}

// ordinal is 1st, 2nd, 3rd, 4th, 11th, 21st.
func ordinal(n int) string {
	ending := "th"
	if tens := n % 100; tens < 11 || tens > 13 {
		switch n % 10 {
		case 1:
			ending = "st"
		case 2:
			ending = "nd"
		case 3:
			ending = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, ending)
}

// limits are those in force.
func (s *Service) limits() Limits {
	if s.Limits == nil {
		return Limits{}
	}
	return s.Limits()
}

// standInLine has queued requests say where they stand now. It is worked out when
// someone looks and never stored: each move of the line would be an event for
// everyone in it.
func (s *Service) standInLine(ctx context.Context, requests []Request) error {
	var ids []uuid.UUID
	for _, r := range requests {
		if r.inLine() {
			ids = append(ids, r.ID)
		}
	}
	if s.Line == nil || len(ids) == 0 {
		return nil
	}
	pools := make(map[string]string, len(s.Environments))
	for name, environment := range s.Environments {
		pools[name] = environment.Pool
	}
	places, err := s.Line.Places(ctx, ids, pools, s.limits())
	if err != nil {
		return err
	}
	for i, r := range requests {
		if place, ok := places[r.ID]; ok {
			requests[i].Waiting = r.standing(place)
		}
	}
	return nil
}

func (r Request) inLine() bool { return r.State == Queued && len(r.Holds) == 0 }

// standing is where the request stands, after why it came back to the line.
func (r Request) standing(p Place) string {
	if why, again := strings.CutPrefix(r.Waiting, waitingForWorker+": "); again {
		return p.String() + "; " + why
	}
	return p.String()
}

// placed is the request as it stands in line.
func (s *Service) placed(ctx context.Context, r Request) (Request, error) {
	one := []Request{r}
	err := s.standInLine(ctx, one)
	return one[0], err
}
