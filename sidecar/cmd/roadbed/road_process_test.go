package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// writeTerraform makes a terraform that writes down every command it is given,
// holds a plan of worker w for as long as the file hold-w is there, and comes to
// boundaries as the other processes do.
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
armed() { [ -e %[1]s/%[3]s ] && grep -q "\"boundary\":\"terraform $1\"" %[1]s/%[3]s; }
comes() {
  armed "$1" && (set -C; echo $$ > %[1]s/%[4]s) 2>/dev/null || return
  if grep -q '"kill":true' %[1]s/%[3]s; then kill -9 $$; fi
  while [ -e %[1]s/%[5]s ]; do sleep 0.02; done
}
comes "$1 before"
if armed "$1 after"; then
  %[2]s "$@"
  code=$?
  comes "$1 after"
  exit $code
fi
exec %[2]s "$@"
`, r.dir, real, chaosFile, chaosHit, chaosHeld)
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
	w := &process{t: r.t, log: r.path(name + ".log"), args: append([]string{
		"worker", "--pool", "local", "--name", name, "--dir", r.path(name), "--slots", strconv.Itoa(slots), "--sidecar", r.wires.over(r.wires.toSidecar, r.base()), "--nats", r.wires.over(r.wires.toNATS, r.nats.WorkerURL("local", name)),
		"--token-file", r.path("keys/local.token"), "--keys-dir", r.path("keys"), "--terraform", r.path("terraform"), "--cli-config", cliConfig(r.t),
	}, r.options.worker...), env: append([]string{"ROADBED_POSTGRES_DSN=" + parts.target.DSN("postgres")}, r.options.variables...)}
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

// runDirectories are what a worker keeps of its runs.
func (r *road) runDirectories(worker string) []string {
	found, _ := filepath.Glob(r.path(worker + "/runs/*"))
	return found
}
