package terraform

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// TestAProviderThatWasChangedIsRefusedBeforeItRuns changes a provider after its
// module was initialised, so that neither its size nor its time tells.
func TestAProviderThatWasChangedIsRefusedBeforeItRuns(t *testing.T) {
	t.Parallel()
	s := settings(t)
	var ran string
	s.CLIConfig, ran = mirror(t, "1.0.0")
	module := module("terraform {\n  required_providers {\n    thing = { source = \"example.invalid/a/thing\", version = \"1.0.0\" }\n  }\n}\nresource \"thing\" \"one\" {}\noutput \"x\" { value = 1 }\n")
	prepared, err := s.Prepare(t.Context(), t.TempDir(), "sha256:0", "local", module)
	if err != nil {
		t.Fatal(err)
	}
	plan := func() error {
		home := t.TempDir()
		defer os.RemoveAll(TempDir(home))
		run, err := s.Open(home, s.Binary.Path, &Redactor{})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Fill(prepared); err != nil {
			t.Fatal(err)
		}
		if err := run.WriteVariables(prepared, nil, nil); err != nil {
			t.Fatal(err)
		}
		_, err = run.Plan(t.Context(), nil)
		return err
	}
	if err := plan(); err == nil {
		t.Fatal("a shell script passed for a provider")
	}
	if err := os.Remove(ran); err != nil {
		t.Fatalf("the provider that was locked did not run, so the test shows nothing: %v", err)
	}
	file := prepared.Providers[0].Path
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(was[:len(was)-2], "1\n"...), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, prepared.Providers[0].Changed, prepared.Providers[0].Changed); err != nil {
		t.Fatal(err)
	}
	if _, err := readPrepared(prepared.Dir); err != nil {
		t.Fatalf("its size or time tells: %v", err)
	}
	if err := plan(); err == nil || !strings.Contains(err.Error(), "Required plugins are not installed") {
		t.Errorf("a plan with a changed provider: %v, want that what was locked is not there", err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the changed provider ran")
	}
}

func TestAListOfProvidersIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	list := Providers{
		"registry.terraform.io/a/b": {"1.0.0", []string{"zh:22", "h1:11", "zh:22"}},
		"example.invalid/c/d":       {"2.0.0", nil},
	}
	file := filepath.Join(t.TempDir(), "providers.hcl")
	if err := os.WriteFile(file, list.Text(), 0o600); err != nil {
		t.Fatal(err)
	}
	want := Providers{"registry.terraform.io/a/b": {"1.0.0", []string{"h1:11", "zh:22"}}, "example.invalid/c/d": {"2.0.0", nil}}
	if got, err := ReadProviders(file); err != nil {
		t.Fatal(err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOverridesDoNotGetPastAListOfProviders(t *testing.T) {
	t.Parallel()
	s := settings(t)
	s.CLIConfig = filepath.Join(t.TempDir(), "terraform.rc")
	for text, want := range map[string]string{
		"provider_installation {\n  dev_overrides { \"a/b\" = \"/x\" }\n  direct {}\n}\n": "dev_overrides",
		"# no dev_overrides here\nprovider_installation {\n  direct {}\n}\n":              "",
		"provider_installation = { \"dev_overrides\" = { \"a/b\" = \"/x\" } }\n":          "dev_overrides",
	} {
		if err := os.WriteFile(s.CLIConfig, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Providers = Providers{}
		err := s.Check()
		if want == "" && err != nil || want != "" && (provision.KindOf(err) != provision.Invalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		s.Providers = nil
		if err := s.Check(); err != nil {
			t.Errorf("%q without a list: %v", text, err)
		}
	}
}
