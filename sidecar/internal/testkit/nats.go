package testkit

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
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

	workers []string      // as pool.worker
	routes  int           // the port for others of its cluster; 0 when it is alone
	peers   []*NATSServer // all of its cluster, itself too; nil when it is alone
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

// NATSCluster starts a cluster of three, one of which may be stopped at a time
// while the others go on. Each reaches all: its URLs name every one.
func NATSCluster(t testing.TB, workers ...string) []*NATSServer {
	t.Helper()
	all := make([]*NATSServer, 3)
	for i := range all {
		all[i] = &NATSServer{t: t, dir: filepath.Join(t.TempDir(), "nats"), port: FreePort(t), routes: FreePort(t), workers: workers, peers: all}
	}
	for _, s := range all {
		s.begin()
		t.Cleanup(s.Stop)
	}
	for _, s := range all {
		s.await()
	}
	Eventually(t, time.Minute, "the cluster has a leader and knows all its servers", func() bool {
		return slices.ContainsFunc(all, func(s *NATSServer) bool { return len(s.ns.JetStreamClusterPeers()) == len(all) })
	})
	return all
}

// FreePort is a port that nobody listens to.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// URL is how to reach it; it stays the same over a restart.
func (s *NATSServer) URL() string { return s.urlOf("") }

// WorkerURL is how the user of a worker reaches it.
func (s *NATSServer) WorkerURL(pool, worker string) string {
	return s.urlOf(pool + "." + worker + ":password@")
}

// SidecarURL is how the user of the sidecar reaches it.
func (s *NATSServer) SidecarURL() string {
	return s.urlOf("sidecar:password@")
}

func (s *NATSServer) urlOf(user string) string {
	var urls []string
	for _, peer := range s.peers {
		urls = append(urls, "nats://"+user+"127.0.0.1:"+strconv.Itoa(peer.port))
	}
	if urls == nil {
		urls = []string{"nats://" + user + "127.0.0.1:" + strconv.Itoa(s.port)}
	}
	return strings.Join(urls, ",")
}

// Name is its own in its cluster.
func (s *NATSServer) Name() string { return "test-" + strconv.Itoa(s.routes) }

// FollowerURL is how the user of whoever follows events reaches it.
func (s *NATSServer) FollowerURL() string {
	return s.urlOf("follower:password@")
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
	s.begin()
	s.await()
}

func (s *NATSServer) begin() {
	s.t.Helper()
	options := &server.Options{
		ServerName: s.Name(), Host: "127.0.0.1", Port: s.port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.dir, JetStreamMaxStore: queue.Store, MaxPayload: 256 << 10, Users: s.users(), NoAuthUser: everyone,
	}
	if s.peers != nil {
		options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: s.routes}
		for _, peer := range s.peers {
			options.Routes = append(options.Routes, &url.URL{Scheme: "nats", Host: "127.0.0.1:" + strconv.Itoa(peer.routes)})
		}
	}
	ns, err := server.NewServer(options)
	if err != nil {
		s.t.Fatalf("configure nats: %v", err)
	}
	s.ns = ns
	go ns.Start()
}

// await waits until it takes connections.
func (s *NATSServer) await() {
	s.t.Helper()
	if !s.ns.ReadyForConnections(20 * time.Second) {
		s.Stop()
		s.t.Fatalf("nats on port %d takes no connections after 20 s", s.port)
	}
	s.port = s.ns.Addr().(*net.TCPAddr).Port
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
		if msg.Header.Get("Nats-Expected-Stream") == "none" {
			return // the doctor's, which no stream takes
		}
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
