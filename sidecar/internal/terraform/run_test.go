package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

const echoModule = `
variable "text" { type = string }
variable "secret" {
  type      = string
  sensitive = true
}
variable "roadbed" { type = any }
resource "terraform_data" "echo" { input = { text = var.text, secret = var.secret, tags = var.roadbed.tags } }
output "text" { value = nonsensitive(terraform_data.echo.output.text) }
output "all" {
  value     = terraform_data.echo.output
  sensitive = true
}
`

func settings(t *testing.T) Settings {
	t.Helper()
	binary, err := Find(t.Context(), Search{})
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Binary: binary}
}

func module(text string) func(context.Context) (fs.FS, error) {
	return func(context.Context) (fs.FS, error) {
		return fstest.MapFS{"main.tf": {Data: []byte(text)}}, nil
	}
}

func open(t *testing.T, s Settings, text string, values, sealed map[string]any, r *Redactor) *Run {
	t.Helper()
	prepared, err := s.Prepare(t.Context(), t.TempDir(), "sha256:0", "local", module(text))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Cleanup(func() { _ = os.RemoveAll(TempDir(home)) })
	run, err := s.Open(home, s.Binary.Path, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Fill(prepared); err != nil {
		t.Fatal(err)
	}
	if err := run.WriteVariables(prepared, values, sealed); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestAHostileParameterComesBackByteEqualAndNoSecretIsShown(t *testing.T) {
	t.Parallel()
	hostile := "${1+1} %{if true}x%{endif} \"q\" <&> \n\t\\ é \u2028 $${a} \"}\nresource \"x\" \"y\" {}"
	var redactor Redactor
	run := open(t, settings(t), echoModule, map[string]any{
		"text": hostile, "undeclared": "dropped", "roadbed": map[string]any{"tags": map[string]any{"Team": "a"}},
	}, map[string]any{"secret": "canary-0815"}, &redactor)
	changes, err := run.Plan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(changes); strings.Contains(string(text), "canary") {
		t.Errorf("a secret is among the changes: %s", text)
	}
	want := []provision.Change{{Address: "terraform_data.echo", Type: "terraform_data", Action: "create", After: map[string]any{
		"input": map[string]any{"text": hostile, "tags": map[string]any{"Team": "a"}}, "triggers_replace": nil,
	}, Sources: map[string][]string{"input": {"text", "secret"}, "input.text": {"text"}, "input.secret": {"secret"}}, Unknown: []string{"id", "output"}}}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	var kinds []string
	if err := run.Apply(t.Context(), func(line []byte) { kinds = append(kinds, ParseEvent(line).Kind) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(kinds, "apply_complete") {
		t.Errorf("events %v have no apply_complete", kinds)
	}
	state, _, ok := ReadState(run.Work)
	if !ok || state.Outputs["text"] != hostile {
		t.Errorf("output = %q, want %q", state.Outputs["text"], hostile)
	}
	if _, ok := state.Outputs["all"]; ok {
		t.Error("a sensitive output is among the outputs")
	}

	changes, err = run.PlanDestroy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Action != "delete" {
		t.Errorf("changes of a destroy = %v, want one delete", changes)
	}
}

func TestAPlanThatTerraformRefusesSaysWhyWithoutSecrets(t *testing.T) {
	t.Parallel()
	const text = `
variable "secret" { type = string }
resource "terraform_data" "a" {
  lifecycle {
    precondition {
      condition     = var.secret == ""
      error_message = "no luck with ${var.secret}"
    }
  }
}`
	var redactor Redactor
	redactor.Add("canary-0816")
	run := open(t, settings(t), text, map[string]any{"secret": "canary-0816"}, nil, &redactor)
	_, err := run.Plan(t.Context(), nil)
	var failure *Failure
	if !errors.As(err, &failure) {
		t.Fatalf("Plan = %v, want a Failure", err)
	}
	if got := failure.Detail(); !strings.Contains(got, "no luck with "+Masked) {
		t.Errorf("detail = %q", got)
	}
	if strings.Contains(err.Error()+failure.Detail()+failure.Unwrap().Error(), "canary") {
		t.Errorf("a secret is in the failure: %v\n%s", err, failure.Detail())
	}
}

func TestAPlanThatShowsASealedParameterInClearIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text          string
		plain, sealed map[string]any
	}{
		"the module takes its mark away": {`
variable "secret" { type = string }
resource "terraform_data" "a" { input = "x${nonsensitive(var.secret)}x" }`, nil, map[string]any{"secret": "canary-0817"}},
		"the secret is what the rules look for": {`
variable "secret" { type = string }
variable "class" { type = string }
resource "terraform_data" "a" { input = { secret = var.secret, class = var.class } }`,
			map[string]any{"class": "db.huge.24xlarge"}, map[string]any{"secret": "db.huge.24xlarge"}},
	}
	s := settings(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var redactor Redactor
			run := open(t, s, tt.text, tt.plain, tt.sealed, &redactor)
			_, err := run.Plan(t.Context(), nil)
			var failure *Failure
			if !errors.As(err, &failure) || failure.Summary() != "The plan shows a sensitive value in clear" {
				t.Errorf("Plan = %v, want it refused", err)
			}
		})
	}
}

