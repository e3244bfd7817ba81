package provision

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// recentPast is how many of the newest of a kind tell how long the next one
	// takes. Fewer follow a change of pace sooner and are less exact.
	recentPast = 50
	// leastPast is how many it takes: of fewer than 9 no bound holds nine times in ten.
	leastPast = 9
	// LongPast is how many tell when a step has stalled.
	LongPast = 200
)

// Timing is when a request came into line and was given its newest run, and
// how long those like it took: same offering, version and action, approved by
// people or not as it is, succeeded.
type Timing struct {
	Now     time.Time  // the database's clock
	InLine  time.Time  // since when it was in line: asked for, approved or released
	Started *time.Time // when its newest run was given to it; nil while it has none that goes on
	Past    []Took     // newest first
}

// Took is how long one request took.
type Took struct {
	InLine time.Duration   // from coming into line to its end
	Run    time.Duration   // of its last run, from being given it to its end
	Steps  []time.Duration // in the offering's order; 0 where it is not known
	Waited time.Duration   // for people's approval; 0 where nobody was asked
}

// History tells how long things took.
type History interface {
	// Timing is that of a request, with at most limit past ones. It may block on
	// the database and answers Unavailable when it is down.
	Timing(ctx context.Context, r Request, limit int) (Timing, error)
	// LastLog is the newest line of a request's log; "" when there is none.
	LastLog(ctx context.Context, r Request) (string, error)
}

// Expectation is when a request that goes on will have succeeded, told from
// those like it. By and the times are nil until enough have.
type Expectation struct {
	By      *time.Time     // nine in ten of its kind are done by then; nil too while it waits for people or is held
	Half    *time.Duration // how long half took at most
	Ninety  *time.Duration // how long nine in ten took at most
	Basis   int            // how many the times are told from
	Late    bool           // By is past
	Stalls  []Stall
	Message string // all of it in words, but for By
}

// Stall is a step that goes on for longer than it should.
type Stall struct {
	Step  int // from 1
	After time.Duration
	Basis int    // how many After is told from
	Last  string // the newest line of the log
	Long  bool   // After is what 99 in 100 took at most; else it is twice the longest
}

// bound is the split conformal quantile of past durations: if the next one is
// exchangeable with these, it is at most that with at least the probability
// level (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World,
// 2005). ok is false when they are too few for any bound.
func bound(past []time.Duration, level float64) (d time.Duration, ok bool) {
	k := int(math.Ceil(float64(len(past)+1)*level - 1e-9))
	if k < 1 || k > len(past) {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(past))
	return sorted[k-1], true
}

// Expected is what a timing lets one expect of a request; nil once it has
// ended. It says nothing of stalls' last lines.
func Expected(r Request, t Timing) *Expectation {
	if r.State.Terminal() {
		return nil
	}
	recent := t.Past[:min(len(t.Past), recentPast)]
	took := make([]time.Duration, len(recent))
	for i, p := range recent {
		if took[i] = p.Run; t.Started == nil && r.inLine() {
			took[i] = p.InLine
		}
	}
	e := &Expectation{Basis: len(took), Stalls: Stalled(r, t)}
	half, _ := bound(took, 0.5)
	ninety, ok := bound(took, 0.9)
	if !ok {
		e.Message = fmt.Sprintf("no estimate yet: it takes %d like it that succeeded, and there are %d", leastPast, len(took))
		return e
	}
	e.Half, e.Ninety = &half, &ninety
	var by time.Time
	switch {
	case t.Started != nil:
		by = t.Started.Add(ninety)
	case r.inLine():
		by = t.InLine.Add(ninety)
	default: // by people's word, or a hold's end
		e.Message = fmt.Sprintf("once it goes on, half of the last %d like it took %s, 90 %% at most %s", len(took), spoken(half), spoken(ninety))
		if waited := medianWait(recent); waited > 0 && r.State == AwaitingApproval {
			e.Message = fmt.Sprintf("half of the last %d like it waited %s for approval; then half took %s, 90 %% at most %s", len(took), spoken(waited), spoken(half), spoken(ninety))
		}
		return e
	}
	e.By, e.Late = &by, t.Now.After(by)
	e.Message = fmt.Sprintf("half of the last %d like it took %s, 90 %% at most %s", len(took), spoken(half), spoken(ninety))
	if e.Late {
		e.Message = fmt.Sprintf("it takes longer than 90 %% of the last %d like it, which took at most %s", len(took), spoken(ninety))
	}
	return e
}

// medianWait is how long half of past requests waited for approval at most; 0
// when none did.
func medianWait(past []Took) time.Duration {
	var waited []time.Duration
	for _, p := range past {
		if p.Waited > 0 {
			waited = append(waited, p.Waited)
		}
	}
	half, _ := bound(waited, 0.5)
	return half
}

// Stalled are the steps under way that take longer than 99 in 100 did or, where
// too few are known for that, than twice the longest.
func Stalled(r Request, t Timing) []Stall {
	var found []Stall
	for i, step := range r.Steps {
		if step.Status != StepInProgress || step.StartedAt == nil {
			continue
		}
		var took []time.Duration
		for _, p := range t.Past {
			if i < len(p.Steps) && p.Steps[i] > 0 {
				took = append(took, p.Steps[i])
			}
		}
		if len(took) < leastPast {
			continue
		}
		after, long := bound(took, 0.99)
		if !long {
			after = 2 * slices.Max(took)
		}
		if t.Now.Sub(*step.StartedAt) > after {
			found = append(found, Stall{Step: step.Step, After: after, Basis: len(took), Long: long})
		}
	}
	return found
}

// String is the stall in words, without the log's line.
func (s Stall) String() string {
	if s.Long {
		return fmt.Sprintf("stalled: 99 %% of the last %d took at most %s", s.Basis, spoken(s.After))
	}
	return fmt.Sprintf("stalled: it takes more than twice as long as the longest of the last %d, over %s", s.Basis, spoken(s.After))
}

// Expect is what may be expected of a request that p sees; nil when it has
// ended, or no history is kept. The log's last line is for who may read it all.
func (s *Service) Expect(ctx context.Context, p Principal, r Request) (*Expectation, error) {
	if s.History == nil || r.State.Terminal() {
		return nil, nil
	}
	timing, err := s.History.Timing(ctx, r, LongPast)
	if err != nil {
		return nil, err
	}
	e := Expected(r, timing)
	if e == nil || len(e.Stalls) == 0 {
		return e, nil
	}
	if s.Authorizer.Allow(ctx, Access{p, VerbRead, r.Owner, r.Environment}) != nil {
		return e, nil
	}
	last, err := s.History.LastLog(ctx, r)
	for i := range e.Stalls {
		e.Stalls[i].Last = last
	}
	return e, err
}

// spoken is a duration for people: 4.2 s, 38 s, 6 min, 2 h.
func spoken(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
}
