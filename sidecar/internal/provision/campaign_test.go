package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestPlansOfACampaignAreGroupedByShape(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	const many = 200
	names := make(chan string)
	var makers sync.WaitGroup
	for range 4 {
		makers.Go(func() {
			for name := range names {
				f.made([]string{"dev", "staging", "prod"}[len(name)%3], name)
			}
		})
	}
	for n := range many {
		names <- fmt.Sprintf("orders-%d", n)
	}
	close(names)
	makers.Wait()
	f.publish()
	campaign := f.campaign(nil)
	shapes := [][]provision.Change{
		nil,
		update("tags"),
		append(update("size"), provision.Change{Address: "c.d", Type: "c", Action: "create"}),
		{{Address: "a.b", Type: "a", Action: "replace", Before: map[string]any{"name": "x"}, After: map[string]any{"name": "y"}, Replaces: []string{"name"}}},
		{{Address: "c.d", Type: "c", Action: "delete"}},
	}
	n := f.plan(func(name string) provision.Checked {
		var serial int
		_, _ = fmt.Sscanf(name, "orders-%d", &serial)
		return planned(shapes[serial%5])
	})
	view := f.view(campaign.ID)
	if n != many || len(view.Groups) != 5 {
		t.Fatalf("%d plans in %d groups, want %d in 5", n, len(view.Groups), many)
	}
	var titles []string
	for _, g := range view.Groups {
		titles = append(titles, g.Title)
		if len(g.Members) != many/5 || g.CostDifference == nil || *g.CostDifference != 0 || g.States[provision.MemberUnapproved] != many/5 {
			t.Errorf("group %q has %d members, %v, at %v", g.Title, len(g.Members), g.States, g.CostDifference)
		}
	}
	want := []string{"delete c", "replace a (name)", "update a (size), create c", "update a (tags)", "no change"}
	if slices.Equal(titles[:2], want[:2]) == false || !slices.Contains(titles, want[2]) || titles[4] != want[4] {
		t.Errorf("groups are %q, want the gravest first: %q", titles, want)
	}
	requests, err := f.store.Requests(t.Context(), provision.RequestFilter{RequestedBy: provision.CampaignSubject, Limit: 1})
	if err != nil || len(requests.Items) != 0 {
		t.Errorf("planning has asked for %d requests, %v", len(requests.Items), err)
	}
	for _, m := range view.Members {
		if m.Generation != 1 {
			t.Errorf("planning has touched %s: generation %d", m.Name, m.Generation)
		}
	}
}

func TestAnOwnerOptsOutUntilADate(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.made("dev", "a")
	f.publish()
	c := f.campaign(nil)
	f.plan(func(string) provision.Checked { return planned(nil) })
	if _, err := f.ApproveGroup(t.Context(), pat, c.ID, f.view(c.ID).Groups[0].Digest, "", ""); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	if _, err := f.OptOut(t.Context(), bob, c.ID, "group:default/payments", until, "sale"); provision.KindOf(err) != provision.Denied {
		t.Errorf("bob opts payments out: %v", err)
	}
	v, err := f.OptOut(t.Context(), ann, c.ID, "group:default/payments", until, "sale")
	if err != nil || v.OptOuts["group:default/payments"].By != ann.Subject {
		t.Fatalf("opted out: %+v, %v", v.OptOuts, err)
	}
	if _, err := f.Campaign(t.Context(), bob, c.ID); provision.KindOf(err) != provision.NotFound {
		t.Errorf("bob, who has nothing in it, sees it: %v", err)
	}
	if _, err := f.StartCampaign(t.Context(), pat, c.ID); err != nil {
		t.Fatal(err)
	}
	f.step()
	if asked := f.asked(c.ID); len(asked) != 0 {
		t.Errorf("what its owner opted out of was asked for: %v", asked)
	}
	f.Now = func() time.Time { return until.Add(time.Second) }
	f.step()
	if asked := f.asked(c.ID); len(asked) != 1 {
		t.Errorf("once the date is over %d are on their way", len(asked))
	}
}

