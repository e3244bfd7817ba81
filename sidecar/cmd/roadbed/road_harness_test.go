package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/devenv"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/provision"
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
	delay     string           // how long making a database takes at least; "" is no longer than it must
	server    *testkit.Server  // of the sidecar, for tests that stop it; nil is a database on the shared one
	lease     time.Duration    // 0 is 3 s, the least
	offerings func(dir string) // writes the offerings to serve into dir, instead of the built-in ones
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
	poolKey  string // the token of pool local
	port     int
	mark     string // part of every name
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
	r := &road{t: t, dir: dir, portal: newPortal(t), nats: testkit.NATS(t), poolKey: "canary" + hex.EncodeToString(secret), mark: hex.EncodeToString(secret[:3])}
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
	r.port = freePort(t)
	r.write("keys/local.token", r.poolKey)
	if err := keys.Create(r.path("keys"), "local", "idle"); err != nil {
		t.Fatal(err)
	}
	settings := ""
	if o.delay != "" {
		settings = "settings: {create_delay: " + o.delay + "}\n"
	}
	r.write("environments/dev.yaml", "name: dev\ntitle: Development\nimplementation: local\npool: local\nregion: here\n"+settings)
	r.write("environments/staging.yaml", idleStaging)
	if o.lease == 0 {
		o.lease = 3 * time.Second
	}
	args := []string{
		"serve", "--listen", fmt.Sprintf("127.0.0.1:%d", r.port), "--metrics", "", "--base-url", r.base(), "--backstage", r.portal.URL,
		"--database", r.database, "--nats", r.nats.URL(), "--keys-dir", r.path("keys"), "--pool-tokens", "local=" + r.path("keys/local.token"),
		"--environments", r.path("environments"), "--lease", o.lease.String(),
	}
	if o.offerings != nil {
		o.offerings(r.path("offerings"))
		args = append(args, "--offerings", r.path("offerings"))
	}
	r.writeTerraform()
	r.sidecar = &process{t: t, args: args, log: r.path("sidecar.log")}
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

// writeTerraform makes a terraform that writes down every command it is given,
// and holds a plan of worker w for as long as the file hold-w is there.
func (r *road) writeTerraform() {
	r.t.Helper()
	real := os.Getenv("ROADBED_TERRAFORM")
	if real == "" {
		var err error
		if real, err = exec.LookPath("terraform"); err != nil {
			r.t.Fatal(err)
		}
	}
	script := fmt.Sprintf(`#!/bin/sh
echo "$1" >> %[1]s/ledger
worker=${PWD#%[1]s/}
worker=${worker%%%%/*}
if [ "$1" = plan ] && [ -e "%[1]s/hold-$worker" ]; then
  touch "%[1]s/held-$worker"
  while [ -e "%[1]s/hold-$worker" ]; do sleep 0.05; done
fi
exec %[2]s "$@"
`, r.dir, real)
	r.write("terraform", script)
	if err := os.Chmod(r.path("terraform"), 0o700); err != nil {
		r.t.Fatal(err)
	}
}

// commands is how often Terraform was given a command.
func (r *road) commands(name string) int {
	text, _ := os.ReadFile(r.path("ledger"))
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == name {
			n++
		}
	}
	return n
}

// startWorker starts a worker of pool local.
func (r *road) startWorker(name string) *process { return r.startWorkerOf(name, 2) }

func (r *road) startWorkerOf(name string, slots int) *process {
	r.t.Helper()
	w := &process{t: r.t, log: r.path(name + ".log"), args: []string{
		"worker", "--pool", "local", "--name", name, "--dir", r.path(name), "--slots", strconv.Itoa(slots), "--sidecar", r.base(), "--nats", r.nats.URL(),
		"--token-file", r.path("keys/local.token"), "--keys-dir", r.path("keys"), "--terraform", r.path("terraform"), "--cli-config", cliConfig(r.t),
	}, env: []string{"ROADBED_POSTGRES_DSN=" + parts.target.DSN("postgres")}}
	w.start()
	r.t.Cleanup(w.kill)
	r.workers = append(r.workers, w)
	return w
}

// cliConfig names the provider mirror that make builds.
func cliConfig(t testing.TB) string {
	t.Helper()
	if config := os.Getenv("TF_CLI_CONFIG_FILE"); config != "" {
		if _, err := os.Stat(config); err == nil {
			return config
		}
	}
	config, err := filepath.Abs("../../../.build/mirror/terraform.rc")
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// process is a roadbed process that may be killed and started again.
type process struct {
	t    testing.TB
	args []string
	env  []string
	log  string
	cmd  *exec.Cmd     // nil while it shall not run
	gone chan struct{} // closed when it has ended
}

func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(parts.program, p.args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}, p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	p.cmd, p.gone = cmd, gone
}

// died reports whether it has ended though it shall run.
func (p *process) died() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends it without warning and waits until it is gone; it may be repeated.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.gone
	p.cmd = nil
}

// stop asks it to end and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	<-p.gone
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("roadbed %s ended with %d", p.args[0], code)
	}
	p.cmd = nil
}

