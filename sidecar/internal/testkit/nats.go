package testkit

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/queue"
)

// NATSServer is a NATS server with JetStream of this test alone, inside the test
// process, that the test may stop, start and rob of its data.
type NATSServer struct {
	t    testing.TB
	dir  string
	port int
	ns   *server.Server // nil while stopped

	workers []string // as pool.worker
}

// everyone is who does not say who it is: a test's own hands.
const everyone = "everyone"

// NATS starts a NATSServer on a free port. It ends with the test. Who says
// nothing may do all; the sidecar, followers and the workers, each pool.worker,
// have users of their own, which may do what queue's permissions say.
func NATS(t testing.TB, workers ...string) *NATSServer {
	t.Helper()
	s := &NATSServer{t: t, dir: filepath.Join(t.TempDir(), "nats"), port: server.RANDOM_PORT, workers: workers}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// URL is how to reach it; it stays the same over a restart.
func (s *NATSServer) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.port) }

// WorkerURL is how the user of a worker reaches it.
func (s *NATSServer) WorkerURL(pool, worker string) string {
	return "nats://" + pool + "." + worker + ":password@127.0.0.1:" + strconv.Itoa(s.port)
}

// SidecarURL is how the user of the sidecar reaches it.
func (s *NATSServer) SidecarURL() string {
	return "nats://sidecar:password@127.0.0.1:" + strconv.Itoa(s.port)
}

// FollowerURL is how the user of whoever follows events reaches it.
func (s *NATSServer) FollowerURL() string {
	return "nats://follower:password@127.0.0.1:" + strconv.Itoa(s.port)
}

func (s *NATSServer) users() []*server.User {
	users := []*server.User{
		{Username: everyone, Password: everyone}, limited("follower", queue.FollowerPermissions()), limited("sidecar", queue.SidecarPermissions()),
	}
	for _, name := range s.workers {
		pool, worker, _ := strings.Cut(name, ".")
		may, err := queue.WorkerPermissions(pool, worker)
		if err != nil {
			s.t.Fatal(err)
		}
		users = append(users, limited(name, may))
	}
	return users
}

func limited(name string, may queue.Permissions) *server.User {
	return &server.User{Username: name, Password: "password", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: may.Publish}, Subscribe: &server.SubjectPermission{Allow: may.Subscribe},
	}}
}

// Dir is where it keeps its streams.
func (s *NATSServer) Dir() string { return s.dir }

// Start starts a stopped server on the same data and port, and returns once it
// takes connections.
func (s *NATSServer) Start() {
	s.t.Helper()
	ns, err := server.NewServer(&server.Options{
		ServerName: "test", Host: "127.0.0.1", Port: s.port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.dir, MaxPayload: 256 << 10, Users: s.users(), NoAuthUser: everyone,
	})
	if err != nil {
		s.t.Fatalf("configure nats: %v", err)
	}
	go ns.Start()
	if !ns.ReadyForConnections(20 * time.Second) {
		ns.Shutdown()
		s.t.Fatalf("nats on port %d takes no connections after 20 s", s.port)
	}
	s.ns, s.port = ns, ns.Addr().(*net.TCPAddr).Port
}

// Stop ends it and every connection to it; it may be repeated.
func (s *NATSServer) Stop() {
	if s.ns != nil {
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
		s.ns = nil
	}
}

// WipeData removes whatever a stopped server has stored.
func (s *NATSServer) WipeData() {
	s.t.Helper()
	if s.ns != nil {
		s.t.Fatal("stop nats before its data is wiped")
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Fatalf("wipe the data of nats: %v", err)
	}
}

// Tap holds every message that anyone publishes from now on against its
// description, and fails the test for one that differs. It goes on over
// restarts, but hears nothing while the server is down.
func (s *NATSServer) Tap(t testing.TB) {
	t.Helper()
	conn, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatalf("connect the tap: %v", err)
	}
	if _, err := conn.Subscribe("roadbed.>", func(msg *nats.Msg) {
		if err := queue.Validate(msg.Subject, msg.Header, msg.Data); err != nil {
			t.Errorf("a message is not as described: %v\n%s", err, msg.Data)
		}
	}); err != nil {
		t.Fatalf("subscribe the tap: %v", err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatalf("start the tap: %v", err)
	}
	t.Cleanup(func() {
		// What was published last must still be looked at.
		if err := conn.Drain(); err == nil {
			Eventually(t, 10*time.Second, "the tap is drained", conn.IsClosed)
		}
		conn.Close()
	})
}
