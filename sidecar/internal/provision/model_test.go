package provision_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// A model of everything between a queued request and the cloud: an outbox whose
// jobs are delivered any number of times, leases that run out at any moment,
// answers and reports that come late or twice, workers and machines that die at
// any point, and operators. What the sidecar decides is not modelled: it is
// Record's own methods. The model explores every order of events within its
// bounds, or chance ones beyond them.

// without says which of what keeps an apply single is missing.
type without struct {
	unfenced     bool // a run's token and its fence are not looked at
	takeOver     bool // a silent apply goes to the next worker by itself
	falseAttest  bool // an operator vouches for what may still run
	blindRestart bool // a worker that was started anew applies without asking again
	reclaim      bool // a worker may claim again what it already applies

	endlessLease bool // a lease never runs out
	deafGoOn     bool // who has not heard that it may apply is not told again once the run is lost
}

// bounds keep the exploration finite.
type bounds struct{ runs, deaths, silences, workers int }

// execution is a run as its worker's disk has it.
type execution struct {
	run     int // index of the run in world.runs
	fence   int64
	token   string
	phase   string // claimed, asked, allowed, applying, ended; "" for none
	well    bool   // how Terraform ended
	resumed bool   // the worker was started anew since it was allowed
	told    bool   // the outcome was reported at least once
}

type machine struct {
	up   bool
	gone bool // with its disk
	at   execution
}

// word is an outcome that a worker has reported; it may arrive whenever, and again.
type word struct {
	run   int
	fence int64
	well  bool
}

type world struct {
	without  without
	bounds   bounds
	request  provision.Request
	instance provision.Instance
	runs     []provision.Run
	now      time.Time
	machines []machine
	words    []word
	applies  int // Terraform processes begun
	ended    int // of them, that ended well
	recovers int
	deaths   int
	silences int
	wiped    bool // a machine was lost with its disk
}

func newWorld(without without, bounds bounds) world {
	created := testkit.Created("orders", nil)
	w := world{without: without, bounds: bounds, request: created.Request, instance: *created.Instance, now: created.Now(), machines: make([]machine, bounds.workers)}
	for i := range w.machines {
		w.machines[i].up = true
	}
	return w
}

func (w world) clone() world {
	w.request.Steps = slices.Clone(w.request.Steps)
	w.runs, w.machines, w.words = slices.Clone(w.runs), slices.Clone(w.machines), slices.Clone(w.words)
	return w
}

// key tells worlds apart that differ in what can happen next.
func (w world) key() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %v %s %d|", w.request.State, w.request.CancelReason != "", w.instance.State, w.instance.Fence)
	for _, r := range w.runs {
		fmt.Fprintf(&text, "%s %s %d %v %v %d;", r.State, r.Worker, r.Fence, r.TokenDigest != "", r.LeaseExpiresAt.After(w.now), r.ReportSequence)
	}
	fmt.Fprintf(&text, "|%v|%v|%d %d %d %d %d", w.machines, w.words, w.applies, w.ended, w.recovers, w.deaths, w.silences)
	return text.String()
}

// change does what Store.ChangeRun does, of the newest run when run is -1. What
// decide refuses changes nothing.
func (w *world) change(run int, decide func(*provision.Record) error) error {
	request, instance := w.request, w.instance
	request.Steps = slices.Clone(request.Steps)
	if run < 0 {
		run = len(w.runs) - 1
	}
	var of *provision.Run
	if run >= 0 {
		of = new(w.runs[run])
	}
	r := provision.NewRecord(request, &instance, of, w.now)
	if err := decide(r); err != nil {
		return err
	}
	w.request, w.instance = r.Request, *r.Instance
	switch {
	case r.Run == nil:
	case run >= 0 && r.Run.ID == w.runs[run].ID:
		w.runs[run] = *r.Run
	default:
		w.runs = append(w.runs, *r.Run)
	}
	return nil
}

// held is change for a worker, which shows its run's token.
func (w *world) held(e execution, decide func(*provision.Record) error) error {
	return w.change(e.run, func(r *provision.Record) error {
		if !w.without.unfenced {
			if err := new(provision.Runs).Authenticate(r, e.token); err != nil {
				return err
			}
		}
		return decide(r)
	})
}

// step is something that can happen; it answers false when it cannot now.
type step struct {
	name string
	do   func(*world) bool
}

