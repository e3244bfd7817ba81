package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// vault is an offering whose module does what its parameters say, be it wrong:
// terraform_data stands for a data store.
var vault = map[string]string{
	"offering.yaml": `name: Vault
description: Keeps things
category: storage
version: 1.0.0
parameters:
  - {name: database_name, type: string, required: true, pattern: "^[a-z][a-z0-9-]{2,40}$", description: Name}
  - {name: environment, type: enum, required: true, options: [dev, staging], description: Where}
  - {name: team_owner, type: string, required: true, description: Team}
  - {name: cost_center, type: string, required: true, description: Cost centre}
  - {name: size, type: integer, default: 10, min: 1, max: 100, description: Gigabytes}
  - {name: engine, type: string, default: a, description: Engine}
  - {name: exposed, title: Public access, type: boolean, default: false, description: Whether everyone may come}
  - {name: encrypted, type: boolean, default: true, description: Whether it is encrypted}
  - {name: copies, type: integer, default: 1, min: 1, max: 3, description: How many}
  - {name: note, type: string, default: "", description: A note beside it}
cost_estimate:
  monthly_min: 1
  monthly_max: 100
  formula: |
    total = size * 1
implementations:
  local:
    price:
      counted: terraform_data.store
      parameters: {size: input.size}
`,
	"module/local/main.tf": `
variable "roadbed" { type = any }
variable "database_name" { type = string }
variable "environment" { type = string }
variable "team_owner" { type = string }
variable "cost_center" { type = string }
variable "size" { type = number }
variable "engine" { type = string }
variable "exposed" { type = bool }
variable "encrypted" { type = bool }
variable "copies" { type = number }
variable "note" { type = string }

locals {
  door = { open = var.exposed }
}

resource "terraform_data" "store" {
  count            = var.copies
  input            = { size = var.size, publicly_accessible = local.door.open, storage_encrypted = var.encrypted }
  triggers_replace = { engine = var.engine }
}

resource "terraform_data" "note" {
  count = var.note == "" ? 0 : 1
  input = var.note
}
`,
}

func writeVault(t *testing.T) func(dir string) {
	return func(dir string) {
		for name, text := range vault {
			writeFile(t, filepath.Join(dir, "vault", name), text)
		}
	}
}

// vaultPolicies are the built-in ones, for which terraform_data is a data store
// too.
func vaultPolicies(t *testing.T) func(dir string) {
	return servedPolicies(t, "data/plan.yaml", func(text string) string {
		more := strings.NewReplacer(
			"    aws_db_instance:\n      - {attribute: publicly_accessible", "    terraform_data:\n      - {attribute: input.publicly_accessible, is: [true], source: \"https://example.org/open\"}\n    aws_db_instance:\n      - {attribute: publicly_accessible",
			"    aws_db_instance:\n      - {attribute: storage_encrypted", "    terraform_data:\n      - {attribute: input.storage_encrypted, is: [false], source: \"https://example.org/sealed\"}\n    aws_db_instance:\n      - {attribute: storage_encrypted",
			"    postgres_database: \"https", "    terraform_data: \"https://example.org/lost\"\n    postgres_database: \"https",
		).Replace(text)
		if strings.Count(more, "example.org") != 3 {
			t.Fatal("the built-in policies' data is not as this test knows it")
		}
		return more
	})
}

// servedPolicies are the built-in policies with one file edited. Their tests stay
// away: they hold what the built-in data says.
func servedPolicies(t testing.TB, file string, edit func(text string) string) func(dir string) {
	return func(dir string) {
		if err := os.CopyFS(dir, policies.FS); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.rego") {
				return os.Remove(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, edit(string(text)))
	}
}

