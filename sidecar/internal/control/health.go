package control

import (
	"slices"
	"strings"
	"sync"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// LoopHealth is how a loop fares.
type LoopHealth struct {
	Name     string
	Progress time.Time // when it last finished a round, or found its dependency down
	Stalled  bool      // too long ago
}

// health knows every loop's progress. A loop whose rounds end is well, also
// when they end because something is down: what is down is told elsewhere, and
// a sidecar without NATS still accepts requests.
type health struct {
	stall time.Duration
	now   func() time.Time
	mu    sync.Mutex
	beats []*beat
}

// beat is one loop's progress.
type beat struct {
	health   *health
	name     string
	idles    bool          // it may be without work for as long as it likes
	pace     time.Duration // between its rounds
	began    time.Time     // of the round in hand; zero when there is none
	progress time.Time
}

// loop is the beat of a loop that has a round whenever its pace has passed; every sets that.
func (h *health) loop(name string) *beat { return h.add(&beat{health: h, name: name}) }

// handler is the beat of a loop that waits for messages, or for as long as it
// likes.
func (h *health) handler(name string) *beat { return h.add(&beat{health: h, name: name, idles: true}) }

func (h *health) add(b *beat) *beat {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.progress = h.now()
	h.beats = append(h.beats, b)
	return b
}

// paced says how often there is a round.
func (b *beat) paced(pace time.Duration) {
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	b.pace = pace
}

// begin says that a round begins; call done with how it ended.
func (b *beat) begin() (done func(error)) {
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	b.began = b.health.now()
	if b.idles {
		b.progress = b.began // the time without work does not count
	}
	return func(err error) {
		b.health.mu.Lock()
		defer b.health.mu.Unlock()
		b.began = time.Time{}
		if err == nil || provision.KindOf(err) == provision.Unavailable {
			b.progress = b.health.now()
		}
	}
}

// loops is how each loop fares, by name.
func (h *health) loops() []LoopHealth {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	all := make([]LoopHealth, 0, len(h.beats))
	for _, b := range h.beats {
		waits := b.idles && b.began.IsZero()
		all = append(all, LoopHealth{Name: b.name, Progress: b.progress, Stalled: !waits && now.Sub(b.progress) > h.stall+b.pace})
	}
	slices.SortFunc(all, func(a, b LoopHealth) int { return strings.Compare(a.Name, b.Name) })
	return all
}
