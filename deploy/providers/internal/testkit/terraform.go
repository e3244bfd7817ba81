package testkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Rig is a server and a mirror that all tests of a package share. Each test
// uses names of its own on the server.
type Rig struct {
	*Postgres
	dir string
}

// NewRig starts the server and builds the mirror, which takes minutes if no
// provider has been compiled before. Close must be called.
func NewRig() (*Rig, error) {
	dir, err := os.MkdirTemp("", "rig-")
	if err != nil {
		return nil, err
	}
	r := &Rig{dir: dir}
	if err := os.Mkdir(r.temporary(), 0o700); err != nil {
		return nil, err
	}
	_, self, _, _ := runtime.Caller(0)
	build := exec.Command(filepath.Join(filepath.Dir(self), "..", "..", "build"), r.Mirror())
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the provider mirror: %w\n%s", err, out)
	}
	if r.Postgres, err = StartPostgres(); err != nil {
		return nil, err
	}
	return r, nil
}

// Close stops the server and removes the rig's files.
func (r *Rig) Close() {
	r.Stop()
	_ = os.RemoveAll(r.dir)
}

// Mirror is the directory of the provider mirror.
func (r *Rig) Mirror() string { return filepath.Join(r.dir, "mirror") }

// temporary is where providers keep their sockets, which one that is killed
// leaves behind. A test's own directory can be too long a path for a socket.
func (r *Rig) temporary() string { return filepath.Join(r.dir, "tmp") }

// Module is a directory in which terraform runs.
type Module struct {
	Dir string
	t   testing.TB
	env []string
}

// Module makes a directory with these files (name to content) and initialises
// it from the mirror.
func (r *Rig) Module(t testing.TB, files map[string]string) *Module {
	t.Helper()
	m := &Module{Dir: t.TempDir(), t: t, env: []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + t.TempDir(),
		"TMPDIR=" + r.temporary(),
		"TF_CLI_CONFIG_FILE=" + filepath.Join(r.Mirror(), "terraform.rc"),
		"TF_IN_AUTOMATION=1",
		"TF_DISABLE_PLUGIN_TLS=1", // halves the time of a run
		"ROADBED_POSTGRES_DSN=" + r.DSN,
	}}
	for name, content := range files {
		m.Write(name, content)
	}
	m.Run("init", "-input=false", "-no-color")
	return m
}

// Write sets a file of the module.
func (m *Module) Write(name, content string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.Dir, name), []byte(content), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// Variables sets terraform.tfvars.json.
func (m *Module) Variables(variables map[string]any) {
	m.t.Helper()
	text, err := json.Marshal(variables)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Write("terraform.tfvars.json", string(text))
}

// Command prepares a terraform command without starting it.
func (m *Module) Command(args ...string) *exec.Cmd {
	cmd := exec.Command("terraform", args...)
	cmd.Dir, cmd.Env = m.Dir, m.env
	return cmd
}

// Try runs terraform and returns all it printed, and its exit code.
func (m *Module) Try(args ...string) (string, int) {
	m.t.Helper()
	cmd := m.Command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("terraform %v: %v", args, err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// Run runs terraform, which must succeed, and returns all it printed.
func (m *Module) Run(args ...string) string {
	m.t.Helper()
	begin := time.Now()
	out, code := m.Try(args...)
	if code != 0 {
		m.t.Fatalf("terraform %v: exit code %d\n%s", args, code, out)
	}
	m.t.Logf("terraform %s: %d ms", args[0], time.Since(begin).Milliseconds())
	return out
}

// Apply applies without asking.
func (m *Module) Apply() string {
	m.t.Helper()
	return m.Run("apply", "-auto-approve", "-input=false", "-no-color")
}

// ApplyFails applies, which must fail, and returns what was printed, with the
// line breaks of its box taken out.
func (m *Module) ApplyFails() string {
	m.t.Helper()
	out, code := m.Try("apply", "-auto-approve", "-input=false", "-no-color")
	if code == 0 {
		m.t.Fatalf("terraform apply succeeded:\n%s", out)
	}
	return Flat(out)
}

// Destroy destroys without asking.
func (m *Module) Destroy() string {
	m.t.Helper()
	return m.Run("destroy", "-auto-approve", "-input=false", "-no-color")
}

// Plan returns what a plan prints, and whether it would change anything.
func (m *Module) Plan() (string, bool) {
	m.t.Helper()
	out, code := m.Try("plan", "-detailed-exitcode", "-input=false", "-no-color")
	if code != 0 && code != 2 {
		m.t.Fatalf("terraform plan: exit code %d\n%s", code, out)
	}
	return out, code == 2
}

// Settled fails the test if a plan would change anything.
func (m *Module) Settled() {
	m.t.Helper()
	if out, changes := m.Plan(); changes {
		m.t.Fatalf("the plan is not empty:\n%s", out)
	}
}

// Outputs returns the outputs by name, the sensitive ones too.
func (m *Module) Outputs() map[string]any {
	m.t.Helper()
	raw, err := m.Command("output", "-json").Output()
	if err != nil {
		m.t.Fatalf("terraform output: %v", err)
	}
	var typed map[string]struct{ Value any }
	if err := json.Unmarshal(raw, &typed); err != nil {
		m.t.Fatalf("terraform output: %v\n%s", err, raw)
	}
	outputs := make(map[string]any, len(typed))
	for name, output := range typed {
		outputs[name] = output.Value
	}
	return outputs
}

// Addresses lists what is in the state, data sources included, sorted.
func (m *Module) Addresses() []string {
	m.t.Helper()
	return lines(m.Run("state", "list"))
}