func (p *process) output() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

// supervisors are the processes that supervise a run of this road.
func (r *road) supervisors() []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if bytes.Contains(text, []byte("\x00supervise\x00"+r.dir+"/")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			found = append(found, pid)
		}
	}
	return found
}

// terraforms are the Terraform processes that apply for a run of this road.
func (r *road) terraforms() []int {
	var found []int
	files, _ := filepath.Glob(r.path("*/runs/*/terraform.json"))
	for _, file := range files {
		var pid int
		text, _ := os.ReadFile(file)
		if _, rest, ok := strings.Cut(string(text), `"pid":`); ok {
			_, _ = fmt.Sscanf(rest, "%d", &pid)
		}
		if pid > 0 && syscall.Kill(pid, 0) == nil {
			found = append(found, pid)
		}
	}
	return found
}

// endRuns ends what outlives workers by design.
func (r *road) endRuns() {
	for _, pid := range r.supervisors() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, pid := range r.terraforms() {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
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
	end := time.Now().Add(deadline)
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

// submission asks for a database in an environment; the name is new on this
// road each time.
func (r *road) submission(environment string) api.Submission {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names++
	return api.Submission{Offering: "postgres-database", Parameters: provision.Parameters{
		"database_name": fmt.Sprintf("orders-%s-%d", r.mark, r.names), "environment": environment, "team_owner": "payments", "cost_center": "CC-1234",
	}}
}

// submit asks as Ann and is accepted.
func (r *road) submit(s api.Submission) api.Request {
	r.t.Helper()
	request, err := r.as(ann).Submit(r.t.Context(), uuid.NewString(), s)
	if err != nil {
		r.t.Fatalf("submit: %v", err)
	}
	if request.State != provision.Queued {
		r.t.Fatalf("a request that was accepted is %s", request.State)
	}
	return request
}

// row is a request as the database has it.
func (r *road) row(id uuid.UUID) (state provision.State, waiting string) {
	r.t.Helper()
	if err := r.pool.QueryRow(r.t.Context(), "SELECT state, waiting FROM requests WHERE id = $1", id).Scan(&state, &waiting); err != nil {
		r.t.Fatalf("read request %s: %v", id, err)
	}
	return state, waiting
}

// untilState waits for a state, and fails at once when the request ends in another.
func (r *road) untilState(id uuid.UUID, want provision.State) {
	r.t.Helper()
	r.until(fmt.Sprintf("request %s is %s", id, want), func() bool {
		state, _ := r.row(id)
		if state != want && state.Terminal() {
			request, err := r.as(ann).Request(r.t.Context(), id)
			r.t.Fatalf("request %s is %s, want %s: %+v %v", id, state, want, request.Error, err)
		}
		return state == want
	})
}

// untilMaking waits until the delayed database of a request is being made. By
// then its owner role is finished.
func (r *road) untilMaking(id uuid.UUID) {
	r.t.Helper()
	run := r.runID(id)
	r.until("a database is being made", func() bool {
		return slices.ContainsFunc(r.heard.on("roadbed.rpt."), func(m *nats.Msg) bool {
			return strings.HasSuffix(m.Subject, run) && bytes.Contains(m.Data, []byte(`"address":"postgres_database.main","status":"started"`))
		})
	})
}

// runID is the newest run of a request, once it has one.
func (r *road) runID(request uuid.UUID) (id string) {
	r.t.Helper()
	r.until("the request has a run", func() bool {
		err := r.pool.QueryRow(r.t.Context(), "SELECT id::text FROM runs WHERE request_id = $1 ORDER BY dispatched_at DESC LIMIT 1", request).Scan(&id)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			r.t.Fatal(err)
		}
		return err == nil
	})
	return id
}

// number is the one number that a query gives.
func (r *road) number(query string, args ...any) int {
	r.t.Helper()
	var n int
	if err := r.pool.QueryRow(r.t.Context(), query, args...).Scan(&n); err != nil {
		r.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// made are the databases, and the roles, that exist for a name on the target.
func (r *road) made(name any) (databases, roles int) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), parts.target.DSN("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	prefix := strings.ReplaceAll(name.(string), "-", "_") + "_"
	err = conn.QueryRow(r.t.Context(), `SELECT (SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)), (SELECT count(*) FROM pg_roles WHERE starts_with(rolname, $1))`, prefix).Scan(&databases, &roles)
	if err != nil {
		r.t.Fatal(err)
	}
	return databases, roles
}

// wantMade holds the target to exactly these.
func (r *road) wantMade(name any, databases, roles int) {
	r.t.Helper()
	if d, u := r.made(name); d != databases || u != roles {
		r.t.Errorf("%d databases and %d roles of %v exist, want %d and %d", d, u, name, databases, roles)
	}
}

// wantApplies holds Terraform to exactly this many.
func (r *road) wantApplies(n int) {
	r.t.Helper()
	if got := r.commands("apply"); got != n {
		r.t.Errorf("Terraform was told to apply %d times, want %d", got, n)
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

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
