package httpapi_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// successor makes a version of postgres-database known that differs in its
// number alone.
func (r *rig) successor() provision.Offering {
	r.t.Helper()
	o, err := r.service.Catalog.Offering("postgres-database")
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.KnowVersion(r.t.Context(), o, provision.Published); err != nil {
		r.t.Fatal(err)
	}
	_, files, err := r.store.Bundle(r.t.Context(), o.Digest)
	if err != nil {
		r.t.Fatal(err)
	}
	o.Version, o.Digest = "99.0.0", "sha256:"+time.Now().Format("20060102150405.000000000")
	if err := r.store.PutBundle(r.t.Context(), o, files); err != nil {
		r.t.Fatal(err)
	}
	if err := r.store.KnowVersion(r.t.Context(), o, provision.Published); err != nil {
		r.t.Fatal(err)
	}
	return o
}

func TestACampaignOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	made := r.ready("orders")
	next := r.successor()
	platform, owner, stranger := r.as(pat), r.as(ann), r.as(bob)
	if _, err := owner.MakeCampaign(t.Context(), "first", api.CampaignAsk{Offering: "postgres-database", Version: "99.0.0"}); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann makes a campaign: %v", err)
	}
	c, err := platform.MakeCampaign(t.Context(), "first", api.CampaignAsk{Offering: "postgres-database", Version: "99.0.0"})
	if err != nil || c.Counts.Planning != 1 || !c.MayRollOut || c.State != provision.CampaignOpen || len(c.Members) != 1 {
		t.Fatalf("made %+v, %v", c, err)
	}
	if again, err := platform.MakeCampaign(t.Context(), "first", api.CampaignAsk{Offering: "postgres-database", Version: "99.0.0"}); err != nil || again.Id != c.Id {
		t.Errorf("the same key made %s, %v; want %s", again.Id, err, c.Id)
	}
	_, err = platform.MakeCampaign(t.Context(), "first", api.CampaignAsk{Offering: "postgres-database", Version: "99.0.0", AtOnce: 9})
	kindOf(t, err, provision.Conflict)
	worker := r.worker(poolToken)
	check, err := worker.ClaimCheck(t.Context(), false)
	if err != nil || check == nil || check.InstanceID != *made.InstanceId || check.ID == check.InstanceID || check.OfferingDigest != next.Digest {
		t.Fatalf("check = %+v, %v", check, err)
	}
	if version, err := worker.CheckedState(t.Context(), check.ID, check.Token); err != nil || len(version.Sealed) == 0 {
		t.Errorf("its state: %v", err)
	}
	lost := provision.Change{
		Address: "postgres_database.main", Type: "postgres_database", Action: "replace",
		Before: map[string]any{"name": "a"}, After: map[string]any{"name": "b"}, Replaces: []string{"name"},
	}
	kindOf(t, r.worker(otherPoolToken).FinishCheck(t.Context(), check.ID, check.Token, provision.Checked{}), provision.NotFound)
	if err := worker.FinishCheck(t.Context(), check.ID, check.Token, provision.Checked{Changes: []provision.Change{lost}}); err != nil {
		t.Fatal(err)
	}
	c, err = platform.Campaign(t.Context(), c.Id)
	if err != nil || len(c.Groups) != 1 || c.Groups[0].Title != "replace postgres database (name)" || c.Groups[0].Confirm != "replace postgres_database" {
		t.Fatalf("groups are %+v, %v", c.Groups, err)
	}
	if f := c.Groups[0].Findings; len(f) == 0 || f[0].Rule != "data_store_lost" || f[0].Count != 1 {
		t.Errorf("findings are %+v, want that a data store would be lost", f)
	}
	if seen, err := owner.Campaign(t.Context(), c.Id); err != nil || seen.MayRollOut || len(seen.Members) != 1 {
		t.Errorf("ann, whose it is, sees %+v, %v", seen, err)
	}
	_, err = stranger.Campaign(t.Context(), c.Id)
	kindOf(t, err, provision.NotFound)
	if list, err := stranger.Campaigns(t.Context()); err != nil || len(list.Items) != 0 {
		t.Errorf("bob sees %d campaigns, %v", len(list.Items), err)
	}
	_, err = platform.ApproveGroup(t.Context(), c.Id, c.Groups[0].Shape, api.GroupApprove{Confirm: "yes"})
	kindOf(t, err, provision.Invalid)
	_, err = platform.MoveCampaign(t.Context(), c.Id, "start", "")
	kindOf(t, err, provision.Conflict)
	c, err = platform.ApproveGroup(t.Context(), c.Id, c.Groups[0].Shape, api.GroupApprove{Confirm: c.Groups[0].Confirm})
	if err != nil || c.Groups[0].ApprovedBy == nil || *c.Groups[0].ApprovedBy != pat || c.Counts.Ready != 1 {
		t.Fatalf("approved: %+v, %v", c.Groups, err)
	}
	c, err = owner.OptOut(t.Context(), c.Id, api.CampaignOptOut{Owner: "group:default/payments", Until: time.Now().Add(time.Hour), Reason: "sale"})
	if err != nil || c.Counts.OptedOut != 1 || len(c.OptOuts) != 1 {
		t.Errorf("opted out: %+v, %v", c.OptOuts, err)
	}
	for move, want := range map[string]provision.CampaignState{"start": provision.CampaignRunning} {
		if c, err = platform.MoveCampaign(t.Context(), c.Id, move, ""); err != nil || c.State != want {
			t.Errorf("%s: %s, %v", move, c.State, err)
		}
	}
	_, err = platform.MoveCampaign(t.Context(), c.Id, "halt", "")
	kindOf(t, err, provision.Invalid)
	for _, move := range []struct {
		verb string
		want provision.CampaignState
	}{{"halt", provision.CampaignHalted}, {"resume", provision.CampaignRunning}, {"stop", provision.CampaignStopped}, {"stop", provision.CampaignStopped}} {
		if c, err = platform.MoveCampaign(t.Context(), c.Id, move.verb, "lunch"); err != nil || c.State != move.want {
			t.Errorf("%s: %s, %v", move.verb, c.State, err)
		}
	}
	_, err = platform.Campaign(t.Context(), uuid.New())
	kindOf(t, err, provision.NotFound)
	if list, err := platform.Campaigns(t.Context()); err != nil || len(list.Items) != 1 || list.Items[0].Counts.Instances != 1 {
		t.Errorf("the list is %+v, %v", list, err)
	}
}
