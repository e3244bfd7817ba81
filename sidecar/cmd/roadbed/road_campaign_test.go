package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestRoadCampaign publishes a version of what five notes are made of, has the
// upgrades planned by a worker, approves what changes one and not what makes it
// anew, and rolls that out in rings while the sidecar is killed.
func TestRoadCampaign(t *testing.T) {
	t.Parallel()
	publish := func(dir string, files map[string]string) {
		for name, text := range files {
			text = strings.Replace(text, "options: [dev]", "options: [dev, staging]", 1)
			writeFile(t, filepath.Join(dir, name), text)
		}
	}
	r := newRoad(t, options{approvals: true, offerings: func(dir string) { publish(dir, note("1.0.0", "colour", "red")) }})
	r.startWorker("w1")
	owner, platform := r.as(ann), r.as(pat)
	made := map[uuid.UUID]api.Request{}
	for n := range 5 {
		submission := r.submission([]string{"dev", "staging"}[n%2])
		submission.Offering = "note"
		if n == 4 {
			submission.Parameters["colour"] = "anew"
		}
		request := r.submit(submission)
		r.untilState(request.Id, provision.Succeeded)
		made[*request.InstanceId] = request
	}
	// Version 2 says it in other words, and makes anew what was to be.
	second := note("2.0.0", "colour", "red")
	second["note/module/local/main.tf"] = strings.Replace(second["note/module/local/main.tf"], `resource "terraform_data" "note" { input = "${var.database_name} is ${var.colour}" }`, `
resource "terraform_data" "note" {
  input            = "${var.database_name} is painted ${var.colour}"
  triggers_replace = var.colour == "anew" ? ["2"] : null
}`, 1)
	r.sidecar.stop()
	publish(r.path("offerings"), second)
	r.sidecar.start()
	r.untilReady()
	campaign, err := platform.MakeCampaign(t.Context(), uuid.NewString(), api.CampaignAsk{Offering: "note", Version: "2.0.0", AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.MakeCampaign(t.Context(), uuid.NewString(), api.CampaignAsk{Offering: "note", Version: "2.0.0"}); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann makes a campaign: %v", err)
	}
	show := func() api.Campaign {
		t.Helper()
		campaign, err := platform.Campaign(t.Context(), campaign.Id)
		if err != nil {
			t.Fatal(err)
		}
		return campaign
	}
	r.until("every upgrade is planned", func() bool { return show().Counts.Unapproved == 5 })
	groups := show().Groups
	if len(groups) != 2 || !strings.HasPrefix(groups[0].Title, "replace terraform data (") || groups[0].Counts.Instances != 1 ||
		!strings.HasPrefix(groups[1].Title, "update terraform data (input") || groups[1].Counts.Instances != 4 || groups[0].Confirm != "replace terraform_data" {
		t.Fatalf("groups are %+v", groups)
	}
	for id, request := range made {
		i, err := owner.Instance(t.Context(), id)
		if err != nil || i.Instance.Generation != 1 || i.Instance.RequestId != request.Id {
			t.Errorf("planning has touched %+v, %v", i.Instance, err)
		}
	}
	if _, err := platform.ApproveGroup(t.Context(), campaign.Id, groups[0].Shape, api.GroupApprove{}); provision.KindOf(err) != provision.Invalid {
		t.Errorf("what loses something was approved without its confirmation: %v", err)
	}
	if _, err := platform.ApproveGroup(t.Context(), campaign.Id, groups[1].Shape, api.GroupApprove{Reason: "only words"}); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.MoveCampaign(t.Context(), campaign.Id, "start", ""); err != nil {
		t.Fatal(err)
	}
	r.until("the first upgrade is done", func() bool { return show().Counts.Done >= 1 })
	r.sidecar.kill()
	r.sidecar.start()
	r.untilReady()
	r.until("the approved group is done", func() bool { return show().Counts.Done == 4 })
	final := show()
	if final.Counts.Unapproved != 1 || final.State != provision.CampaignRunning || final.Counts.Failed != 0 {
		t.Errorf("in the end it is %s: %+v", final.State, final.Counts)
	}
	wantRings(t, r, final)
	for _, m := range final.Members {
		i, err := owner.Instance(t.Context(), m.InstanceId)
		text, _ := i.Instance.Outputs["text"].(string)
		if approved := m.Shape == groups[1].Shape; err != nil || approved != strings.Contains(text, " is painted ") || approved != (i.Instance.Generation == 2) {
			t.Errorf("%s says %q in generation %d, %v", m.Name, text, i.Instance.Generation, err)
		}
	}
	r.audit()
}

// wantRings holds that each member was asked for once, and staging only after dev.
func wantRings(t *testing.T, r *road, c api.Campaign) {
	t.Helper()
	list, err := r.as(ann).Requests(t.Context(), api.ListRequestsParams{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, request := range slices.Backward(list.Items) {
		if request.RequestedBy == provision.CampaignSubject {
			if request.Rollout == nil || request.Rollout.Campaign != c.Id || request.Rollout.ApprovedBy != pat {
				t.Errorf("request %s says it is of %+v", request.Id, request.Rollout)
			}
			order = append(order, request.Environment)
		}
	}
	if want := []string{"dev", "dev", "staging", "staging"}; !slices.Equal(order, want) {
		t.Errorf("asked for in the order %v, want %v", order, want)
	}
}
