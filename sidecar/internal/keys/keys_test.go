package keys_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/keys"
)

func TestRing(t *testing.T) {
	dir := t.TempDir()
	if err := keys.Create(dir, "local", "other"); err != nil {
		t.Fatal(err)
	}
	load := func(holder string) *keys.Ring {
		ring, err := keys.Load(dir, holder)
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	sealed, err := load(keys.Sidecar).Seal("local", []byte("hunter22"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hunter22")) {
		t.Error("the sealed text has the plain one in it")
	}
	for _, holder := range []string{keys.Sidecar, "local"} {
		plain, err := load(holder).Open(sealed)
		if err != nil || string(plain) != "hunter22" {
			t.Errorf("%s opened %q, %v; want hunter22", holder, plain, err)
		}
	}
	if plain, err := load("other").Open(sealed); err == nil {
		t.Errorf("another pool opened %q", plain)
	}
}

func TestCreateKeepsKeys(t *testing.T) {
	dir := t.TempDir()
	read := func() string {
		if err := keys.Create(dir, "local"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "local.key"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if first := read(); first != read() {
		t.Error("a second Create made another key")
	}
	info, err := os.Stat(filepath.Join(dir, "local.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key has mode %v, %v; want 0600", info.Mode(), err)
	}
}

// TestARotationThatWasCutShortLosesNothing kills Rotate between its two files:
// what is sealed meanwhile is sealed for a key that must not be dropped.
func TestARotationThatWasCutShortLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := keys.Create(dir, "local"); err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(dir, "local.pub")
	old, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Rotate(dir, "local"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(public, old, 0o644); err != nil { // the kill came before it
		t.Fatal(err)
	}
	load := func(holder string) *keys.Ring {
		t.Helper()
		ring, err := keys.Load(dir, holder)
		if err != nil {
			t.Fatal(err)
		}
		return ring
	}
	sealed, err := load(keys.Sidecar).Seal("local", []byte("meanwhile"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load("local").Newest().Open(sealed); err == nil {
		t.Fatal("the newest key opens what is sealed for the older one, so the test shows nothing")
	}
	if n, err := keys.Retire(dir, "local"); err == nil {
		t.Errorf("retired %d keys, of which one is in use", n)
	}
	if err := keys.Rotate(dir, "local"); err != nil {
		t.Fatal(err)
	}
	if plain, err := load("local").Open(sealed); err != nil || string(plain) != "meanwhile" {
		t.Errorf("after another rotation it opens as %q, %v", plain, err)
	}
	if n, err := keys.Retire(dir, "local"); err != nil || n != 2 {
		t.Errorf("retired %d, %v; want both older ones", n, err)
	}
}
