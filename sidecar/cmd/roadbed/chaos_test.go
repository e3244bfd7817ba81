package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// crashes are what breaks when something comes to a boundary. The first is the
// death of whatever comes there; at the others it stands still meanwhile.
var crashes = []string{
	"it is killed", "the sidecar is killed", "the worker is killed", "the supervisor is killed", "worker and supervisor are killed",
	"NATS restarts", "NATS loses its data", "Postgres restarts", "the sidecar stops for longer than a lease",
}

// schedule is one life of a request with something broken in it.
type schedule struct {
	action string
	armed  armed
	crash  string
	late   bool // an approval's boundaries count from when it is given
}

// String is the schedule in words.
func (s schedule) String() string {
	action := s.action
	if s.late {
		action += ", once it waits"
	}
	return fmt.Sprintf("%s, %s (time %d): %s", action, s.armed.Boundary, s.armed.Nth, s.crash)
}

// schedules are n of a seed: the same seed gives the same ones. Every boundary,
// every crash and every action comes before one comes again, as far as they go
// together.
func schedules(seed uint64, n int) []schedule {
	random := rand.New(rand.NewPCG(seed, 2))
	var all []schedule
	var action []int
	for len(all) < n {
		crash := random.Perm(len(crashes))
		for i, at := range random.Perm(len(boundaries)) {
			if len(action) == 0 {
				action = random.Perm(len(actions))
			}
			s := schedule{action: actions[action[0]], crash: crashes[crash[i%len(crash)]], armed: armed{Boundary: boundaries[at], Nth: 1}}
			s.late = s.action == "approval" && random.IntN(2) == 0
			if random.IntN(3) == 0 {
				s.crash = crashes[0]
			}
			if strings.HasPrefix(s.armed.Boundary, "state push") || strings.HasPrefix(s.armed.Boundary, "events publish") {
				s.armed.Nth += random.IntN(2)
			}
			if s.armed.Kill = s.crash == crashes[0]; s.never() == "" {
				all, action = append(all, s), action[1:]
			}
		}
	}
	return all[:n]
}

// number of an environment variable, else of its default.
func setting(t *testing.T, name string, byDefault uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q; it is a number", name, text)
	}
	return n
}

// TestChaos is all laws, on every way along the road, with real processes: at a
// boundary something is killed, restarted or emptied, and all the same each
// request comes to its end by exactly one apply, with its real database as the
// request says. ROADBED_CHAOS_SEED and _SCHEDULES choose what happens by chance;
// ROADBED_CHAOS_PAIRS has all that can happen once. A failing schedule is printed.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed, n := setting(t, "ROADBED_CHAOS_SEED", 1), setting(t, "ROADBED_CHAOS_SCHEDULES", 9)
	name, all, first := fmt.Sprintf("seed %d", seed), schedules(seed, int(n)), 0
	if os.Getenv("ROADBED_CHAOS_PAIRS") != "" {
		name, all = "all pairs", pairs(t)
		first = int(setting(t, "ROADBED_CHAOS_FROM", 1)) - 1
	}
	server := testkit.NewServer(t)
	c := &chaos{server: server, road: newRoad(t, options{server: server, delay: "300ms", approvals: true, offerings: func(dir string) { publish(t, dir, 0) }})}
	c.startWorker("w1")
	c.startWorker("w2")
	c.catalog = c.follow()
	t.Logf("%s: %d schedules", name, len(all))
	for i, s := range all[min(first, len(all)):] {
		began := time.Now()
		reached := c.ask(s.action, &s)
		t.Logf("%d. %s -> %s in %s", first+i+1, s, reached, time.Since(began).Round(100*time.Millisecond))
		if t.Failed() {
			t.Fatalf("%s, schedule %d: %s", name, first+i+1, s)
		}
	}
}

// chaos is a road on which things break.
type chaos struct {
	*road
	server     *testkit.Server
	catalog    *catalog
	turn       int          // how often a boundary was armed
	ready      *api.Request // what made the instance that is ready; nil while there is none
	imported   string       // its database, if that was made by hand
	submission api.Submission
	cause      string // of the drift that is reverted
	size       int
	version    int // the last number of the offering's version that is served
}

