package httpapi_test

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// decideBy has the rig decide by the shipped policies with another data file.
func (r *rig) decideBy(file, text string) {
	r.t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(policies.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(policies.FS, name)
		files[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	files[file] = &fstest.MapFile{Data: []byte(text)}
	bundle, err := policy.Load(files)
	if err != nil {
		r.t.Fatal(err)
	}
	r.service.Judge.Rules, r.service.Authorizer, r.service.Calendar = bundle, bundle, bundle
}

func day(ahead int) string { return time.Now().UTC().AddDate(0, 0, ahead).Format(time.DateOnly) }

func TestAnExemptionFromTheCostLimitCarriesAnAskThroughSubmitQueueAndPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.decideBy("data/exemptions.yaml", fmt.Sprintf(`
never: [budget]
exemptions:
  - {rule: cost_limit, owner: "group:default/payments", environment: dev, from: %s, until: %s, granted_by: "user:default/pat", reason: the load test}
  - {rule: multi_az, environment: dev, from: %s, until: %s, granted_by: "user:default/pat", reason: over}
`, day(-1), day(30), day(-30), day(-1)))
	dear := database("orders")
	dear.Parameters["instance_class"] = "db.r6g.xlarge"
	request, err := r.as(ann).Submit(t.Context(), "key", dear)
	if err != nil {
		t.Fatalf("submit: %v, want the exemption to let it through", err)
	}
	want := provision.Exempted{Until: day(30), GrantedBy: "user:default/pat", Reason: "the load test"}
	exempt := false
	for _, f := range request.Findings {
		exempt = exempt || f.Rule == "cost_limit" && f.Level == provision.LevelInfo && f.Exemption != nil && *f.Exemption == want
	}
	if !exempt {
		t.Errorf("findings %+v, want the cost limit as a note with %+v", request.Findings, want)
	}
	verdict, err := r.as(ann).Ask(t.Context(), "postgres-database", api.Evaluation{Parameters: dear.Parameters})
	if err != nil || !verdict.Allowed || verdict.Allowance.Left >= 0 || verdict.Allowance.Waived != "exempt until "+day(30) {
		t.Errorf("what is left is %+v (%v), want it below nothing, and why that is allowed", verdict.Allowance, err)
	}
	worker := r.worker(poolToken)
	claim, err := worker.Claim(t.Context(), r.dispatch(request.Id))
	if err != nil {
		t.Fatalf("claim: %v, want it judged well in the queue", err)
	}
	if err := worker.Plan(t.Context(), claim.RunID, claim.Token, nil); err != nil {
		t.Errorf("plan: %v, want it to go on", err)
	}
	all, err := r.as(bob).Exemptions(t.Context())
	if err != nil || len(all) != 2 || all[0].State != provision.ExemptionActive || all[1].State != provision.ExemptionExpired {
		t.Errorf("exemptions = %+v, %v; want the active and then the expired one, for anyone to see", all, err)
	}
}

func TestAnybodySeesTheCalendar(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	empty, err := r.as(bob).Calendar(t.Context())
	if err != nil || empty == nil || len(empty) != 0 {
		t.Errorf("calendar without a bundle's = %+v, %v; want an empty list", empty, err)
	}
	r.decideBy("data/calendar.yaml", fmt.Sprintf(`
freezes: [{name: year end, environments: [dev, prod], from: %s, until: %s, reason: busy}]
windows: {}
window_actions: [create]
system_passes: []
`, day(-1), day(10)))
	entries, err := r.as(bob).Calendar(t.Context())
	if err != nil || len(entries) != 1 || entries[0].Environment != "dev" || entries[0].Name != "year end" {
		t.Errorf("calendar = %+v, %v; want the freeze of the one environment that is here", entries, err)
	}
}

func TestOnlyThePlatformTeamPausesAndEverybodySeesWhatWaitsForIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.decideBy("data/arm_twins.yaml", "families: {db.r5: {twin: db.r6g, saving_percent: 20}}\n")
	c := r.as(pat)
	_, err := r.as(ann).BeginPause(t.Context(), provision.PauseEverything, "", "I wish so")
	kindOf(t, err, provision.Denied)
	_, err = c.BeginPause(t.Context(), provision.PauseOffering, "mysql", "")
	if shown := kindOf(t, err, provision.Invalid); len(shown.Details) != 2 {
		t.Errorf("faults %+v, want the unknown offering and the missing reason at once", shown.Details)
	}
	for _, wrong := range [][2]string{{"pool", "nowhere"}, {"everything", "dev"}, {"team", "payments"}} {
		_, err = c.BeginPause(t.Context(), provision.PauseKind(wrong[0]), wrong[1], "why")
		kindOf(t, err, provision.Invalid)
	}
	pause, err := c.BeginPause(t.Context(), provision.PauseOffering, "postgres-database", "the disk is full")
	if err != nil || pause.By != pat {
		t.Fatalf("paused %+v, %v", pause, err)
	}
	const words = "paused by pat: the disk is full"
	verdict, err := r.as(ann).Evaluate(t.Context(), "postgres-database", database("orders").Parameters)
	if err != nil || !verdict.Allowed || len(verdict.Holds) != 1 || verdict.Holds[0].Message != words {
		t.Errorf("verdict %+v, %v; want it allowed and held", verdict, err)
	}
	if request := r.submit("orders"); request.State != provision.Queued || request.Waiting != words {
		t.Errorf("accepted as %s, waiting %q; want it to say at once that it is paused", request.State, request.Waiting)
	}
	if pauses, err := r.as(bob).Pauses(t.Context()); err != nil || len(pauses) != 1 || pauses[0] != pause {
		t.Errorf("pauses %+v, %v; want the one, for anyone to see", pauses, err)
	}
	kindOf(t, r.as(ann).EndPause(t.Context(), pause.ID), provision.Denied)
	if err := c.EndPause(t.Context(), pause.ID); err != nil {
		t.Fatal(err)
	}
	if verdict, err = r.as(ann).Evaluate(t.Context(), "postgres-database", database("other").Parameters); err != nil || len(verdict.Holds) != 0 {
		t.Errorf("holds after the end %+v, %v; want none", verdict.Holds, err)
	}
}