// TestThePlanIsGuardedAndPriced goes the road with an offering whose plan is not
// what its form says: what is wrong is denied by the parameter that made it so,
// and what is made costs what is made.
func TestThePlanIsGuardedAndPriced(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{offerings: writeVault(t), policies: vaultPolicies(t)})
	r.startWorker("w1")
	ask := func(changed provision.Parameters) api.Submission {
		s := r.submission("dev")
		s.Offering = "vault"
		for name, value := range changed {
			s.Parameters[name] = value
		}
		return s
	}
	look := func(id uuid.UUID) api.Request {
		t.Helper()
		request, err := r.as(ann).Request(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return request
	}
	found := func(request api.Request, rule string) provision.Finding {
		t.Helper()
		for _, f := range request.Findings {
			if f.Rule == rule {
				return f
			}
		}
		t.Fatalf("there is no finding of %s among %+v", rule, request.Findings)
		return provision.Finding{}
	}

	wrong := r.submit(ask(provision.Parameters{"exposed": true, "encrypted": false}))
	r.untilState(wrong.Id, provision.DeniedState)
	denied := look(wrong.Id)
	open := found(denied, "open_to_world")
	if open.Path != "exposed" || open.Address != "terraform_data.store[0]" || open.Attribute != "input.publicly_accessible" || open.Source != "https://example.org/open" ||
		!strings.HasPrefix(open.Message, "Because of Public access, the resource terraform_data.store[0] would be open to everyone") {
		t.Errorf("the finding is %+v, want what makes it open, where and why not", open)
	}
	if sealed := found(denied, "unencrypted"); sealed.Path != "encrypted" || sealed.Level != provision.LevelDeny {
		t.Errorf("the finding is %+v, want the parameter that leaves it unencrypted", sealed)
	}
	if denied.Plan == nil || denied.Plan.Create != 1 || denied.PlanEstimate == nil {
		t.Errorf("the plan is %+v at %+v, want what would have been made", denied.Plan, denied.PlanEstimate)
	}

	made := r.submit(ask(provision.Parameters{"copies": 2, "note": "hello"}))
	if made.MonthlyCost.String() != "$10.00" {
		t.Errorf("the form's price is %s, want $10.00", made.MonthlyCost)
	}
	r.untilState(made.Id, provision.Succeeded)
	done := look(made.Id)
	if done.MonthlyCost.String() != "$20.00" || done.PlanEstimate.MonthlyCost.String() != "$20.00" || done.Estimate.MonthlyCost.String() != "$10.00" {
		t.Errorf("it costs %s by a plan of %s after a form of %s, want two times what the form said", done.MonthlyCost, done.PlanEstimate.MonthlyCost, done.Estimate.MonthlyCost)
	}
	if u := done.PlanEstimate.Unpriced; len(u) != 1 || u[0] != (provision.Unpriced{Address: "terraform_data.note[0]", Type: "terraform_data"}) {
		t.Errorf("unpriced are %+v, want the note", u)
	}
	instance, err := r.as(ann).Instance(t.Context(), *made.InstanceId)
	if err != nil || instance.Instance.MonthlyCost.String() != "$20.00" {
		t.Errorf("the instance costs %s (%v), want what its plan makes", instance.Instance.MonthlyCost, err)
	}
	if said := r.number("SELECT count(*) FROM verdicts WHERE request_id = $1 AND stage = 'plan' AND findings @> '[{\"rule\": \"price_differs\", \"level\": \"warn\"}, {\"rule\": \"unpriced_resources\"}]'", made.Id); said != 1 {
		t.Errorf("%d verdicts on the plan say that its price differs and is not whole, want 1", said)
	}

	replaced, err := r.as(ann).Update(t.Context(), uuid.NewString(), *made.InstanceId, provision.Parameters{"engine": "b"})
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(replaced.Id, provision.DeniedState)
	lost := found(look(replaced.Id), "data_store_lost")
	if lost.Path != "engine" || !strings.Contains(lost.Message, "would be replaced by an empty one") {
		t.Errorf("the finding is %+v, want the parameter that replaces the data", lost)
	}
}
