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
