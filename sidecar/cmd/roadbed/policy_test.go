package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roadbed.dev/roadbed/policies"
)

// ownPolicies is a copy of the built-in policies with one more file.
func ownPolicies(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPolicyTestRefusesWhatASidecarWouldRefuse(t *testing.T) {
	t.Parallel()
	dir := ownPolicies(t, "guardrails/size.rego", `package roadbed.guardrails.size

findings contains input.name if input.parameters.size_gb > data.limits.size.above_gb
`)
	var out, errOut strings.Builder
	code := run(t.Context(), []string{"policy", "test", "--policies", dir}, &out, &errOut)
	if want := "guardrails/size.rego reads data.limits.size.above_gb, which no file in data supplies"; code != exitFailed || !strings.Contains(errOut.String(), want) {
		t.Errorf("exit %d, %q, want %d and %q", code, errOut.String(), exitFailed, want)
	}
	if want := "! guardrails/size.rego:3: no test reaches this"; !strings.Contains(out.String(), want) {
		t.Errorf("printed %q, want %q: a rule without a test is named though the others reach enough", out.String(), want)
	}
}

func TestPolicyFormatRewritesWhatLintNames(t *testing.T) {
	t.Parallel()
	const name = "lib/extra.rego"
	dir := ownPolicies(t, name, "package roadbed.lib.extra\n\nextra  :=   1\n")
	var out, errOut strings.Builder
	if code := run(t.Context(), []string{"policy", "format", "--policies", dir}, &out, &errOut); code != exitOK {
		t.Fatalf("exit %d: %s", code, errOut.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if want := "package roadbed.lib.extra\n\nextra := 1\n"; err != nil || string(text) != want {
		t.Errorf("%s is %q, %v, want %q", name, text, err, want)
	}
	if want := "wrote " + filepath.Join(dir, name) + "\n"; out.String() != want {
		t.Errorf("printed %q, want %q alone: the rest was formatted already", out.String(), want)
	}
}