// ask asks for an action, waits for its end, with a schedule or in peace, and
// holds what comes of it to the laws.
func (c *chaos) ask(action string, s *schedule) (reached string) {
	c.t.Helper()
	c.prepare(action)
	applies := c.commands("apply")
	reached = "in peace"
	if s != nil {
		reached = "never came there"
		if !s.late {
			c.arm(s.armed)
		}
	}
	asked := make(chan api.Request, 1)
	go func() { asked <- c.submitted(action, s) }()
	var request *api.Request
	var ended time.Time
	c.weather("a "+action+" comes to its end", func() bool {
		select {
		case r := <-asked:
			request = &r
		default:
		}
		if s != nil && reached == "never came there" && c.exists(chaosHit) {
			reached = "came there"
			c.strike(*s)
		}
		if request == nil || !c.state(request.Id).Terminal() {
			return false
		}
		if ended.IsZero() {
			ended = time.Now()
		}
		return reached != "never came there" || s.armed.Nth > 1 || time.Since(ended) > 20*time.Second
	})
	if reached == "never came there" && s.armed.Nth == 1 {
		c.t.Errorf("nobody came to %q in a %s, and no rule says why", s.armed.Boundary, action)
	}
	want := 1
	if s != nil {
		c.disarm()
		if s.killsTerraform() && c.state(request.Id) == provision.Failed { // not if it was that of a drift check
			want = c.goOn(action, s, request)
		}
	}
	if got := c.state(request.Id); got != provision.Succeeded {
		failed, err := c.patient(ann).Request(c.t.Context(), request.Id)
		c.t.Fatalf("%s %s is %s, want succeeded: %+v %v", action, request.Id, got, failed.Error, err)
	}
	if n := c.commands("apply") - applies; n != want {
		c.t.Errorf("Terraform was told to apply %d times for one %s, want %d", n, action, want)
	}
	c.settleDown()
	c.wantDone(action, request)
	return reached
}

func (c *chaos) arm(a armed) {
	c.t.Helper()
	c.turn++
	a.Turn = c.turn
	text, err := json.Marshal(a)
	if err != nil {
		c.t.Fatal(err)
	}
	if !a.Kill {
		c.write(chaosHeld, "")
	}
	if strings.HasPrefix(a.Boundary, "terraform init") { // a module is initialised once
		for _, w := range c.workers {
			if err := os.RemoveAll(filepath.Join(strings.TrimSuffix(w.log, ".log"), "prepared")); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	c.write(chaosFile+".new", string(text))
	if err := os.Rename(c.path(chaosFile+".new"), c.path(chaosFile)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chaos) disarm() {
	for _, file := range []string{chaosFile, chaosHeld, chaosHit} {
		_ = os.Remove(c.path(file)) // it may not be there
	}
}

// strike breaks what the schedule says and lets go whatever stands still.
func (c *chaos) strike(s schedule) {
	c.t.Helper()
	restart := func(p *process) { p.kill(); p.start() }
	switch s.crash {
	case "the sidecar is killed":
		restart(c.sidecar)
	case "the worker is killed":
		c.eachWorker(restart)
	case "the supervisor is killed":
		for _, pid := range c.supervisors() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	case "worker and supervisor are killed":
		supervisors := c.supervisors()
		c.eachWorker(func(p *process) { p.kill() })
		for _, pid := range supervisors {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		c.eachWorker(func(p *process) { p.start() })
	case "NATS restarts":
		c.nats.Stop()
		c.nats.Start()
	case "NATS loses its data":
		c.nats.Stop()
		c.nats.WipeData()
		c.nats.Start()
	case "Postgres restarts":
		c.server.Stop()
		c.server.Start()
	case "the sidecar stops for longer than a lease":
		c.sidecar.signal(syscall.SIGSTOP)
		c.weather("every lease has run out", func() bool {
			var n int
			err := c.pool.QueryRow(c.t.Context(), "SELECT count(*) FROM runs WHERE state = 'claimed' AND lease_expires_at > clock_timestamp()").Scan(&n)
			return err == nil && n == 0
		})
		c.sidecar.signal(syscall.SIGCONT)
	}
	_ = os.Remove(c.path(chaosHeld)) // one that kills has none
}

func (c *chaos) eachWorker(do func(*process)) {
	for _, w := range c.workers {
		do(w)
	}
}

// weather waits until it is so, and starts again whatever has died meanwhile, as
// whoever runs Roadbed would.
func (c *chaos) weather(what string, so func() bool) {
	c.t.Helper()
	end := time.Now().Add(deadline)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(end) {
			c.t.Fatalf("it never came about that %s", what)
		}
		for _, p := range append([]*process{c.sidecar}, c.workers...) {
			if p.died() {
				p.start()
			}
		}
		<-tick.C
	}
}

// state is a request's, "" while the database does not answer.
func (c *chaos) state(id uuid.UUID) (state provision.State) {
	if err := c.pool.QueryRow(c.t.Context(), "SELECT state FROM requests WHERE id = $1", id).Scan(&state); err != nil {
		return provision.Submitted
	}
	return state
}

// settleDown waits until nothing is under way, and looks at everything.
func (c *chaos) settleDown() {
	c.t.Helper()
	c.weather("nothing is under way", func() bool {
		var n int
		err := c.pool.QueryRow(c.t.Context(), "SELECT (SELECT count(*) FROM runs WHERE state <> 'ended') + (SELECT count(*) FROM outbox)").Scan(&n)
		return err == nil && n == 0 && len(c.runDirectories("w1"))+len(c.runDirectories("w2"))+len(c.terraforms()) == 0
	})
	js, err := jetstream.New(c.heard.conn)
	if err != nil {
		c.t.Fatal(err)
	}
	c.weather("NATS has its streams again", func() bool {
		_, err := js.Stream(c.t.Context(), "EVENTS")
		return err == nil
	})
	c.weather("the catalog has every entity as it is", c.catalog.current)
	c.audit()
}
