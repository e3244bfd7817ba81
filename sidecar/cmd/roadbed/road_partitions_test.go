package main

import (
	"fmt"
	"net/url"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// wires are the ways over which a road's parts meet; nil ones are direct.
type wires struct{ toSidecar, toNATS, sidecarToNATS *testkit.Wire }

func (r *road) wire() wires {
	nats, err := url.Parse(r.nats.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	return wires{
		toSidecar: testkit.NewWire(r.t, fmt.Sprintf("127.0.0.1:%d", r.port)),
		toNATS:    testkit.NewWire(r.t, nats.Host), sidecarToNATS: testkit.NewWire(r.t, nats.Host),
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
