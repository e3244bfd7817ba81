package testkit

import (
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
	conns []net.Conn
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
	for _, conn := range w.conns {
		conn.Close()
	}
	w.conns = nil
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
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		w.mu.Unlock()
		go w.carry(far, near, func() bool { return w.there })
		go w.carry(near, far, func() bool { return w.back })
	}
}

func (w *Wire) carry(to, from net.Conn, whole func() bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		through := whole()
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
