package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Limits are how much a caller may ask of the API: a person, a plugin, or all
// workers of a pool together. What a field leaves at 0 has its default.
type Limits struct {
	Reads   int // a second; 0 is 50
	Tries   int // prices and verdicts of a form that is being filled in, a second; 0 is 20
	Asks    int // whatever changes something, a second; 0 is 20
	Workers int // calls of one pool, a second; 0 is 500

	PerCaller int // requests of one caller that are answered at once; 0 is 32
	Active    int // requests of everybody that are answered at once, streams apart, and as many of workers; 0 is 256
	Bulky     int // of workers with a body of over 1 MiB, which is held in memory; 0 is 8
}

func (l Limits) orDefaults() Limits {
	l.Reads, l.Tries, l.Asks, l.Workers = cmp.Or(l.Reads, 50), cmp.Or(l.Tries, 20), cmp.Or(l.Asks, 20), cmp.Or(l.Workers, 500)
	l.PerCaller, l.Active, l.Bulky = cmp.Or(l.PerCaller, 32), cmp.Or(l.Active, 256), cmp.Or(l.Bulky, 8)
	return l
}

// burst is for how long a caller who was quiet may ask at once: a page that
// opens, or a command that is repeated for a list.
const burst = 5 * time.Second

// class is what a route costs: each has a rate of its own, so that a page that
// reads too much stops nobody from cancelling.
type class string

const (
	reads class = "read"
	tries class = "try"
	asks  class = "ask"
	works class = "work"
)

// classOf is the class of a route that people and plugins use.
func classOf(method, path string) class {
	switch {
	case method == http.MethodGet:
		return reads
	case strings.HasSuffix(path, "/estimate"), strings.HasSuffix(path, "/evaluate"):
		return tries
	}
	return asks
}

// gate holds callers to their limits. It may be used from many goroutines.
type gate struct {
	every     map[class]time.Duration // between two requests at the full rate
	perCaller int
	now       func() time.Time

	mu      sync.Mutex
	paid    map[rated]time.Time // until when a caller has used its rate up
	sweepAt int                 // callers at which those that are quiet are forgotten
	active  map[string]int      // requests in hand, by caller
}

type rated struct {
	class  class
	caller string
}

func newGate(l Limits, now func() time.Time) *gate {
	every := map[class]time.Duration{}
	for c, perSecond := range map[class]int{reads: l.Reads, tries: l.Tries, asks: l.Asks, works: l.Workers} {
		every[c] = time.Second / time.Duration(perSecond)
	}
	return &gate{every: every, perCaller: l.PerCaller, now: now, paid: map[rated]time.Time{}, sweepAt: 1024, active: map[string]int{}}
}

// pass takes one request of a caller from its rate; else it answers how long
// the caller must wait for the next.
func (g *gate) pass(c class, caller string) (wait time.Duration) {
	now, key := g.now(), rated{c, caller}
	g.mu.Lock()
	defer g.mu.Unlock()
	from := g.paid[key]
	if from.Before(now) {
		from = now
	}
	if wait = from.Sub(now) + g.every[c] - burst; wait > 0 {
		return wait
	}
	g.paid[key] = from.Add(g.every[c])
	if len(g.paid) >= g.sweepAt {
		g.forget(now)
	}
	return 0
}

// forget drops callers whose rate is whole again. The next sweep comes when
// there are twice as many, so that sweeping costs a request next to nothing.
func (g *gate) forget(now time.Time) {
	for key, until := range g.paid {
		if !until.After(now) {
			delete(g.paid, key)
		}
	}
	g.sweepAt = max(1024, 2*len(g.paid))
}

// begin counts a request of a caller as in hand until end is called, once; ok
// is false when the caller has as many as one may have.
func (g *gate) begin(caller string) (end func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active[caller] >= g.perCaller {
		return nil, false
	}
	g.active[caller]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.active[caller]--; g.active[caller] == 0 {
			delete(g.active, caller)
		}
	}, true
}

// meter holds a caller to its rate.
func (s *Server) meter(c class, caller string) error {
	wait := s.gate.pass(c, caller)
	if wait == 0 {
		return nil
	}
	s.Metrics.limited.WithLabelValues("rate", string(c)).Inc()
	return refusal{tooMany, fmt.Sprintf("%s asks faster than Roadbed answers one caller, which is %d times a second; ask again in %s",
		caller, time.Second/s.gate.every[c], wholeSeconds(wait)), wait}
}

// hold takes one of a caller's places among the requests in hand.
func (s *Server) hold(c class, caller string) (end func(), err error) {
	end, ok := s.gate.begin(caller)
	if ok {
		return end, nil
	}
	s.Metrics.limited.WithLabelValues("caller", string(c)).Inc()
	return nil, refusal{tooMany, fmt.Sprintf("%s has %d requests in hand already; let one end first", caller, s.gate.perCaller), time.Second}
}

// slots are places for requests that are answered at once. People and workers
// have their own, so that neither keeps the other out.
type slots chan struct{}

// enter takes a place. release gives it back, and may be called twice.
func (s *Server) enter(c class) (release func(), err error) {
	if c == works {
		return s.take(s.workerSlots, c)
	}
	return s.take(s.slots, c)
}

// carry takes one of the few places for bodies that fill the memory, for a worker
// that sends one.
func (s *Server) carry(r *http.Request) (release func(), err error) {
	if r.ContentLength >= 0 && r.ContentLength <= 1<<20 {
		return func() {}, nil
	}
	return s.take(s.bulkySlots, works)
}

func (s *Server) take(places slots, c class) (release func(), err error) {
	select {
	case places <- struct{}{}:
		return sync.OnceFunc(func() { <-places }), nil
	default:
		s.Metrics.limited.WithLabelValues("all", string(c)).Inc()
		return nil, &provision.Error{Kind: provision.Unavailable, Message: "Roadbed is answering as many requests as it can; ask again in a second", RetryAfter: time.Second}
	}
}

// wholeSeconds rounds up: a caller that comes too early is refused again.
func wholeSeconds(d time.Duration) time.Duration {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second)
}
