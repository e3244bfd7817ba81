package terraform

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const thingModule = "terraform {\n  required_providers {\n    thing = { source = \"example.invalid/a/thing\", version = \"%s\" }\n  }\n}\n" + echoModule

// mirror has a provider that would tell if it were run; init does not run it.
func mirror(t *testing.T, versions ...string) (cliConfig, ran string) {
	t.Helper()
	dir := t.TempDir()
	ran = filepath.Join(dir, "ran")
	for _, v := range versions {
		file := filepath.Join(dir, "mirror", "example.invalid", "a", "thing", v, runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-thing_v"+v)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("#!/bin/sh\ntouch "+ran+"\n# "+v+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cliConfig = filepath.Join(dir, "terraform.rc")
	if err := os.WriteFile(cliConfig, []byte("provider_installation {\n  filesystem_mirror {\n    path = \""+filepath.Join(dir, "mirror")+"\"\n  }\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return cliConfig, ran
}

func TestOnlyLockedProvidersAreTaken(t *testing.T) {
	t.Parallel()
	s := settings(t)
	var ran string
	s.CLIConfig, ran = mirror(t, "1.0.0", "2.0.0")
	with := func(version string, allowed Providers) (Prepared, error) {
		s := s
		s.Providers = allowed
		return s.Prepare(t.Context(), t.TempDir(), "sha256:0", "local", module(strings.Replace(thingModule, "%s", version, 1)))
	}
	prepared, err := with("1.0.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ReadProviders(filepath.Join(prepared.Dir, lockFile))
	if err != nil || locked["example.invalid/a/thing"].Version != "1.0.0" {
		t.Fatalf("the lock file says %v, %v", locked, err)
	}
	const address = "example.invalid/a/thing"
	tests := map[string]struct {
		version string
		allowed Providers
		want    string // "" is taken
	}{
		"the one that is locked":      {"1.0.0", locked, ""},
		"one that nobody has listed":  {"1.0.0", Providers{}, "is not in the list"},
		"another version":             {"2.0.0", locked, "is 2.0.0, the list has 1.0.0"},
		"other bytes of that version": {"1.0.0", Providers{address: {"1.0.0", []string{"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ""}}}, "none of the hashes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := with(tt.version, tt.allowed)
			if tt.want == "" && err != nil || tt.want != "" && (provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Prepare = %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a provider ran before it was looked at")
	}
}
