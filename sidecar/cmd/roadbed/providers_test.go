package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

// TestTheListOfProvidersHasWhatOfferingsUse writes the list that a worker of the
// pool local is given, and prepares a module with nothing else.
func TestTheListOfProvidersHasWhatOfferingsUse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "providers.hcl")
	mirror := filepath.Join(repository(t), ".build", "mirror", "terraform.rc")
	command := func(more ...string) (code int, said string) {
		t.Helper()
		var out bytes.Buffer
		var c cli
		parser, err := newParser(t.Context(), &c, &out, &out, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.Parse(append([]string{"providers", "lock", file}, more...))
		if err != nil {
			t.Fatal(err)
		}
		c.Providers.Lock.CLIConfig = mirror
		if err := parsed.Run(slog.New(slog.DiscardHandler)); err != nil {
			return explain(&out, err), out.String()
		}
		return exitOK, out.String()
	}
	code, said := command("--implementation", "local")
	if code != exitOK || !strings.Contains(said, "registry.terraform.io/roadbed/postgres  0.1.0") {
		t.Fatalf("exit %d: %s", code, said)
	}
	listed, err := terraform.ReadProviders(file)
	if err != nil || len(listed) != 2 {
		t.Fatalf("the list has %v, %v; want those of both offerings", listed, err)
	}
	for address, provider := range listed {
		if provider.Version == "" || len(provider.Hashes) == 0 || !strings.HasPrefix(provider.Hashes[0], "h1:") {
			t.Errorf("%s is listed as %+v, want a version and a hash", address, provider)
		}
	}

	empty := filepath.Join(t.TempDir(), "terraform.rc")
	if err := os.WriteFile(empty, []byte("provider_installation {\n  filesystem_mirror {\n    path = \""+t.TempDir()+"\"\n  }\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mirror = empty
	if code, said := command("--implementation", "local"); code != exitFailed || !strings.Contains(said, "the module local of postgres-database") || !strings.Contains(said, "roadbed/postgres") {
		t.Errorf("without its providers: exit %d: %s", code, said)
	}
}
