package control

import (
	"errors"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestStalledLoopsAreNamed(t *testing.T) {
	t.Parallel()
	down := provision.Unreachable("NATS", errors.New("no route"))
	tests := map[string]struct {
		idles bool
		round func(b *beat) // what the loop did before a minute and a half passed
		want  bool
	}{
		"a loop that never came round":             {false, func(*beat) {}, true},
		"a loop that hangs in its round":           {false, func(b *beat) { b.begin() }, true},
		"a handler without messages":               {true, func(*beat) {}, false},
		"a handler that hangs":                     {true, func(b *beat) { b.begin() }, true},
		"a handler that is done with its message":  {true, func(b *beat) { b.begin()(nil) }, false},
		"a handler whose last message had a fault": {true, func(b *beat) { b.begin()(errors.New("x")) }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			h := health{stall: time.Minute, now: func() time.Time { return now }}
			b := h.loop("it")
			b.idles = tt.idles
			tt.round(b)
			now = now.Add(90 * time.Second)
			if got := h.loops()[0].Stalled; got != tt.want {
				t.Errorf("stalled: %t, want %t", got, tt.want)
			}
		})
	}
	now := time.Now()
	h := health{stall: time.Minute, now: func() time.Time { return now }}
	slow := h.loop("slow")
	slow.paced(time.Minute)
	slow.begin()(nil)
	for after, want := range map[time.Duration]bool{61 * time.Second: false, 121 * time.Second: true} {
		began := now
		now = began.Add(after)
		if got := h.loops()[0].Stalled; got != want {
			t.Errorf("a loop with a round each minute, %s after its last: stalled %t, want %t", after, got, want)
		}
		now = began
	}
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{"rounds that end well": {nil, false}, "rounds that find NATS down": {down, false}, "rounds that fail": {errors.New("x"), true}} {
		now := time.Now()
		h := health{stall: time.Minute, now: func() time.Time { return now }}
		b := h.loop("it")
		for range 10 {
			now = now.Add(10 * time.Second)
			b.begin()(tt.err)
		}
		if got := h.loops()[0].Stalled; got != tt.want {
			t.Errorf("%s: stalled %t, want %t", name, got, tt.want)
		}
	}
}
