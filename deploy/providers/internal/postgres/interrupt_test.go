package postgres_test

import (
	"bufio"
	"context"
	"encoding/json"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/deploy/providers/internal/testkit"
)

// interruptedApply applies and sends SIGINT once the database's creation has
// begun and ready has returned. It returns the ids of what was completed, as a
// journal would hold them, and how long it took to end.
func interruptedApply(t *testing.T, m *testkit.Module, ready func()) (map[string]string, time.Duration) {
	t.Helper()
	cmd := m.Command("apply", "-auto-approve", "-input=false", "-json")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()

	var interrupted time.Time
	completed := map[string]string{}
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
			completed[event.Hook.Resource.Addr] = event.Hook.IDKey + "=" + event.Hook.IDValue
		case event.Type == "apply_start" && event.Hook.Resource.Addr == "postgres_database.main":
			ready()
			interrupted = time.Now()
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the interrupted apply succeeded")
	}
	return completed, time.Since(interrupted)
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
	completed, took := interruptedApply(t, m, func() {})
	// A journal of these is enough to import what a lost state held.
	if diff := cmp.Diff(map[string]string{"postgres_role.owner": "name=slow", "postgres_role.reader": "name=slow_reader"}, completed); diff != "" {
		t.Errorf("completed: %s", diff)
	}
	delete(variables, "delay")
	m.Variables(variables)
	goesOn(t, m, took)
}

// It locks a catalog that every creation needs, so that it does not run beside
// the other tests.
func TestAnInterruptWhileTheServerIsAtWorkLeavesNothingHalfMade(t *testing.T) {
	m, _ := newModule(t, "busy", nil)
	ctx := context.Background()
	blocker, watcher := connect(t, rig.DSN), connect(t, rig.DSN)
	tx, err := blocker.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "LOCK TABLE pg_database IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	_, took := interruptedApply(t, m, func() {
		deadline := time.Now().Add(time.Minute)
		for ask(t, watcher, "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%' AND wait_event_type = 'Lock'") == "0" {
			if time.Now().After(deadline) {
				t.Error("CREATE DATABASE has not begun after a minute")
				return
			}
		}
	})
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, watcher, "SELECT count(*)::text FROM pg_database WHERE starts_with(datname::text, 'roadbed_new_')"); got != "0" {
		t.Error("a half-made database is left")
	}
	goesOn(t, m, took)
}
