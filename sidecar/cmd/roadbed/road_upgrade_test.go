package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// note is an offering that needs no provider: a text with a colour, and since
// version 2 with a shape instead.
func note(version, parameter, value string) map[string]string {
	return map[string]string{
		"note/offering.yaml": `
name: Note
description: A text
category: tests
icon: note
version: ` + version + `
parameters:
  - {name: database_name, type: string, required: true, immutable: true, pattern: "^[a-z][a-z0-9-]{2,30}$"}
  - {name: environment, type: enum, required: true, options: [dev]}
  - {name: team_owner, type: string, required: true}
  - {name: cost_center, type: string, required: true}
  - {name: ` + parameter + `, type: string, default: ` + value + `}
outputs:
  - {name: text, description: What it says}
cost_estimate: {monthly_min: 1, monthly_max: 1, formula: "total = 1"}
steps:
  - {name: Validate request, phase: validate}
  - {name: Plan, phase: plan}
  - {name: Write, addresses: [terraform_data.note]}
`,
		"note/module/local/main.tf": `
variable "database_name" { type = string }
variable "environment" { type = string }
variable "team_owner" { type = string }
variable "cost_center" { type = string }
variable "` + parameter + `" { type = string }
variable "roadbed" { type = any }

resource "terraform_data" "note" { input = "${var.database_name} is ${var.` + parameter + `}" }

output "id" { value = terraform_data.note.id }
output "text" { value = terraform_data.note.output }
`,
	}
}

// TestRoadUpgrade makes a note by one version, publishes another and takes the
// note there: the same resource, changed in place, and ended by what made it.
func TestRoadUpgrade(t *testing.T) {
	t.Parallel()
	publish := func(dir string, files map[string]string) {
		for name, text := range files {
			writeFile(t, filepath.Join(dir, name), text)
		}
	}
	r := newRoad(t, options{offerings: func(dir string) { publish(dir, note("1.0.0", "colour", "red")) }})
	r.startWorker("w1")
	owner := r.as(ann)
	submission := r.submission("dev")
	submission.Offering = "note"
	made := r.submit(submission)
	r.untilState(made.Id, provision.Succeeded)
	first, err := owner.Instance(t.Context(), *made.InstanceId)
	if err != nil || first.Instance.AvailableVersion != "" {
		t.Fatalf("made: %+v, %v", first.Instance, err)
	}

	r.sidecar.stop()
	publish(r.path("offerings"), note("2.0.0", "shape", "round"))
	r.sidecar.start()
	r.untilReady()
	stale, err := owner.Instance(t.Context(), *made.InstanceId)
	if err != nil || stale.Instance.AvailableVersion != "2.0.0" || stale.Instance.OfferingVersion != "1.0.0" {
		t.Errorf("once version 2 is published: %+v, %v", stale.Instance, err)
	}
	update, err := owner.Update(t.Context(), uuid.NewString(), *made.InstanceId, provision.Parameters{"colour": "blue"})
	if err != nil {
		t.Fatalf("update by the version that made it: %v", err)
	}
	r.untilState(update.Id, provision.Succeeded)
	preview, err := owner.EvaluateChange(t.Context(), *made.InstanceId, api.ChangeEvaluation{Action: provision.Upgrade})
	if err != nil || len(preview.Changes) != 2 || preview.Changes[0].After != "round" || preview.Changes[1].Before != "blue" {
		t.Errorf("preview: %+v, %v; want the shape gained and the colour lost", preview.Changes, err)
	}
	upgrade, err := owner.Upgrade(t.Context(), uuid.NewString(), *made.InstanceId, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(upgrade.Id, provision.Succeeded)
	after, err := owner.Instance(t.Context(), *made.InstanceId)
	text, _ := after.Instance.Outputs["text"].(string)
	if err != nil || after.Instance.OfferingVersion != "2.0.0" || !strings.HasSuffix(text, " is round") || after.Instance.Outputs["id"] != first.Instance.Outputs["id"] {
		t.Errorf("upgraded: %+v, %v; want the same note, round", after.Instance, err)
	}
	destroy, err := owner.Destroy(t.Context(), uuid.NewString(), *made.InstanceId)
	if err != nil || destroy.OfferingVersion != "2.0.0" {
		t.Fatalf("destroy by %s, %v", destroy.OfferingVersion, err)
	}
	r.untilState(destroy.Id, provision.Succeeded)
	r.audit()
}
