package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// workerVariable makes the test program a worker; its value is a site.
const workerVariable = "ROADBED_TEST_WORKER"

func TestMain(m *testing.M) {
	switch {
	case IsShim(os.Args[0]):
		os.Exit(ShimMain(os.Args))
	case len(os.Args) == 3 && os.Args[1] == "supervise":
		err := Supervise(context.Background(), Supervision{Dir: os.Args[2], Log: stderrLog(),
			Connect: func(c Connection) (Lifeline, error) { return client{c.URL}, nil }})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case os.Getenv(workerVariable) != "":
		if err := workElsewhere(os.Getenv(workerVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// site is what a worker in another process needs to know.
type site struct {
	URL, Root, Identity string
	Binary              terraform.Binary
	Patience            Patience
}

func (s site) worker(log *slog.Logger) (*Worker, error) {
	identity, err := age.ParseX25519Identity(s.Identity)
	if err != nil {
		return nil, err
	}
	c := client{s.URL}
	return &Worker{
		Config: Config{
			Name: "w1", Root: s.Root, Slots: 2, Terraform: terraform.Settings{Binary: s.Binary, Variables: map[string]string{"TEST_PROVIDER_DSN": "postgres://u:canary-dsn@h/d"}},
			Connection: Connection{URL: s.URL, Token: "canary-pool-token", Worker: "w1"}, Patience: s.Patience,
			CheckEvery: 20 * time.Millisecond,
		},
		Control: c, Jobs: c, Reports: c, Log: log,
		Open: opener(identity), Unpack: unpackJSON, Digest: func([]byte) (string, error) { return "sha256:test", nil },
		Measure: measureSecret,
	}, nil
}

func workElsewhere(text string) error {
	var s site
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	w, err := s.worker(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return w.Run(context.Background())
}

// bench is a sidecar, a worker's site and a folder that modules talk to the
// test through.
type bench struct {
	*sidecar
	t        testing.TB
	site     site
	identity *age.X25519Identity
	gates    string
	log      shared
}

// shared is a buffer that one goroutine writes while another reads.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func newBench(t testing.TB, module string) *bench {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	binary, err := terraform.Find(t.Context(), terraform.Search{})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{sidecar: newSidecar(t), t: t, identity: identity, gates: t.TempDir()}
	b.bundle, _ = json.Marshal(map[string]string{"module/local/main.tf": module})
	b.site = site{
		URL: b.server.URL, Root: filepath.Join(t.TempDir(), "worker"), Identity: identity.String(), Binary: binary,
		Patience: Patience{Renew: 50 * time.Millisecond, Retry: 20 * time.Millisecond, RetryMost: 200 * time.Millisecond, Interrupt: 30 * time.Second},
	}
	t.Cleanup(func() {
		if t.Failed() {
			b.tell()
		}
	})
	return b
}

// tell shows what there is when a test has failed.
func (b *bench) tell() {
	b.t.Logf("worker log:\n%s", b.log.String())
	_ = filepath.WalkDir(filepath.Join(b.site.Root, "runs"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".jsonl") || strings.HasSuffix(path, "stderr.txt") || strings.HasSuffix(path, "stop.json") || strings.HasSuffix(path, "exit.json")) {
			text, _ := os.ReadFile(path)
			b.t.Logf("%s:\n%s", path, text)
		}
		return nil
	})
}

// start runs a worker in this process and returns how to stop it.
func (b *bench) start() (stop func()) {
	b.t.Helper()
	w, err := b.site.worker(slog.New(slog.NewTextHandler(&b.log, nil)))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("worker: %v", err)
		}
	}
	b.t.Cleanup(stop)
	return stop
}

// spawn runs a worker in a process of its own.
func (b *bench) spawn() *os.Process {
	b.t.Helper()
	text, err := json.Marshal(b.site)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(filepath.Join(b.gates, "worker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
		if b.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			b.t.Logf("worker process log:\n%s", text)
		}
	})
	return cmd.Process
}

