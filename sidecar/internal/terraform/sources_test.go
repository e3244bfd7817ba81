package terraform

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	tfjson "github.com/hashicorp/terraform-json"
)

// tracedModule reaches its parameters in every way that a module can.
var tracedModule = fstest.MapFS{
	"main.tf": {Data: []byte(`
variable "roadbed" { type = any }
variable "size" { type = number }
variable "public" { type = bool }
variable "environment" { type = string }
variable "copies" { type = map(number) }
variable "secret" {
  type      = string
  sensitive = true
}

locals {
  storage  = local.settings.size * 2
  settings = { size = var.size, open = var.public }
  open     = var.environment != "prod" && local.settings.open
  self     = local.loop
  loop     = "x"
}

resource "terraform_data" "direct" { input = { size = var.size, fixed = 1, secret = var.secret, team = var.roadbed.tags } }
resource "terraform_data" "local" { input = { storage = local.storage, open = local.open } }
resource "terraform_data" "whole" { input = local.settings }
resource "terraform_data" "plain" { input = "nothing of it" }
resource "terraform_data" "each" {
  for_each = var.copies
  input    = { copy = each.value, where = var.environment }
}
resource "terraform_data" "other" { input = { of = terraform_data.each["a"].input, made = module.child["a.b"].size } }
module "child" {
  source   = "./child"
  for_each = toset(["a.b"])
  quantity = local.storage
  exposed  = var.public ? "yes" : "no"
}
`)},
	"child/main.tf": {Data: []byte(`
variable "quantity" { type = number }
variable "exposed" { type = string }
locals { halves = var.quantity / 2 }
resource "terraform_data" "store" { input = { size = local.halves, exposed = var.exposed } }
module "grand" {
  source = "./grand"
  count  = var.exposed == "yes" ? 1 : 0
  amount = local.halves
}
output "size" { value = local.halves }
`)},
	"child/grand/main.tf": {Data: []byte(`
variable "amount" { type = number }
resource "terraform_data" "deep" { input = { amount = var.amount } }
`)},
}

func TestEachAttributeIsTracedToTheParametersItComesFrom(t *testing.T) {
	t.Parallel()
	s := settings(t)
	prepared, err := s.Prepare(t.Context(), t.TempDir(), "sha256:0", "local", func(context.Context) (fs.FS, error) { return tracedModule, nil })
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Cleanup(func() { _ = os.RemoveAll(TempDir(home)) })
	var redactor Redactor
	run, err := s.Open(home, s.Binary.Path, &redactor)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Fill(prepared); err != nil {
		t.Fatal(err)
	}
	err = run.WriteVariables(prepared, map[string]any{
		"size": 5, "public": true, "environment": "dev", "copies": map[string]any{"a": 1}, "roadbed": map[string]any{"tags": map[string]any{}},
	}, map[string]any{"secret": "canary-0815"})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := run.Plan(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string][]string{}
	for _, change := range changes {
		got[change.Address] = change.Sources
	}
	want := map[string]map[string][]string{
		"terraform_data.direct": {"input": {"size", "secret"}, "input.size": {"size"}, "input.secret": {"secret"}},
		"terraform_data.local": {
			"input": {"environment", "size", "public"}, "input.storage": {"size"}, "input.open": {"environment", "public"},
		},
		"terraform_data.whole":                                    {"input": {"size", "public"}, "input.size": {"size"}, "input.open": {"public"}},
		"terraform_data.plain":                                    nil,
		`terraform_data.each["a"]`:                                {"count": {"copies"}, "input": {"environment", "copies"}, "input.copy": {"copies"}, "input.where": {"environment"}},
		"terraform_data.other":                                    {"input": {"environment", "copies", "size"}, "input.of": {"environment", "copies"}, "input.of.copy": {"copies"}, "input.of.where": {"environment"}, "input.made": {"size"}},
		`module.child["a.b"].terraform_data.store`:                {"input": {"public", "size"}, "input.size": {"size"}, "input.exposed": {"public"}},
		`module.child["a.b"].module.grand[0].terraform_data.deep`: {"count": {"public"}, "input": {"size"}, "input.amount": {"size"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if text, _ := json.Marshal(changes); strings.Contains(string(text), "canary") {
		t.Errorf("a secret is among the changes: %s", text)
	}
}

func TestBlocksAndDynamicBlocksAreTraced(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	err := os.WriteFile(filepath.Join(work, "main.tf"), []byte(`
resource "aws_security_group" "door" {
  name = "door"
  ingress {
    cidr_blocks = [var.range]
  }
  dynamic "ingress" {
    for_each = var.ports
    iterator = port
    content {
      from_port   = port.value
      cidr_blocks = local.ranges
    }
  }
  lifecycle { ignore_changes = [name] }
}
locals {
  ranges = concat(local.more, [var.other])
  more   = local.ranges
}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	got := newTracer(work).sources(&tfjson.ResourceChange{Mode: tfjson.ManagedResourceMode, Type: "aws_security_group", Name: "door"})
	want := map[string][]string{
		"ingress": {"ports"}, "ingress.cidr_blocks": {"range", "other"}, "ingress.from_port": {"ports"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func TestWhatMakesAReplacementIsNamed(t *testing.T) {
	t.Parallel()
	paths := []any{[]any{"input", json.Number("0"), "name"}, []any{"engine"}, []any{"engine"}, []any{}}
	if diff := cmp.Diff([]string{"engine", "input.name"}, replacing(paths)); diff != "" {
		t.Errorf("replacing (-want +got):\n%s", diff)
	}
}

func TestAModuleThatCannotBeReadIsTracedToNothing(t *testing.T) {
	t.Parallel()
	if got := newTracer(filepath.Join(t.TempDir(), "none")).sources(&tfjson.ResourceChange{Type: "x", Name: "y", ModuleAddress: "module.gone"}); got != nil {
		t.Errorf("sources = %v, want none", got)
	}
}
