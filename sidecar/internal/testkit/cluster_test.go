package testkit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// holder is set for the copy of this test program that only starts a cluster
// and waits to be killed.
const holder = "ROADBED_TEST_HOLD_CLUSTER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holder); dir != "" {
		if _, err := devenv.StartCluster(context.Background(), devenv.ClusterConfig{Dir: dir}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("started")
		select {}
	}
	testkit.Main(m)
}

func TestClusterEndsWithTheProcessThatStartedIt(t *testing.T) {
	t.Parallel()
	dir := open(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), holder+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 200)
	n, _ := out.Read(said) // an end without words is told below
	pid := serverPID(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if pid == 0 {
		t.Fatalf("no server runs; the process said %q", said[:n])
	}
	testkit.Eventually(t, 20*time.Second, "the server has ended", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestClusterKeepsItsDataAndReplacesAServerThatWasLeft(t *testing.T) {
	t.Parallel()
	dir := open(t)
	first, err := devenv.StartCluster(t.Context(), devenv.ClusterConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(first.Stop)
	run(t, first.DSN("postgres"), "CREATE TABLE kept ()")
	left := serverPID(t, dir)
	second, err := devenv.StartCluster(t.Context(), devenv.ClusterConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Stop)
	run(t, second.DSN("postgres"), "SELECT FROM kept")
	if pid := serverPID(t, dir); pid == left || pid == 0 {
		t.Errorf("server %d runs, want another than %d", pid, left)
	}
	info, err := os.Stat(filepath.Join(dir, "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the password file has mode %v (%v), want 0600", info.Mode().Perm(), err)
	}
	second.Stop()
	second.Stop()
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, second.DSN("postgres"), "SELECT FROM kept")
}

func TestMachineWithoutPostgresIsTold(t *testing.T) {
	t.Setenv("ROADBED_POSTGRES_BIN", t.TempDir())
	_, err := devenv.StartCluster(t.Context(), devenv.ClusterConfig{Dir: open(t)})
	if provision.KindOf(err) != provision.Unavailable || !strings.Contains(err.Error(), "ROADBED_POSTGRES_BIN") {
		t.Errorf("%v, want unavailable with the way out", err)
	}
}

func TestRootIsToldWhereItsPostgresCannotEnter(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(open(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cluster, err := devenv.StartCluster(t.Context(), devenv.ClusterConfig{Dir: filepath.Join(closed, "postgres")})
	if os.Geteuid() != 0 { // anyone else's Postgres runs as they do
		if err != nil {
			t.Fatal(err)
		}
		cluster.Stop()
		return
	}
	if provision.KindOf(err) != provision.Unavailable || !strings.Contains(err.Error(), "/var/lib/roadbed") {
		t.Errorf("%v, want unavailable with the way out", err)
	}
}

// open is a directory that another user may enter, as Postgres' must when we
// are root.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testkit-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// serverPID is the process of the server on a cluster's data, 0 when none runs.
func serverPID(t *testing.T, dir string) int {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(file), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
