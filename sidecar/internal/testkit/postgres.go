package testkit

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
)

// shared is the cluster of this test process. It is a package variable because
// the tests of a package have nothing else in common.
var shared struct {
	sync.Mutex
	cluster  *devenv.Cluster
	dir      string
	migrated bool
	serial   atomic.Int64
}

// Main runs a package's tests and then ends the cluster that they shared. Call
// it from TestMain.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has something else to end; it returns the
// exit code.
func Run(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster != nil {
		shared.cluster.Stop()
		_ = os.RemoveAll(shared.dir) // a temporary directory; nothing depends on it
	}
	return code
}

// EmptyDatabase is the connection string of a new database without tables. It
// is dropped when the test ends.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	shared.Lock()
	startShared(t)
	shared.Unlock()
	return create(t, "template0")
}

// Database is the connection string of a new database with every migration
// applied. It is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	startShared(t)
	if !shared.migrated {
		admin(t, "CREATE DATABASE migrated")
		if err := postgres.Migrate(t.Context(), shared.cluster.DSN("migrated")); err != nil {
			shared.Unlock()
			t.Fatalf("migrate the template database: %v", err)
		}
		shared.migrated = true
	}
	shared.Unlock()
	return create(t, "migrated")
}

// Server is a Postgres server of this test alone, with one migrated database,
// that the test may stop and start.
type Server struct {
	t       testing.TB
	cluster *devenv.Cluster
}

// NewServer starts a Server. It writes as safely as a production server does.
func NewServer(t testing.TB) *Server {
	t.Helper()
	cluster, err := devenv.StartCluster(t.Context(), devenv.ClusterConfig{Dir: openDir(t)})
	if err != nil {
		t.Fatalf("start postgres: %v", err)
	}
	t.Cleanup(cluster.Stop)
	if err := postgres.Migrate(t.Context(), cluster.DSN("postgres")); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return &Server{t: t, cluster: cluster}
}

// DSN is the connection string of its database; it stays the same over a restart.
func (s *Server) DSN() string { return s.cluster.DSN("postgres") }

// Stop ends every session and the server.
func (s *Server) Stop() { s.cluster.Stop() }

// Start starts a stopped server on the same data and port.
func (s *Server) Start() {
	s.t.Helper()
	before := s.DSN()
	if err := s.cluster.Start(s.t.Context()); err != nil {
		s.t.Fatalf("start postgres again: %v", err)
	}
	if s.DSN() != before {
		s.t.Fatalf("postgres lost its port while it was down")
	}
}

// startShared starts the shared cluster once; the caller holds the lock.
func startShared(t testing.TB) {
	t.Helper()
	if shared.cluster != nil {
		return
	}
	dir, err := os.MkdirTemp("", "testkit-postgres-")
	if err != nil {
		t.Fatalf("make a directory for postgres: %v", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // its user must get in when we are root
		t.Fatalf("open the directory for postgres: %v", err)
	}
	// The data dies with the tests, so that no write need reach the disk.
	cluster, err := devenv.StartCluster(context.WithoutCancel(t.Context()), devenv.ClusterConfig{Dir: dir, Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "max_connections": "300", "shared_buffers": "64MB",
	}})
	if err != nil {
		t.Fatalf("start postgres: %v", err)
	}
	shared.cluster, shared.dir = cluster, dir
}

// create copies a template under a lock: Postgres refuses to copy a database
// that someone else is copying.
func create(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.serial.Add(1))
	shared.Lock()
	defer shared.Unlock()
	admin(t, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
	t.Cleanup(func() { admin(t, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)) })
	return shared.cluster.DSN(name)
}

func admin(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, shared.cluster.DSN("postgres"))
	if err != nil {
		t.Fatalf("connect to postgres: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// openDir is a temporary directory that Postgres' own user can enter too, which
// it cannot where t.TempDir is.
func openDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testkit-")
	if err != nil {
		t.Fatalf("make a directory: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatalf("open the directory: %v", err)
	}
	return dir
}

// Eventually waits until done is true, at most for the given time.
func Eventually(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	beat := time.NewTicker(5 * time.Millisecond)
	defer beat.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", within, what)
		case <-beat.C:
		}
	}
}
