package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// wires are the ways over which a road's parts meet; nil ones are direct.
type wires struct{ toSidecar, toNATS, sidecarToNATS, sidecarToPostgres *testkit.Wire }

func (r *road) wire() wires {
	nats, err := url.Parse(r.nats.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	postgres, err := url.Parse(r.database)
	if err != nil {
		r.t.Fatal(err)
	}
	return wires{
		toSidecar: testkit.NewWire(r.t, fmt.Sprintf("127.0.0.1:%d", r.port)),
		toNATS:    testkit.NewWire(r.t, nats.Host), sidecarToNATS: testkit.NewWire(r.t, nats.Host),
		sidecarToPostgres: testkit.NewWire(r.t, postgres.Host),
	}
}

// over is address by way of a wire.
func (wires) over(w *testkit.Wire, address string) string {
	if w == nil {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Host = w.Address()
	return u.String()
}

// TestPartitions is laws 2, 3 and 10: the network breaks, in both ways or in one,
// for longer than a lease, and everyone goes on believing what they last heard.
func TestPartitions(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{wired: true, delay: "2s"})
	r.startWorkerOf("w1", 1)
	silent := func(state provision.State) func() bool {
		return func() bool {
			return r.number("SELECT count(*) FROM requests WHERE state = $1", state) == 1
		}
	}
	tests := []struct {
		name        string
		wire        *testkit.Wire
		there, back bool
		planning    bool // it breaks while the worker plans, else while it applies
		until       func() bool
	}{
		{"workers reach no sidecar while they apply", r.wires.toSidecar, false, false, false, silent(provision.Lost)},
		{"workers hear no sidecar while they apply", r.wires.toSidecar, true, false, false, nil},
		{"workers hear no sidecar while they plan", r.wires.toSidecar, true, false, true, silent(provision.Applying)},
		{"workers reach no sidecar while they plan", r.wires.toSidecar, false, false, true, silent(provision.Queued)},
		{"workers reach no NATS", r.wires.toNATS, false, false, false, nil},
		{"workers hear no NATS", r.wires.toNATS, true, false, false, nil},
		{"the sidecar reaches no NATS", r.wires.sidecarToNATS, false, false, false, nil},
		{"the sidecar hears no NATS", r.wires.sidecarToNATS, true, false, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			applies := r.commands("apply")
			if tt.planning {
				r.write("hold-w1", "")
			}
			request := r.submit(r.submission("dev"))
			if tt.planning {
				r.until("it is being planned", func() bool { return r.exists("held-w1") })
			} else {
				r.untilMaking(request.Id)
			}
			tt.wire.Cut(tt.there, tt.back)
			tt.wire.Reset() // what is dialled from now on is swallowed, too
			if tt.planning {
				r.remove("hold-w1")
				r.remove("held-w1")
			}
			if tt.until != nil {
				r.until("its silence is noticed", tt.until)
			} else {
				r.until("Terraform has ended unheard", func() bool { return len(r.terraforms()) == 0 })
			}
			tt.wire.Mend()
			r.untilState(request.Id, provision.Succeeded)
			r.wantMade(request.Parameters["database_name"], 1, 2)
			if n := r.commands("apply") - applies; n != 1 {
				t.Errorf("Terraform was told to apply %d times", n)
			}
		})
	}
	r.audit()
}

// TestAnswersOfPostgresAreLost is laws 1 to 3 and 10: what the sidecar commits is
// committed, and no answer of it comes back, nor any other, for longer than a
// lease. Whoever asks meanwhile is told to come again, and nothing is doubled.
func TestAnswersOfPostgresAreLost(t *testing.T) {
	t.Parallel()
	for verb, what := range map[string]string{
		"submitted": "that a request is accepted", "started": "that a run is claimed", "applying": "that a run may apply", "succeeded": "how a request ended",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRoad(t, options{wired: true, delay: "300ms"})
			r.startWorker("w1")
			r.warm()
			wire, key := r.wires.sidecarToPostgres, uuid.NewString()
			cut := wire.CutAfter(parameter(verb))
			answered := make(chan api.Request, 1)
			owner, submission := r.patient(ann), r.submission("dev")
			go func() {
				request, err := owner.Submit(t.Context(), key, submission)
				if err != nil {
					t.Errorf("ask until it is answered: %v", err)
				}
				answered <- request
			}()
			<-cut
			since := time.Now()
			body, err := json.Marshal(submission)
			if err != nil {
				t.Fatal(err)
			}
			status, header := r.submitRaw(t, r.portal.user(t, ann), key, string(body))
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
				t.Errorf("the same ask while no answer comes: %d, Retry-After %q", status, header.Get("Retry-After"))
			}
			t.Logf("answered so after %s", time.Since(since).Round(100*time.Millisecond))
			r.until("every lease has run out", func() bool {
				return r.number("SELECT count(*) FROM runs WHERE state = 'claimed' AND lease_expires_at > clock_timestamp()") == 0
			})
			wire.Mend()
			request := <-answered
			r.untilState(request.Id, provision.Succeeded)
			r.wantMade(submission.Parameters["database_name"], 1, 2)
			r.wantApplies(1)
			if n := r.number("SELECT count(*) FROM requests WHERE idempotency_key = $1", key); n != 1 {
				t.Errorf("the ask has %d requests", n)
			}
			r.audit()
		})
	}
}

// parameter is a text as the sidecar sends it to Postgres beside a statement.
func parameter(text string) []byte {
	return append([]byte{0, 0, 0, byte(len(text))}, text...)
}

// TestStrandedConnections is law 10: every connection that is up swallows what it
// is given, and nobody is told; only new ones are good. The request under way
// ends all the same, by one apply, and so does one that is asked for then.
func TestStrandedConnections(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(wires) []*testkit.Wire{
		"to Postgres": func(w wires) []*testkit.Wire { return []*testkit.Wire{w.sidecarToPostgres} },
		"to NATS":     func(w wires) []*testkit.Wire { return []*testkit.Wire{w.sidecarToNATS, w.toNATS} },
		"everywhere": func(w wires) []*testkit.Wire {
			return []*testkit.Wire{w.sidecarToPostgres, w.sidecarToNATS, w.toNATS, w.toSidecar}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoad(t, options{wired: true, delay: "1s"})
			r.startWorker("w1")
			r.warm()
			before := r.submit(r.submission("dev"))
			r.untilMaking(before.Id)
			for _, wire := range of(r.wires) {
				wire.Strand()
			}
			began := time.Now()
			submission := r.submission("dev")
			after, err := r.patient(ann).Submit(t.Context(), uuid.NewString(), submission)
			if err != nil {
				t.Fatalf("ask until it is answered: %v", err)
			}
			accepted := time.Since(began)
			r.untilState(before.Id, provision.Succeeded)
			r.untilState(after.Id, provision.Succeeded)
			t.Logf("an ask was accepted after %s, all had ended after %s", accepted.Round(100*time.Millisecond), time.Since(began).Round(100*time.Millisecond))
			r.wantMade(before.Parameters["database_name"], 1, 2)
			r.wantMade(submission.Parameters["database_name"], 1, 2)
			r.wantApplies(2)
			r.audit()
		})
	}
}
