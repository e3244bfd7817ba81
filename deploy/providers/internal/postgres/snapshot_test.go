package postgres_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheLastSnapshotBringsEverythingBack drops a database and makes what it held
// again from what was written before.
func TestTheLastSnapshotBringsEverythingBack(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kept", "snap's.dump")
	m, _ := newModule(t, "snap", map[string]any{"final_snapshot": file})
	m.Apply()
	m.Settled()
	password := m.Outputs()["password"].(string)
	do(t, connect(t, rig.As("snap", password, "snap")), "CREATE TABLE orders (id int)", "INSERT INTO orders VALUES (1), (2)")
	m.Destroy()
	admin := connect(t, rig.DSN)
	if left := ask(t, admin, "SELECT concat(count(*)) FROM pg_database WHERE datname = 'snap'"); left != "0" {
		t.Fatal("it was not dropped")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the snapshot is %v (%v), want a file for its owner alone", info, err)
	}
	do(t, admin, "CREATE DATABASE snap")
	again, err := url.Parse(rig.DSN)
	if err != nil {
		t.Fatal(err)
	}
	again.Path = "/snap"
	if out, err := exec.Command("pg_restore", "--no-owner", "--no-acl", "--dbname="+again.String(), file).CombinedOutput(); err != nil {
		t.Fatalf("pg_restore: %v\n%s", err, out)
	}
	if sum := ask(t, connect(t, again.String()), "SELECT concat(sum(id)) FROM orders"); sum != "3" {
		t.Errorf("the orders sum up to %s, want 3", sum)
	}
}

// TestWithoutItsLastSnapshotNothingIsDropped has a snapshot that cannot be
// written.
func TestWithoutItsLastSnapshotNothingIsDropped(t *testing.T) {
	t.Parallel()
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m, variables := newModule(t, "snapless", map[string]any{"final_snapshot": filepath.Join(inTheWay, "snap.dump")})
	m.Apply()
	out, code := m.Try("destroy", "-auto-approve", "-input=false", "-no-color")
	if code == 0 || !strings.Contains(out, "folder of the last snapshot") {
		t.Errorf("destroyed with code %d:\n%s", code, out)
	}
	admin := connect(t, rig.DSN)
	if left := ask(t, admin, "SELECT concat(count(*)) FROM pg_database WHERE datname = 'snapless'"); left != "1" {
		t.Error("it was dropped without its snapshot")
	}
	delete(variables, "final_snapshot")
	m.Variables(variables)
	m.Apply()
	m.Destroy()
}