func (w *world) applying() int {
	n := 0
	for _, m := range w.machines {
		if m.at.phase == "applying" && !m.gone {
			n++
		}
	}
	return n
}

// steps are all that can happen in some world of these bounds.
func steps(b bounds) []step {
	all := []step{
		{"dispatch", func(w *world) bool {
			return len(w.runs) < w.bounds.runs && w.change(-1, dispatch) == nil
		}},
		{"silence", func(w *world) bool { // every lease runs out
			if w.silences == w.bounds.silences || !slices.ContainsFunc(w.runs, func(r provision.Run) bool { return r.LeaseExpiresAt.After(w.now) }) {
				return false
			}
			w.silences++
			w.now = w.now.Add(2 * time.Minute)
			return true
		}},
		{"sweep", func(w *world) bool {
			return w.change(-1, func(r *provision.Record) error {
				if w.without.takeOver && r.Request.State == provision.Applying && r.Run != nil && !r.Run.LeaseExpiresAt.After(r.Now()) {
					r.Run.State, r.Run.TokenDigest = provision.RunEnded, ""
					r.Request.State, r.Instance.State = provision.Queued, provision.Incomplete
					return nil
				}
				if w.without.endlessLease {
					return nil
				}
				return r.Expire()
			}) == nil
		}},
		{"cancel", func(w *world) bool { return w.change(-1, cancel) == nil }},
		{"attest", func(w *world) bool {
			if w.request.State != provision.Lost {
				return false
			}
			for _, m := range w.machines {
				ran := m.at.phase != "" && m.at.run == len(w.runs)-1
				if ran && !w.without.falseAttest && !m.gone && (m.up || m.at.phase == "applying") {
					return false
				}
			}
			return w.change(-1, attest) == nil
		}},
		{"recover", func(w *world) bool {
			if len(w.runs) == w.bounds.runs || w.change(-1, recoverIt) != nil {
				return false
			}
			w.recovers++
			return true
		}},
		{"conclude", func(w *world) bool { return w.change(-1, conclude(provision.ResultFailed)) == nil }},
	}
	for i := range b.workers {
		all = append(all, workerSteps(i, b)...)
	}
	return all
}

