package main

import (
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestRoadHandOver gives a database that is in use to another team: what it
// holds stays, and the team that had it can neither open it nor sign in.
func TestRoadHandOver(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{approvals: true})
	r.startWorker("w1")
	giver, receiver := r.as(ann), r.as(ben)
	submission := r.submission("dev")
	name, _ := submission.Parameters["database_name"].(string)
	made := r.submit(submission)
	r.untilState(made.Id, provision.Succeeded)
	old, err := giver.Credentials(t.Context(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, old, "username", "password")

	handing, err := giver.HandOver(t.Context(), uuid.NewString(), *made.InstanceId, "search", "CC-2001")
	if err != nil {
		t.Fatal(err)
	}
	r.untilState(handing.Id, provision.Succeeded)
	if _, err := giver.Credentials(t.Context(), *made.InstanceId); provision.KindOf(err) != provision.Denied {
		t.Errorf("the giver opens the credentials: %v, want a denial", err)
	}
	if _, err := giver.Instance(t.Context(), *made.InstanceId); provision.KindOf(err) != provision.Denied {
		t.Errorf("the giver reads it: %v, want a denial", err)
	}
	wantVoid(t, old)
	fresh, err := receiver.Credentials(t.Context(), *made.InstanceId)
	if err != nil {
		t.Fatal(err)
	}
	works(t, fresh, "monitor_username", "monitor_password") // reads what was written before
	after, err := receiver.Instance(t.Context(), *made.InstanceId)
	if err != nil || after.Instance.Owner != "group:default/search" || after.Instance.CostCenter != "CC-2001" || after.Instance.Parameters["team_owner"] != "search" {
		t.Errorf("it is %+v (%v), want the receiver's", after.Instance, err)
	}
	r.wantEntity(t, after.Instance.EntityRef, "group:default/search")
	r.wantMade(name, 1, 2)
	r.audit()
}
