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
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// fleet is a shop with instances in three environments and a version that they
// are not of.
type fleet struct {
	*shop
	t    *testing.T
	next provision.Offering
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{shop: newShop(t), t: t}
	for name, ring := range map[string]int{"dev": 1, "staging": 2, "prod": 3} {
		f.Environments[name] = provision.Environment{Name: name, Implementation: "local", Pool: "local", Ring: ring}
	}
	f.know(*f.published)
	return f
}

func (f *fleet) know(o provision.Offering) {
	f.t.Helper()
	if err := f.store.PutBundle(f.t.Context(), o, []byte("files of "+o.Version)); err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.KnowVersion(f.t.Context(), o, provision.Published); err != nil {
		f.t.Fatal(err)
	}
}

// publish makes 1.1.0 known, which asks for nothing that 1.0.0 did not.
func (f *fleet) publish() {
	f.t.Helper()
	f.next = *f.published
	f.next.Version, f.next.Digest = "1.1.0", "sha256:11ff3a"
	f.know(f.next)
}

// made makes an instance in an environment.
func (f *fleet) made(environment, name string) uuid.UUID {
	f.t.Helper()
	sub := ask(name, "")
	sub.Parameters["environment"] = environment
	request, err := f.Submit(f.t.Context(), ann, sub)
	if err != nil {
		f.t.Fatal(err)
	}
	f.work(f.t, request.ID, `{}`)
	return request.InstanceID
}

// campaign makes one to 1.1.0.
func (f *fleet) campaign(edit func(*provision.CampaignAsk)) provision.CampaignView {
	f.t.Helper()
	ask := provision.CampaignAsk{Offering: "postgres-database", Version: "1.1.0"}
	if edit != nil {
		edit(&ask)
	}
	c, err := f.MakeCampaign(f.t.Context(), pat, ask)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// plan does what workers do with the plans that are due, as planOf says for each
// instance by name, and answers how many there were.
func (f *fleet) plan(planOf func(name string) provision.Checked) int {
	f.t.Helper()
	for n := 0; ; n++ {
		check, err := f.runs.ClaimCheck(f.t.Context(), "local", "w1", false)
		if err != nil {
			f.t.Fatal(err)
		}
		if check == nil {
			return n
		}
		if check.OfferingDigest != "sha256:11ff3a" {
			f.t.Fatalf("the check of %s is by %s", check.Name, check.OfferingDigest)
		}
		if _, err := f.runs.CheckedState(f.t.Context(), "local", check.ID, check.Token); err != nil {
			f.t.Fatal(err)
		}
		if err := f.runs.FinishCheck(f.t.Context(), "local", check.ID, check.Token, planOf(check.Name)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// view is a campaign as pat sees it.
func (f *fleet) view(id uuid.UUID) provision.CampaignView {
	f.t.Helper()
	v, err := f.Campaign(f.t.Context(), pat, id)
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

func (f *fleet) step() {
	f.t.Helper()
	if err := f.StepCampaigns(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// asked are the members whose upgrade is on its way, by environment/name.
func (f *fleet) asked(id uuid.UUID) map[string]provision.CampaignMember {
	asked := map[string]provision.CampaignMember{}
	v := f.view(id)
	for _, m := range v.Members {
		if m.StateIn(v.Campaign, time.Now()) == provision.MemberAsked {
			asked[m.Environment+"/"+m.Name] = m
		}
	}
	return asked
}

// upgrade does what a worker does with a member's request whose plan is changes.
func (f *fleet) upgrade(m provision.CampaignMember, changes []provision.Change, result string) error {
	f.t.Helper()
	record, err := f.store.Change(f.t.Context(), m.RequestID, func(r *provision.Record) error {
		verdict, err := f.runs.JudgeQueued(f.t.Context(), r)
		if err != nil {
			return err
		}
		return r.Dispatch("local", verdict)
	})
	if err != nil || record.Request.State.Terminal() {
		return err
	}
	claim, err := f.runs.Claim(f.t.Context(), "local", "w1", record.Run.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.runs.Plan(f.t.Context(), claim.RunID, claim.Token, changes); err != nil {
		return err
	}
	_, err = f.store.ChangeRun(f.t.Context(), claim.RunID, outcome(result, "it broke"))
	return err
}

func update(attribute string) []provision.Change {
	return []provision.Change{{Address: "a.b", Type: "a", Action: "update", Before: map[string]any{attribute: 1}, After: map[string]any{attribute: 2}}}
}

func planned(changes []provision.Change) provision.Checked {
	return provision.Checked{Changes: changes}
}

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

// rolling is a running campaign of instances whose plans are all approved.
func rolling(t *testing.T, edit func(*provision.CampaignAsk), names ...string) (*fleet, provision.CampaignView) {
	t.Helper()
	f := newFleet(t)
	for _, name := range names {
		environment, name, _ := strings.Cut(name, "/")
		f.made(environment, name)
	}
	f.publish()
	c := f.campaign(edit)
	f.plan(func(string) provision.Checked { return planned(update("tags")) })
	if _, err := f.ApproveGroup(t.Context(), pat, c.ID, f.view(c.ID).Groups[0].Digest, "", ""); err != nil {
		t.Fatal(err)
	}
	c, err := f.StartCampaign(t.Context(), pat, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.step()
	return f, c
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
