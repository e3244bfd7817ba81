package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// deadline is how long anything may take that a test waits for.
const deadline = 90 * time.Second

// idleStaging is an environment for which no worker ever comes: what is asked
// for there stays queued.
const idleStaging = "name: staging\ntitle: Staging\nimplementation: local\npool: idle\nregion: here\n"

// parts are what all tests of the road share: the program and the server
// where databases are made. They are a package variable because the
// tests have nothing else in common.
var parts struct {
	sync.Once
	err     error
	dir     string
	program string
	target  *devenv.Cluster
}

// tests runs the package's tests and then ends what they shared.
type tests struct{ *testing.M }

// Run is testing.M's.
func (t tests) Run() int {
	code := testkit.Run(t.M)
	if parts.target != nil {
		parts.target.Stop()
	}
	_ = os.RemoveAll(parts.dir) // a temporary directory; nothing depends on it
	return code
}

func shareParts(t testing.TB) {
	t.Helper()
	parts.Do(func() { parts.err = makeParts() })
	if parts.err != nil {
		t.Fatal(parts.err)
	}
}

func makeParts() (err error) {
	if parts.dir, err = os.MkdirTemp("", "roadbed-road-"); err != nil {
		return err
	}
	if err := os.Chmod(parts.dir, 0o711); err != nil { // Postgres' own user must get in when we are root
		return err
	}
	if parts.program, err = exec.LookPath("roadbed"); err != nil { // this test program under that name is the real one
		return err
	}
	parts.target, err = devenv.StartCluster(context.Background(), devenv.ClusterConfig{Dir: filepath.Join(parts.dir, "target"), Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		return err
	}
	return execute(context.Background(), parts.target.DSN("postgres"), "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
}

// options say how a road differs from the usual one.
type options struct {
	delay     string                // how long making a database takes at least; "" is no longer than it must
	server    *testkit.Server       // of the sidecar, for tests that stop it; nil is a database on the shared one
	lease     time.Duration         // 0 is 3 s, the least
	offerings func(dir string)      // writes the offerings to serve into dir, instead of the built-in ones
	notices   string                // the file of notifications; "" for none
	policies  func(dir string)      // writes the policies to serve into dir, likewise
	drift     time.Duration         // between drift checks; 0 is the usual day
	env       []string              // of the sidecar, beside what every process has
	backstage string                // URL of the Backstage; "" is one that stands for it
	args      []string              // more of the sidecar's flags
	wired     bool                  // the sidecar, the workers, NATS and Postgres meet over wires that may be cut
	approvals bool                  // the sidecar asks the catalog who may approve, and staging has workers
	dev       string                // the environment file of dev; "" is the usual one
	serve     []string              // more flags of the sidecar
	worker    []string              // more flags of workers
	variables []string              // of every process's environment, as NAME=value
	cluster   []*testkit.NATSServer // all of NATS; nil is a server alone
	patience  time.Duration         // how long anything may take; 0 is the usual
}

// road is the whole of Roadbed for one test: a Backstage, NATS, Postgres, the
// sidecar and workers as processes, and the server where databases are made.
// What it makes has names of this road alone.
type road struct {
	t        testing.TB
	dir      string
	portal   *portal
	nats     *testkit.NATSServer
	heard    *recording
	database string
	pool     *pgxpool.Pool
	sidecar  *process
	workers  []*process
	wires    wires
	poolKey  string // the token of pool local
	port     int
	metrics  int    // the port of the sidecar's metrics
	mark     string // part of every name
	options  options
	mu       sync.Mutex
	tokens   []string
	names    int
}

func newRoad(t testing.TB, o options) *road {
	t.Helper()
	shareParts(t)
	// Not t.TempDir, whose long path would not fit a plugin's socket.
	dir, err := os.MkdirTemp("", "rb")
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 24)
	_, _ = rand.Read(secret)
	o.patience = cmp.Or(o.patience, deadline)
	if o.cluster == nil {
		o.cluster = []*testkit.NATSServer{testkit.NATS(t, "local.w1", "local.w2", "local.w3")}
	}
	r := &road{t: t, dir: dir, options: o, portal: newPortal(t), nats: o.cluster[0], poolKey: "canary" + hex.EncodeToString(secret), mark: hex.EncodeToString(secret[:3])}
	t.Cleanup(func() {
		r.wantNoPanic()
		if t.Failed() {
			r.tell()
		}
		_ = os.RemoveAll(dir)
	})
	if r.heard, err = listen(r.nats.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.heard.conn.Close)
	r.nats.Tap(t)
	if o.server != nil {
		r.database = o.server.DSN()
	} else {
		r.database = testkit.Database(t)
	}
	if r.pool, err = pgxpool.New(t.Context(), r.database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.pool.Close)
	r.port, r.metrics = testkit.FreePort(t), testkit.FreePort(t)
	if o.wired {
		r.wires = r.wire()
	}
	r.write("keys/local.token", r.poolKey)
	if err := keys.Create(r.path("keys"), "local", "idle"); err != nil {
		t.Fatal(err)
	}
	settings := ""
	if o.delay != "" {
		settings = "settings: {create_delay: " + o.delay + "}\n"
	}
	r.write("environments/dev.yaml", cmp.Or(o.dev, "name: dev\ntitle: Development\nimplementation: local\npool: local\nregion: here\n"+settings))
	r.write("environments/staging.yaml", idleStaging)
	if o.lease == 0 {
		o.lease = 3 * time.Second
	}
	args := []string{
		"serve", "--listen", fmt.Sprintf("127.0.0.1:%d", r.port), "--metrics", fmt.Sprintf("127.0.0.1:%d", r.metrics), "--base-url", r.base(), "--backstage", cmp.Or(o.backstage, r.portal.URL),
		"--database", r.wires.over(r.wires.sidecarToPostgres, r.database), "--nats", r.wires.over(r.wires.sidecarToNATS, r.nats.SidecarURL()), "--keys-dir", r.path("keys"), "--pool-tokens", "local=" + r.path("keys/local.token"),
		"--environments", r.path("environments"), "--lease", o.lease.String(),
		"--caller-asks", "100000", // one person asks for a crowd
	}
	args = append(args, o.args...)
	if o.drift > 0 {
		args = append(args, "--drift-every", o.drift.String())
	}
	if o.approvals {
		r.write("environments/staging.yaml", strings.Replace(idleStaging, "pool: idle", "pool: local", 1))
		r.write("signing.pem", r.portal.trusted(t, "roadbed"))
		args = append(args, "--signing-key", r.path("signing.pem"))
	}
	if o.notices != "" {
		r.write("notifications.yaml", o.notices)
		args = append(args, "--notifications", r.path("notifications.yaml"))
	}
	if o.offerings != nil {
		o.offerings(r.path("offerings"))
		args = append(args, "--offerings", r.path("offerings"))
	}
	if o.policies != nil {
		o.policies(r.path("policies"))
		args = append(args, "--policies", r.path("policies"))
	}
	r.writeTerraform()
	r.sidecar = &process{t: t, args: append(args, o.serve...), env: append(o.env, o.variables...), log: r.path("sidecar.log")}
	r.sidecar.start()
	t.Cleanup(r.endRuns)
	t.Cleanup(r.sidecar.kill)
	r.untilReady()
	return r
}

func (r *road) path(name string) string { return filepath.Join(r.dir, name) }
func (r *road) base() string            { return fmt.Sprintf("http://127.0.0.1:%d/api/roadbed", r.port) }

func (r *road) write(name, text string) {
	r.t.Helper()
	writeFile(r.t, r.path(name), text)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (r *road) untilReady() {
	r.t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d/.backstage/health/v1/readiness", r.port)
	r.until("the sidecar is ready", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (r *road) exists(name string) bool {
	_, err := os.Stat(r.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}

func (r *road) remove(name string) {
	r.t.Helper()
	if err := os.Remove(r.path(name)); err != nil {
		r.t.Fatal(err)
	}
}

// until waits until it is so, and fails the test when it never is.
func (r *road) until(what string, so func() bool) {
	r.t.Helper()
	end := time.Now().Add(r.options.patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(end) {
			r.t.Fatalf("it never came about that %s", what)
		}
		for _, p := range append(r.workers, r.sidecar) {
			if p.died() {
				r.t.Fatalf("roadbed %s has ended by itself while it was awaited that %s", p.args[0], what)
			}
		}
		<-tick.C
	}
}

// wantNoPanic looks into the logs for what no test of an outcome would see.
func (r *road) wantNoPanic() {
	logs, _ := filepath.Glob(r.path("*.log"))
	for _, file := range logs {
		text, _ := os.ReadFile(file)
		for _, word := range []string{"panic:", "panicked", "DATA RACE"} {
			if bytes.Contains(text, []byte(word)) {
				r.t.Errorf("%s has %q", filepath.Base(file), word)
			}
		}
	}
}

// tell shows what there is when a test has failed.
func (r *road) tell() {
	logs, _ := filepath.Glob(r.path("*.log"))
	supervisors, _ := filepath.Glob(r.path("*/runs/*/supervisor.jsonl"))
	for _, file := range append(logs, supervisors...) {
		text, _ := os.ReadFile(file)
		r.t.Logf("%s:\n%s", file, text[max(0, len(text)-12<<10):])
	}
}

// recording is every message that went over NATS while it was up.
type recording struct {
	conn *nats.Conn
	mu   sync.Mutex
	all  []*nats.Msg
}

func listen(url string) (*recording, error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	heard := &recording{conn: conn}
	_, err = conn.Subscribe("roadbed.>", func(m *nats.Msg) {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		heard.all = append(heard.all, m)
	})
	return heard, errors.Join(err, conn.Flush())
}

// on are the messages heard on subjects that begin with prefix.
func (h *recording) on(prefix string) []*nats.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	var some []*nats.Msg
	for _, m := range h.all {
		if strings.HasPrefix(m.Subject, prefix) {
			some = append(some, m)
		}
	}
	return some
}
