package provision_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

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