func TestWhatCannotBePlannedIsAGroupWithTheReason(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.made("dev", "a")
	f.made("dev", "b")
	f.publish()
	c := f.campaign(nil)
	f.plan(func(name string) provision.Checked {
		if name == "a" {
			return provision.Checked{Failure: "the server is away"}
		}
		return planned(nil)
	})
	groups := f.view(c.ID).Groups
	if len(groups) != 2 || groups[1].Failure != "the server is away" || groups[1].Digest != "" || len(groups[1].Members) != 1 {
		t.Fatalf("groups are %+v", groups)
	}
	if _, err := f.ApproveGroup(t.Context(), pat, c.ID, "", "", ""); provision.KindOf(err) != provision.NotFound {
		t.Errorf("what cannot be planned was approved: %v", err)
	}
	needs := *f.published
	needs.Version, needs.Digest = "2.0.0", "sha256:2fff3a"
	f.know(needs)
	c, err := f.MakeCampaign(t.Context(), pat, provision.CampaignAsk{Offering: "postgres-database", Version: "2.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	if check, err := f.runs.ClaimCheck(t.Context(), "local", "w1", false); check != nil || err != nil {
		t.Fatalf("a worker got %+v, %v to plan what cannot be", check, err)
	}
	groups = f.view(c.ID).Groups
	if len(groups) != 1 || groups[0].Failure != "tier is required" || len(groups[0].Members) != 2 {
		t.Errorf("groups are %+v", groups)
	}
}

func TestWhatHasChangedSinceItWasPlannedIsPlannedAgain(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	id := f.made("dev", "a")
	f.publish()
	c := f.campaign(nil)
	check, err := f.runs.ClaimCheck(t.Context(), "local", "w1", false)
	if err != nil || check == nil {
		t.Fatal(check, err)
	}
	if other, err := f.runs.ClaimCheck(t.Context(), "local", "w2", false); other != nil || err != nil {
		t.Errorf("another worker got the same plan to make: %+v, %v", other, err)
	}
	changed, err := f.Update(t.Context(), ann, id, change("", provision.Parameters{"engine": "16"}))
	if err != nil {
		t.Fatal(err)
	}
	f.work(t, changed.ID, `{}`)
	if err := f.runs.FinishCheck(t.Context(), "local", check.ID, check.Token, planned(nil)); err != nil {
		t.Fatal(err)
	}
	if v := f.view(c.ID); len(v.Groups) != 0 {
		t.Fatalf("a plan of what it was counts: %+v", v.Groups)
	}
	if n := f.plan(func(string) provision.Checked { return planned(nil) }); n != 1 {
		t.Fatalf("%d plans were due", n)
	}
	if err := f.runs.FinishCheck(t.Context(), "local", check.ID, check.Token, planned(update("size"))); provision.KindOf(err) != provision.Conflict {
		t.Errorf("an old worker's plan: %v", err)
	}
	changed, err = f.Update(t.Context(), ann, id, change("", provision.Parameters{"engine": "17"}))
	if err != nil {
		t.Fatal(err)
	}
	f.work(t, changed.ID, `{}`)
	f.step()
	if n := f.plan(func(string) provision.Checked { return planned(update("size")) }); n != 1 || f.view(c.ID).Groups[0].Title != "update a (size)" {
		t.Errorf("%d plans were due; groups are %+v", n, f.view(c.ID).Groups)
	}
}

func TestAKeyOfACampaignIsOfThoseRingsAlone(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.made("dev", "a")
	f.publish()
	inRings := func(sizes ...int) error {
		_, err := f.MakeCampaign(t.Context(), pat, provision.CampaignAsk{Offering: "postgres-database", Version: "1.1.0", Key: "k", RingSizes: sizes})
		return err
	}
	if err := inRings(1, 0); err != nil {
		t.Fatal(err)
	}
	if err := inRings(1, 0); err != nil {
		t.Errorf("the same again: %v", err)
	}
	for _, sizes := range [][]int{{2, 0}, {1}, nil} {
		if err := inRings(sizes...); provision.KindOf(err) != provision.Conflict || err == nil {
			t.Errorf("rings of %v under the key: %v, want a conflict", sizes, err)
		}
	}
}

func TestACampaignSaysEverythingThatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	_, err := f.MakeCampaign(t.Context(), pat, provision.CampaignAsk{
		Offering: "postgres-database", Version: "1.0.0", Environments: []string{"moon"}, AtOnce: 1000, RingSizes: []int{0, 3},
	})
	var shown *provision.Error
	if !errors.As(err, &shown) || shown.Kind != provision.Invalid || len(shown.Details) != 3 {
		t.Errorf("an ask with three faults: %v", err)
	}
	if _, err := f.MakeCampaign(t.Context(), ann, provision.CampaignAsk{}); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann makes a campaign: %v", err)
	}
	for version, kind := range map[string]provision.Kind{"1.0.0": provision.Conflict, "9.9.9": provision.NotFound} {
		if _, err := f.MakeCampaign(t.Context(), pat, provision.CampaignAsk{Offering: "postgres-database", Version: version}); provision.KindOf(err) != kind {
			t.Errorf("a campaign to %s: %v", version, err)
		}
	}
}