// workerSteps are what worker i and its machine can do.
func workerSteps(i int, b bounds) []step {
	name := fmt.Sprintf("w%d", i+1)
	could := func(what string, do func(w *world, m *machine) bool) step {
		return step{name + " " + what, func(w *world) bool { return do(w, &w.machines[i]) }}
	}
	all := []step{
		could("asks", func(w *world, m *machine) bool {
			if !m.up || m.at.phase != "claimed" && m.at.phase != "asked" {
				return false
			}
			m.at.phase = "asked" // on disk before it is sent
			may := goOn
			if w.without.deafGoOn && w.request.State == provision.Lost {
				may = release // a conflict
			}
			switch err := w.held(m.at, may); {
			case err == nil:
				m.at.phase, m.at.resumed = "allowed", false
			case provision.KindOf(err) == provision.Conflict:
				m.at = execution{} // it is not ours any more
			}
			return true
		}),
		could("asks and the answer is lost", func(w *world, m *machine) bool {
			if !m.up || m.at.phase != "claimed" && m.at.phase != "asked" {
				return false
			}
			m.at.phase = "asked"
			_ = w.held(m.at, goOn) // whatever it said
			return true
		}),
		could("applies", func(w *world, m *machine) bool {
			if !m.up || m.at.phase != "allowed" {
				return false
			}
			if m.at.resumed && !w.without.blindRestart && w.held(m.at, renew) != nil {
				m.at = execution{}
				return true
			}
			m.at.phase = "applying"
			w.applies++
			return true
		}),
		could("renews", func(w *world, m *machine) bool {
			if m.gone || m.at.phase == "" || m.at.phase == "ended" && m.at.told || !m.up && m.at.phase != "applying" { // a supervisor outlives its worker
				return false
			}
			if r := w.runs[m.at.run]; r.LeaseExpiresAt.After(w.now) {
				return false // it would change nothing that the model sees
			}
			if w.held(m.at, renew) != nil && m.at.phase != "applying" && m.at.phase != "ended" {
				m.at = execution{}
			}
			return true
		}),
		could("reports", func(w *world, m *machine) bool {
			if !m.up || m.at.phase != "ended" || m.at.told {
				return false
			}
			m.at.told = true
			w.words = append(w.words, word{m.at.run, m.at.fence, m.at.well})
			return true
		}),
		could("is done", func(w *world, m *machine) bool {
			if !m.up || !m.at.told || w.runs[m.at.run].State != provision.RunEnded {
				return false
			}
			m.at = execution{}
			return true
		}),
		could("drains", func(w *world, m *machine) bool {
			if !m.up || m.at.phase != "claimed" {
				return false
			}
			_ = w.held(m.at, release)
			m.at = execution{}
			return true
		}),
		could("is killed", func(w *world, m *machine) bool {
			if !m.up || w.deaths == w.bounds.deaths {
				return false
			}
			w.deaths++
			m.up = false
			return true
		}),
		could("is started", func(w *world, m *machine) bool {
			if m.up || m.gone {
				return false
			}
			m.up, m.at.resumed = true, true
			if m.at.phase == "claimed" {
				_ = w.held(m.at, release)
				m.at = execution{}
			}
			return true
		}),
		could("loses its machine", func(w *world, m *machine) bool {
			if m.gone || w.deaths == w.bounds.deaths {
				return false
			}
			w.deaths++
			m.up, m.gone, w.wiped = false, true, true
			return true
		}),
		could("comes back with an empty disk", func(w *world, m *machine) bool { // another machine under the same name
			if !m.gone {
				return false
			}
			*m = machine{up: true}
			return true
		}),
	}
	for _, well := range []bool{true, false} {
		all = append(all, could(fmt.Sprintf("has Terraform end, well: %t", well), func(w *world, m *machine) bool {
			if m.gone || m.at.phase != "applying" {
				return false
			}
			m.at.phase, m.at.well = "ended", well
			if well {
				w.ended++
			}
			return true
		}))
	}
	for run := range b.runs {
		all = append(all, could(fmt.Sprintf("is handed job %d", run+1), func(w *world, m *machine) bool { // a job comes any number of times
			if !m.up || m.at.phase != "" || run >= len(w.runs) {
				return false
			}
			token := fmt.Sprintf("%s of run %d", name, run)
			if w.change(run, func(r *provision.Record) error {
				if w.without.reclaim && r.Run.State == provision.RunClaimed && r.Run.Worker == name {
					r.Run.TokenDigest = digestOf(token)
					return r.Renew(time.Minute)
				}
				return r.Claim(name, digestOf(token), time.Minute)
			}) != nil {
				return false
			}
			m.at = execution{run: run, fence: w.runs[run].Fence, token: token, phase: "claimed"}
			return true
		}))
	}
	for n := range 3 { // a word arrives, be it for the second time
		if i > 0 {
			break
		}
		all = append(all, step{fmt.Sprintf("word %d arrives", n+1), func(w *world) bool {
			if n >= len(w.words) {
				return false
			}
			said := w.words[n]
			result := provision.ResultFailed
			if said.well {
				result = provision.ResultSucceeded
			}
			return w.change(said.run, func(r *provision.Record) error {
				report := provision.Report{RunID: r.Run.ID, Fence: said.fence, Sequence: 1, Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: result, Applied: true}}
				if w.without.unfenced {
					report.Fence, r.Run.Fence = r.Instance.Fence, r.Instance.Fence
				}
				_, err := r.Take(report)
				return err
			}) == nil
		}})
	}
	return all
}

// broken is the law that does not hold in the world, "" when all do.
func (w *world) broken() string {
	switch {
	case w.applying() > 1:
		return "two Terraform processes apply at once"
	case w.applies > 1+w.recovers:
		return "it was applied more often than somebody has asked for"
	case w.request.State == provision.Succeeded && w.ended == 0:
		return "it succeeded and no apply has ended well"
	case w.request.State.Terminal() && w.applying() > 0 && !slices.ContainsFunc(w.runs, func(r provision.Run) bool { return r.State == provision.RunEnded && r.TokenDigest == "" }):
		return "it has ended while Terraform runs"
	}
	live := 0
	for _, r := range w.runs {
		if r.State != provision.RunEnded {
			live++
		}
		if r.State == provision.RunClaimed && r.Fence != w.instance.Fence {
			return "a claimed run has an old token"
		}
	}
	if live > 1 {
		return "it has two runs at once"
	}
	return ""
}

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