func TestASealedParameterIsSensitiveThoughTheModuleForgotToSaySo(t *testing.T) {
	t.Parallel()
	var redactor Redactor
	run := open(t, settings(t), `
variable "secret" { type = string }
variable "class" { type = string }
resource "terraform_data" "a" { input = { secret = var.secret, class = var.class } }`,
		map[string]any{"class": "small"}, map[string]any{"secret": "canary-0818"}, &redactor)
	changes, err := run.Plan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"input": map[string]any{"class": "small"}, "triggers_replace": nil}
	if diff := cmp.Diff(want, changes[0].After); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}

func TestWhatWasSaidOpenlyIsNeverMasked(t *testing.T) {
	t.Parallel()
	var redactor Redactor
	run := open(t, settings(t), `
variable "note" { type = string }
variable "class" { type = string }
resource "terraform_data" "a" { input = { note = sensitive(var.note), class = var.class } }`,
		map[string]any{"note": "db.huge.24xlarge", "class": "db.huge.24xlarge"}, nil, &redactor)
	changes, err := run.Plan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"input": map[string]any{"class": "db.huge.24xlarge"}, "triggers_replace": nil}
	if diff := cmp.Diff(want, changes[0].After); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}

func TestTempDirFitsASocketHoweverLongTheHome(t *testing.T) {
	t.Parallel()
	for _, home := range []string{"/w/runs/1", "/" + strings.Repeat("long/", 40)} {
		if dir := TempDir(home); len(dir)+len("/plugin1234567890") > 104 {
			t.Errorf("TempDir(%q) = %q is too long", home, dir)
		}
	}
}

func TestPrepareInitialisesOnceForAll(t *testing.T) {
	t.Parallel()
	s, root := settings(t), t.TempDir()
	var unpacked atomic.Int32
	files := func(ctx context.Context) (fs.FS, error) {
		unpacked.Add(1)
		return module(echoModule)(ctx)
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			prepared, err := s.Prepare(t.Context(), root, "sha256:1", "local", files)
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff([]string{"roadbed", "secret", "text"}, prepared.Variables); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
		})
	}
	wait.Wait()
	if got := unpacked.Load(); got != 1 {
		t.Errorf("the module was unpacked %d times, want 1", got)
	}
	left, err := filepath.Glob(filepath.Join(root, ".preparing-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v (%v)", left, err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text, digest, want string
	}{
		"a module with a backend":        {"terraform {\n  backend \"local\" {}\n}\n" + echoModule, "sha256:2", "Roadbed keeps the state"},
		"an empty folder":                {``, "sha256:3", "no module for implementation"},
		"a provider that is not there":   {"terraform {\n  required_providers {\n    x = { source = \"example.invalid/a/b\" }\n  }\n}\n" + echoModule, "sha256:4", "could not initialise"},
		"a module that cannot be parsed": {`resource "x" {`, "sha256:5", "cannot be read"},
		"a digest that leaves the root":  {echoModule, "../sha256", "is no name for a folder"},
	}
	s := settings(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Prepare(t.Context(), t.TempDir(), tt.digest, "local", module(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Prepare = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	found, err := Find(t.Context(), Search{})
	if err != nil || !filepath.IsAbs(found.Path) || found.Version == "" {
		t.Fatalf("Find = %+v, %v", found, err)
	}
	again, err := Find(t.Context(), Search{Path: found.Path})
	if err != nil || again != found {
		t.Errorf("Find by path = %+v, %v; want %+v", again, err, found)
	}
	if _, err := Find(t.Context(), Search{Path: "/nowhere/terraform"}); provision.KindOf(err) != provision.Unavailable {
		t.Errorf("Find of a path that is not there = %v, want Unavailable", err)
	}
	fake := filepath.Join(t.TempDir(), "terraform")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho hello\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), Search{Path: fake}); err == nil || !strings.Contains(err.Error(), "neither Terraform nor OpenTofu") {
		t.Errorf("Find of another program = %v", err)
	}
}

func TestSettingsCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings Settings
		wantOK   bool
	}{
		"a provider's variable may pass":       {Settings{Variables: map[string]string{"ROADBED_POSTGRES_DSN": "x"}}, true},
		"Terraform's own variables may not":    {Settings{Variables: map[string]string{"TF_CLI_ARGS": "-lock=false"}}, false},
		"the loader's variables may not":       {Settings{Variables: map[string]string{"LD_PRELOAD": "x"}}, false},
		"a CLI configuration must be readable": {Settings{CLIConfig: "/nowhere/terraform.rc"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := tt.settings.Check(); (err == nil) != tt.wantOK {
				t.Errorf("Check = %v, want ok = %v", err, tt.wantOK)
			}
		})
	}
}
