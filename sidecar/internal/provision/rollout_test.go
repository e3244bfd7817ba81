package provision_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestACampaignGoesRingByRingAndTouchesOnlyWhatIsApproved(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	for n := range 9 {
		f.made([]string{"prod", "staging", "dev"}[n%3], fmt.Sprintf("orders-%d", n))
	}
	other := f.made("dev", "other")
	f.publish()
	c := f.campaign(func(a *provision.CampaignAsk) { a.AtOnce = 2 })
	f.plan(func(name string) provision.Checked {
		if name == "other" {
			return planned(update("size"))
		}
		return planned(update("tags"))
	})
	f.step()
	if _, err := f.StartCampaign(t.Context(), pat, c.ID); provision.KindOf(err) != provision.Conflict {
		t.Errorf("started with nothing approved: %v", err)
	}
	groups := f.view(c.ID).Groups
	tags := groups[slices.IndexFunc(groups, func(g provision.CampaignGroup) bool { return g.Title == "update a (tags)" })]
	for range 2 {
		if _, err := f.ApproveGroup(t.Context(), pat, c.ID, tags.Digest, "", "looks right"); err != nil {
			t.Fatal(err)
		}
	}
	f.step()
	if len(f.asked(c.ID)) > 0 {
		t.Fatal("a campaign that was not started has asked for something")
	}
	if _, err := f.StartCampaign(t.Context(), ann, c.ID); provision.KindOf(err) != provision.Denied {
		t.Errorf("ann starts it: %v", err)
	}
	if _, err := f.StartCampaign(t.Context(), pat, c.ID); err != nil {
		t.Fatal(err)
	}
	var order []string
	for range 20 {
		f.step()
		asked := f.asked(c.ID)
		if len(asked) == 0 {
			break
		}
		if len(asked) > 2 {
			t.Errorf("%d upgrades are on their way, want 2 at most", len(asked))
		}
		for _, m := range asked {
			order = append(order, m.Environment)
			request, err := f.store.Request(t.Context(), m.RequestID)
			if err != nil || request.RequestedBy != provision.CampaignSubject || request.Rollout == nil || request.Rollout.ApprovedBy != pat.Subject {
				t.Errorf("asked for as %+v, %v", request.Rollout, err)
			}
			if err := f.upgrade(m, update("tags"), provision.ResultSucceeded); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := strings.Fields("dev dev dev staging staging staging prod prod prod"); !slices.Equal(order, want) {
		t.Errorf("upgraded in the order %v, want %v", order, want)
	}
	if i := f.instance(t, other); i.Generation != 1 || i.OfferingVersion != "1.0.0" {
		t.Errorf("what is of no approved group is of %s in generation %d", i.OfferingVersion, i.Generation)
	}
	if v := f.view(c.ID); v.State != provision.CampaignRunning {
		t.Errorf("with a group to approve it is %s", v.State)
	}
	if _, err := f.ApproveGroup(t.Context(), pat, c.ID, f.view(c.ID).Groups[1].Digest, "", ""); err != nil {
		t.Fatal(err)
	}
	f.step()
	for _, m := range f.asked(c.ID) {
		if err := f.upgrade(m, update("size"), provision.ResultSucceeded); err != nil {
			t.Fatal(err)
		}
	}
	f.step()
	if v := f.view(c.ID); v.State != provision.CampaignFinished {
		t.Errorf("with nothing left it is %s", v.State)
	}
}

func TestACampaignHaltsAfterFailuresAndGoesOnWhenResumed(t *testing.T) {
	t.Parallel()
	f, c := rolling(t, func(a *provision.CampaignAsk) { a.HaltAfter, a.AtOnce = 2, 1 }, "dev/a", "dev/b", "dev/c", "prod/d")
	fail := func(want string) {
		t.Helper()
		asked := f.asked(c.ID)
		m, ok := asked[want]
		if !ok || len(asked) != 1 {
			t.Fatalf("on their way are %v, want %s", asked, want)
		}
		if err := f.upgrade(m, update("tags"), provision.ResultFailed); err != nil {
			t.Fatal(err)
		}
		f.step()
	}
	fail("dev/a")
	if v := f.view(c.ID); v.State != provision.CampaignRunning {
		t.Fatalf("after the first of two failures it is %s", v.State)
	}
	fail("dev/b")
	f.step()
	v := f.view(c.ID)
	if v.State != provision.CampaignHalted || v.Reason != "2 upgrades failed: dev/a, dev/b" || len(f.asked(c.ID)) != 0 {
		t.Fatalf("after two failures it is %s (%s) with %v on their way", v.State, v.Reason, f.asked(c.ID))
	}
	if _, err := f.ResumeCampaign(t.Context(), pat, c.ID, "both are test data"); err != nil {
		t.Fatal(err)
	}
	f.step()
	fail("dev/c")
	for _, m := range f.asked(c.ID) {
		if err := f.upgrade(m, update("tags"), provision.ResultSucceeded); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.HaltCampaign(t.Context(), pat, c.ID, "lunch"); err != nil {
		t.Fatal(err)
	}
	f.step()
	if v := f.view(c.ID); v.State != provision.CampaignHalted || v.Reason != "lunch" {
		t.Errorf("halted by hand it is %s (%s)", v.State, v.Reason)
	}
	if _, err := f.StopCampaign(t.Context(), pat, c.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ResumeCampaign(t.Context(), pat, c.ID, ""); provision.KindOf(err) != provision.Conflict {
		t.Errorf("a stopped campaign resumed: %v", err)
	}
}

func TestAnUpgradeWhosePlanIsAnotherAppliesNothing(t *testing.T) {
	t.Parallel()
	f, c := rolling(t, nil, "dev/a", "dev/b")
	m := f.asked(c.ID)["dev/a"]
	err := f.upgrade(m, append(update("tags"), provision.Change{Address: "a.b", Type: "a", Action: "replace"}), provision.ResultSucceeded)
	if provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), "approved for another plan; this would replace a") {
		t.Errorf("a plan that nobody approved: %v", err)
	}
	if i := f.instance(t, m.InstanceID); i.State != provision.Ready || i.OfferingVersion != "1.0.0" {
		t.Errorf("it is %s of %s", i.State, i.OfferingVersion)
	}
	f.step()
	if v := f.view(c.ID); v.State != provision.CampaignHalted {
		t.Errorf("the campaign is %s", v.State)
	}
}

// forgetful commits and never hears of it, as a process that is killed then.
type forgetful struct{ *postgres.Store }

func (s forgetful) Accept(ctx context.Context, r *provision.Record) error {
	return cmp.Or(s.Store.Accept(ctx, r), errors.New("killed"))
}

func TestACampaignThatIsCutShortAsksForNothingTwice(t *testing.T) {
	t.Parallel()
	f, c := rolling(t, func(a *provision.CampaignAsk) { a.AtOnce = 1 }, "dev/a", "dev/b")
	m := f.asked(c.ID)["dev/a"]
	if err := f.upgrade(m, update("tags"), provision.ResultSucceeded); err != nil {
		t.Fatal(err)
	}
	f.Store = forgetful{f.store}
	if err := f.StepCampaigns(t.Context()); err == nil {
		t.Fatal("the step was not cut short")
	}
	f.Store = f.store
	var all sync.WaitGroup
	for range 4 { // whoever takes it up, and others beside
		all.Go(func() {
			if err := f.StepCampaigns(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	requests, err := f.store.Requests(t.Context(), provision.RequestFilter{RequestedBy: provision.CampaignSubject, Limit: 10})
	if err != nil || len(requests.Items) != 2 || f.asked(c.ID)["dev/b"].RequestID != requests.Items[0].ID {
		t.Errorf("asked for %d requests, %v; want one each", len(requests.Items), err)
	}
}

func TestACampaignGoesOnHoweverManyAreMadeAfterIt(t *testing.T) {
	t.Parallel()
	f, c := rolling(t, func(a *provision.CampaignAsk) { a.AtOnce = 1 }, "dev/a", "dev/b")
	for range 101 { // a list shows the newest 100
		f.campaign(nil)
	}
	if err := f.upgrade(f.asked(c.ID)["dev/a"], update("tags"), provision.ResultSucceeded); err != nil {
		t.Fatal(err)
	}
	f.step()
	if f.asked(c.ID)["dev/b"].RequestID == uuid.Nil {
		t.Error("it does not ask for what is next")
	}
}

func TestRingsOfASizeAreFilledWithWhatMattersLeastFirst(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	for _, name := range []string{"prod/a", "dev/b", "staging/c", "dev/d", "prod/e"} {
		environment, name, _ := strings.Cut(name, "/")
		f.made(environment, name)
	}
	f.publish()
	c := f.campaign(func(a *provision.CampaignAsk) { a.RingSizes = []int{1, 2, 0} })
	var rings []string
	for _, m := range c.Members {
		rings = append(rings, fmt.Sprintf("%d %s/%s", m.Ring, m.Environment, m.Name))
	}
	want := []string{"0 dev/b", "1 dev/d", "1 staging/c", "2 prod/a", "2 prod/e"}
	if !slices.Equal(rings, want) {
		t.Errorf("rings are %v, want %v", rings, want)
	}
}
