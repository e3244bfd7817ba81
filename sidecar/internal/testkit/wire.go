package testkit

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Wire is a way to a TCP server that a test may cut: connections stay up and
// bytes are swallowed, as on a network that has broken, or they are reset.
type Wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	there bool // bytes go to the server
	back  bool // bytes come from it
	last  []byte
	said  chan struct{} // closed once last has gone to the server
	links []*link
}

// link is one connection over a wire, and its two ends.
type link struct {
	near, far net.Conn
	dead      bool // nothing passes any more, and neither end is told
}

// NewWire is a whole wire to target, host:port. It ends with the test.
func NewWire(t testing.TB, target string) *Wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{listener: listener, target: target, there: true, back: true}
	go w.accept()
	t.Cleanup(func() {
		listener.Close()
		w.Reset()
	})
	return w
}

// Address is the wire's near end, host:port.
func (w *Wire) Address() string { return w.listener.Addr().String() }

// Cut lets bytes through there, to the server, and back, from it, or swallows
// them. Nobody is told. What was swallowed is lost, so that connections which
// have missed something must be reset by whoever has run out of patience.
func (w *Wire) Cut(there, back bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.there, w.back = there, back
}

// CutAfter lets nothing come back any more as soon as these bytes are about to go
// to the server, which they still do: what they ask for is done, and nobody hears
// that. cut is closed then.
func (w *Wire) CutAfter(last []byte) (cut <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.said = last, make(chan struct{})
	return w.said
}

// Strand swallows from now on whatever goes over the connections that are up, in
// both ways, and tells nobody; new ones are good. So does a firewall that has
// forgotten what it let through.
func (w *Wire) Strand() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		l.dead = true
	}
}

// Mend makes the wire whole: connections that may have missed something are
// reset, new ones are good.
func (w *Wire) Mend() {
	w.Cut(true, true)
	w.Reset()
}

// Reset ends every connection.
func (w *Wire) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.links {
		l.near.Close()
		l.far.Close()
	}
	w.links = nil
}

func (w *Wire) accept() {
	for {
		near, err := w.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		far, err := net.DialTimeout("tcp", w.target, 5*time.Second)
		if err != nil {
			near.Close()
			continue
		}
		l := &link{near: near, far: far}
		w.mu.Lock()
		w.links = append(w.links, l)
		w.mu.Unlock()
		go w.carry(far, near, func(sent []byte) bool { return w.goes(sent) && !l.dead })
		go w.carry(near, far, func([]byte) bool { return w.back && !l.dead })
	}
}

// goes reports whether bytes go to the server; the caller holds the lock.
func (w *Wire) goes(sent []byte) bool {
	if w.last != nil && bytes.Contains(sent, w.last) {
		w.back, w.last = false, nil
		close(w.said)
	}
	return w.there
}

// carry passes bytes on, each time it has some if they may pass.
func (w *Wire) carry(to, from net.Conn, pass func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		through := pass(buffer[:n])
		w.mu.Unlock()
		if n > 0 && through {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