// ask makes a run with its job.
func (b *bench) ask(change func(*fakeRun)) uuid.UUID {
	id := provision.NewID()
	run := &fakeRun{state: "dispatched", logs: map[int64]string{}, claim: provision.Claim{
		RunID: id, RequestID: provision.NewID(), InstanceID: provision.NewID(), ShortID: "k3x9", Action: provision.Create,
		Fence: 7, Token: "canary-run-token-" + id.String(), LeaseSeconds: 30, Offering: "test", OfferingDigest: "sha256:test",
		Implementation: "local", Environment: provision.Environment{Name: "dev", Region: "here"}, Name: "orders", Owner: "group:default/a",
		Parameters: provision.Parameters{"gates": b.gates}, Tags: map[string]string{"Team": "a"}, ApplyTimeoutSeconds: 600,
		StateRecipients: []string{b.identity.Recipient().String()},
	}}
	if change != nil {
		change(run)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[id] = run
	b.jobs = append(b.jobs, provision.Job{RunID: id, RequestID: run.claim.RequestID, OfferingDigest: "sha256:test"})
	return id
}

// gate is a file that a module's provisioner makes or waits for.
func (b *bench) gate(name string) string { return filepath.Join(b.gates, name) }

func (b *bench) openGate(name string) {
	b.t.Helper()
	if err := os.WriteFile(b.gate(name), nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) await(id uuid.UUID) *provision.RunOutcome {
	b.t.Helper()
	eventually(b.t, "the run has an outcome", func() bool { return b.outcome(id) != nil })
	eventually(b.t, "the run's directory is wiped", func() bool { return !exists(b.dir(id)) && !exists(terraform.TempDir(b.dir(id))) })
	b.noSecretLeft(id)
	return b.outcome(id)
}

func (b *bench) dir(id uuid.UUID) string { return filepath.Join(b.site.Root, "runs", id.String()) }

// noSecretLeft looks for planted canaries in all that a worker has said and in
// every file that it has left.
func (b *bench) noSecretLeft(id uuid.UUID) {
	b.t.Helper()
	var said []byte
	b.with(id, func(r *fakeRun) { said, _ = json.Marshal([]any{r.reports, r.logs, r.plans}) })
	said = append(said, b.log.String()...)
	if i := bytes.Index(said, []byte("canary")); i >= 0 {
		b.t.Errorf("a secret was told: …%s…", said[max(0, i-100):min(len(said), i+100)])
	}
	_ = filepath.WalkDir(b.site.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		if text, _ := os.ReadFile(path); bytes.Contains(text, []byte("canary")) {
			b.t.Errorf("a secret is left in %s", path)
		}
		return nil
	})
}

// states are the pushed states, opened, and checks that their serials rise.
func (b *bench) states(id uuid.UUID) []terraform.State {
	b.t.Helper()
	var versions []provision.StateVersion
	b.with(id, func(r *fakeRun) { versions = append(versions, r.pushes...) })
	var states []terraform.State
	for i, version := range versions {
		raw, err := opener(b.identity)(version.Sealed)
		if err != nil {
			b.t.Fatal(err)
		}
		state, err := terraform.ParseState(raw)
		if err != nil {
			b.t.Fatal(err)
		}
		if i > 0 && version.Serial <= versions[i-1].Serial {
			// A push whose answer was lost is repeated.
			before, _ := opener(b.identity)(versions[i-1].Sealed)
			if version.Serial < versions[i-1].Serial || !bytes.Equal(before, raw) {
				b.t.Errorf("push %d has serial %d after %d; they differ (-before +after):\n%s", i, version.Serial, versions[i-1].Serial, cmp.Diff(string(before), string(raw)))
			}
		}
		if version.Serial != state.Serial || version.Lineage != state.Lineage || version.Fence != 7 {
			b.t.Errorf("push %d is labelled %d %s fence %d, its state is %d %s fence 7", i, version.Serial, version.Lineage, version.Fence, state.Serial, state.Lineage)
		}
		states = append(states, state)
	}
	return states
}

func (b *bench) lines(path string) int {
	text, _ := os.ReadFile(path)
	return bytes.Count(text, []byte("\n"))
}

// reported are the counted reports in short.
func (b *bench) reported(id uuid.UUID) []string {
	var short []string
	b.with(id, func(r *fakeRun) {
		for _, report := range r.reports {
			switch {
			case report.Outcome != nil:
				short = append(short, "outcome "+report.Outcome.Result)
			default:
				short = append(short, strings.TrimSpace(report.Phase+report.Address+" "+report.Status))
			}
		}
	})
	return short
}

// stderrLog is the log of a process of ours: its stderr is a file of the run.
func stderrLog() *slog.Logger { return slog.New(slog.NewJSONHandler(os.Stderr, nil)) }
