package postgres_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// The reference of a story: what the rows must say, by rules that are written
// down here once more and share nothing with Record but the words. Each move
// answers whether it is taken; one that is not changes nothing.

// thing is an instance.
type thing struct {
	id                  uuid.UUID
	name                string
	state               provision.InstanceState
	fence               int64
	reserved, committed provision.Money
	asks                []*ask             // one a generation, oldest first
	seen                provision.Instance // as its asker has last looked at it
}

// ask is a request.
type ask struct {
	id        uuid.UUID
	of        *thing
	action    provision.Action
	cost      provision.Money
	state     provision.State
	cancelled bool
	applied   int // how often it began, or went on, to apply
	runs      []*execution
}

// execution is a run.
type execution struct {
	id              uuid.UUID
	of              *ask
	state           provision.RunState
	worker          string
	shown           string // the token that its worker shows
	token           bool   // it opens the run
	fence, sequence int64
	silent          bool // its lease has run out
}

func (i *thing) newest() *ask { return i.asks[len(i.asks)-1] }

func (i *thing) begin(r provision.Request) {
	i.asks = append(i.asks, &ask{id: r.ID, of: i, action: r.Action, cost: *r.MonthlyCost, state: provision.Queued})
	i.reserved = max(0, *r.MonthlyCost-i.committed)
}

func (i *thing) lines() []string {
	lines := []string{fmt.Sprintf("instance %s is %s, told %[2]s in all events, generation %d, fence %d told %[4]d in %[4]d claims, reserved %d, committed %d",
		i.id, i.state, len(i.asks), i.fence, i.reserved, i.committed)}
	for n, a := range i.asks {
		succeeded := 0
		if a.state == provision.Succeeded {
			succeeded = 1
		}
		lines = append(lines, fmt.Sprintf("request %s is %s, told %[2]s in all events, generation %d, cancelled %s, applied %d, succeeded %d",
			a.id, a.state, n+1, truth(a.cancelled), a.applied, succeeded))
		for _, e := range a.runs {
			lines = append(lines, fmt.Sprintf("run %s is %s, worker %s, fence %d, report %d, silent %s", e.id, e.state, e.worker, e.fence, e.sequence, truth(e.silent)))
		}
	}
	return lines
}

// truth is a boolean as Postgres formats it.
func truth(is bool) string { return fmt.Sprint(is)[:1] }

// run is the newest; nil before the first.
func (a *ask) run() *execution {
	if len(a.runs) == 0 {
		return nil
	}
	return a.runs[len(a.runs)-1]
}

func (a *ask) dispatch(run uuid.UUID) {
	a.runs = append(a.runs, &execution{id: run, of: a, state: provision.RunDispatched})
}

// apply begins to apply, or goes on with it.
func (a *ask) apply() {
	a.state, a.of.state = provision.Applying, provision.Changing
	if a.action == provision.Destroy {
		a.of.state = provision.Destroying
	}
	a.applied++
}

// end is without success; began says whether an apply had begun.
func (a *ask) end(state provision.State, began bool) {
	a.state = state
	switch {
	case began:
		a.of.state = provision.Incomplete
		return
	case a.of.state == provision.Reserved:
		a.of.state = provision.Released
	}
	a.of.reserved = 0
}

func (a *ask) succeed() {
	a.state, a.of.state, a.of.reserved, a.of.committed = provision.Succeeded, provision.Ready, 0, a.cost
	if a.action == provision.Destroy {
		a.of.state, a.of.committed = provision.Destroyed, 0
	}
}

func (a *ask) cancel() bool {
	switch a.state {
	case provision.Queued:
		a.cancelled = true
		if e := a.run(); e != nil {
			e.state = provision.RunEnded
		}
		a.end(provision.Cancelled, false)
	case provision.Planning, provision.Applying, provision.Lost:
		a.cancelled = true
	case provision.Cancelled:
	default:
		return false
	}
	return true
}

func (a *ask) giveUp() bool {
	if a.state != provision.Queued {
		return false
	}
	if e := a.run(); e != nil {
		e.state = provision.RunEnded
	}
	a.end(provision.Failed, false)
	return true
}

func (a *ask) attest() bool {
	if a.state != provision.Lost {
		return false
	}
	if e := a.run(); e.state == provision.RunClaimed {
		e.state, e.token = provision.RunEnded, false
	}
	return true
}

func (a *ask) conclude(result string) bool {
	if a.state != provision.Lost || a.run().state != provision.RunEnded {
		return false
	}
	if result == provision.ResultSucceeded {
		a.succeed()
	} else {
		a.end(provision.Failed, true)
	}
	return true
}

func (e *execution) claim(worker string) bool {
	switch {
	case e.state == provision.RunDispatched:
		e.of.of.fence++
		e.state, e.worker, e.fence, e.of.state = provision.RunClaimed, worker, e.of.of.fence, provision.Planning
	case e.state != provision.RunClaimed || e.worker != worker || e.of.state != provision.Planning:
		return false
	}
	e.silent = false
	return true
}

func (e *execution) plan(deny bool) bool {
	a := e.of
	switch {
	case !e.token:
		return false
	case a.state == provision.Applying || a.state == provision.Lost && e.state == provision.RunClaimed:
		e.resume()
	case a.cancelled || a.state != provision.Planning:
		return false
	case deny:
		a.end(provision.DeniedState, false)
	default:
		a.of.reserved, a.of.committed = 0, max(a.cost, a.of.committed)
		a.apply()
	}
	return true
}

func (e *execution) renew() bool {
	if !e.token || e.state != provision.RunClaimed {
		return false
	}
	e.silent = false
	e.resume()
	return true
}

func (e *execution) resume() {
	if e.of.state == provision.Lost {
		e.of.apply()
	}
}

func (e *execution) release() bool {
	if !e.token || e.state != provision.RunClaimed || e.of.state != provision.Planning {
		return false
	}
	e.requeue()
	return true
}

func (e *execution) requeue() {
	e.state, e.token, e.of.state = provision.RunEnded, false, provision.Queued
	if e.of.cancelled {
		e.of.end(provision.Cancelled, false)
	}
}

func (e *execution) expire() {
	if e.state != provision.RunClaimed || !e.silent {
		return
	}
	switch {
	case e.of.state == provision.Planning:
		e.requeue()
	case e.of.state == provision.Applying:
		e.of.state, e.of.of.state = provision.Lost, provision.Incomplete
	case e.of.state.Terminal():
		e.state = provision.RunEnded
	}
}

// take answers whether a report counts; result is "" for one that ends nothing.
func (e *execution) take(fence, sequence int64, result string) bool {
	if e.state != provision.RunClaimed || fence != e.fence || fence != e.of.of.fence || sequence <= e.sequence {
		return false
	}
	e.sequence = sequence
	e.resume()
	if result == "" {
		return true
	}
	e.state, e.token = provision.RunEnded, false
	began := e.of.state == provision.Applying
	switch {
	case e.of.state.Terminal(): // it was denied on its plan
	case result == provision.ResultSucceeded && began:
		e.of.succeed()
	case result == provision.ResultCancelled || !began && e.of.cancelled:
		e.of.end(provision.Cancelled, began)
	default:
		e.of.end(provision.Failed, began)
	}
	return true
}

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
