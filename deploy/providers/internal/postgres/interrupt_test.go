package postgres_test

import (
	"bufio"
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/deploy/providers/internal/testkit"
)

// creationWaits is the statement that counts creations which wait for a lock.
const creationWaits = "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%' AND wait_event_type = 'Lock'"

// journal is what an apply said of itself.
type journal struct {
	completed map[string]string // address to id, as name=value
	took      time.Duration     // from the signal to the end
}

// signalledApply applies and sends a signal to Terraform and its providers
// once the database's creation has begun and ready has returned.
func signalledApply(t *testing.T, m *testkit.Module, signal syscall.Signal, ready func()) journal {
	t.Helper()
	cmd := m.Command("apply", "-auto-approve", "-input=false", "-json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	target := cmd.Process.Pid
	if signal == syscall.SIGKILL {
		target = -target // SIGINT is Terraform's to pass on; nobody passes on SIGKILL
	}
	guard := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()

	var sent time.Time
	said := journal{completed: map[string]string{}}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var event struct {
			Type string
			Hook struct {
				Resource struct{ Addr string }
				IDKey    string `json:"id_key"`
				IDValue  string `json:"id_value"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		switch {
		case event.Type == "apply_complete":
			said.completed[event.Hook.Resource.Addr] = event.Hook.IDKey + "=" + event.Hook.IDValue
		case event.Type == "apply_start" && event.Hook.Resource.Addr == "postgres_database.main":
			ready()
			sent = time.Now()
			if err := syscall.Kill(target, signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the apply succeeded, though it was sent a signal")
	}
	said.took = time.Since(sent)
	return said
}

// lockCatalog stops every creation of a database until the function that it
// returns is called. Tests that use it do not run beside others.
func lockCatalog(t *testing.T) (release func()) {
	t.Helper()
	conn := connect(t, rig.DSN)
	do(t, conn, "BEGIN", "LOCK TABLE pg_database IN EXCLUSIVE MODE")
	return func() { do(t, conn, "ROLLBACK") }
}

// until polls a query until it yields something else than 0.
func until(t *testing.T, query string) {
	t.Helper()
	conn := connect(t, rig.DSN)
	for deadline := time.Now().Add(time.Minute); ask(t, conn, query) == "0"; {
		if time.Now().After(deadline) {
			t.Errorf("after a minute still 0: %s", query)
			return
		}
	}
}

// goesOn checks what an interrupted apply has left, and that the next one
// makes the rest.
func goesOn(t *testing.T, m *testkit.Module, took time.Duration) {
	t.Helper()
	t.Logf("ended %v after SIGINT", took)
	if took > 5*time.Second {
		t.Errorf("it took %v to end, want less than 5 s", took)
	}
	if diff := cmp.Diff([]string{"postgres_role.owner", "postgres_role.reader"}, m.Addresses()); diff != "" {
		t.Errorf("state: %s", diff)
	}
	out, _ := m.Plan()
	wantText(t, out, "1 to add, 0 to change, 0 to destroy")
	m.Apply()
	m.Settled()
	m.Destroy()
}

func TestAnInterruptDuringTheDelayKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	m, variables := newModule(t, "slow", map[string]any{"delay": "10m"})
	said := signalledApply(t, m, syscall.SIGINT, func() {})
	// A journal of these is enough to import what a lost state held.
	if diff := cmp.Diff(map[string]string{"postgres_role.owner": "name=slow", "postgres_role.reader": "name=slow_reader"}, said.completed); diff != "" {
		t.Errorf("completed: %s", diff)
	}
	delete(variables, "delay")
	m.Variables(variables)
	goesOn(t, m, said.took)
}

func TestAnInterruptWhileTheServerIsAtWorkLeavesNothingHalfMade(t *testing.T) {
	m, _ := newModule(t, "busy", nil)
	release := lockCatalog(t)
	said := signalledApply(t, m, syscall.SIGINT, func() { until(t, creationWaits) })
	release()
	if got := ask(t, connect(t, rig.DSN), "SELECT count(*)::text FROM pg_database WHERE starts_with(datname::text, 'roadbed_new_')"); got != "0" {
		t.Error("a half-made database is left")
	}
	goesOn(t, m, said.took)
}

func TestAKilledApplyIsRepeatedThoughTheServerIsStillAtIt(t *testing.T) {
	m, _ := newModule(t, "killed", nil)
	release := lockCatalog(t)
	signalledApply(t, m, syscall.SIGKILL, func() { until(t, creationWaits) })
	if got := ask(t, connect(t, rig.DSN), creationWaits); got != "1" {
		t.Errorf("creations that the server is still at: %s, want 1", got)
	}
	m.Write("terraform.tfstate", "")
	again := make(chan string, 1)
	go func() {
		out, _ := m.Try("apply", "-auto-approve", "-input=false", "-no-color")
		again <- out
	}()
	until(t, "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'")
	release()
	wantText(t, <-again, "Apply complete! Resources: 3 added")
	m.Settled()
	if got := ask(t, connect(t, rig.DSN), "SELECT count(*)::text FROM pg_database WHERE starts_with(datname::text, 'roadbed_new_')"); got != "0" {
		t.Error("what the killed apply was making is left")
	}
	m.Destroy()
}
