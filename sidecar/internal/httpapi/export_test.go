package httpapi

import (
	"time"

	"github.com/gorilla/mux"
)

// Routes is how many routes are served, for tests.
func (s *Server) Routes() int {
	n := 0
	_ = s.routes().Walk(func(*mux.Route, *mux.Router, []*mux.Route) error { n++; return nil }) // never fails
	return n
}

// DecodeStrict is decodeStrict, for tests.
var DecodeStrict = decodeStrict

// Gate is what holds callers to their limits.
type Gate struct{ *gate }

// NewGate is a gate for tests.
func NewGate(l Limits, now func() time.Time) Gate { return Gate{newGate(l.orDefaults(), now)} }

// Pass takes one read of a caller.
func (g Gate) Pass(caller string) time.Duration { return g.pass(reads, caller) }

// Kept is how many callers are remembered.
func (g Gate) Kept() int { return len(g.paid) }

// Minutes is minutes, for tests.
var Minutes = minutes

// After and Page are after and page, for tests.
var (
	After = after
	Page  = page
)
