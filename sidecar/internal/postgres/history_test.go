package postgres_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func collect(t *testing.T, past iter.Seq2[provision.Past, error]) []provision.Past {
	t.Helper()
	var all []provision.Past
	for entry, err := range past {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry)
	}
	return all
}

func judged(name string, verdict provision.Verdict) func(*provision.Request) {
	return func(r *provision.Request) {
		verdict.Input = fmt.Appendf(nil, `{"stage": "submit", "action": "create", "name": %q, "offering": {"id": "postgres-database", "version": "0.9.0"},
			"environment": {"name": "dev"}, "subject": {"ref": "user:default/ann"}, "price": {"known": true, "monthly_mills": 85500}}`, name)
		r.Verdict = verdict
	}
}

func TestHistoryIsEveryVerdictOldestFirstWithItsOffering(t *testing.T) {
	t.Parallel()
	store := open(t)
	if err := store.PutBundle(t.Context(), testkit.Offering(), []byte("files")); err != nil {
		t.Fatal(err)
	}
	const n = 1203 // more than two pages
	names := map[string]int{}
	for i := range n {
		name := fmt.Sprintf("db-%d", i)
		names[name] = i
		if i%3 == 0 {
			request := testkit.NewRequest(name)
			judged(name, testkit.Denial())(&request)
			if err := store.Refuse(t.Context(), provision.Refused(request, "", time.Now())); err != nil {
				t.Fatal(err)
			}
			continue
		}
		accept(t, store, testkit.Created(name, judged(name, testkit.Verdict())))
	}
	all := collect(t, store.History(t.Context(), provision.HistoryFilter{Stages: []provision.Stage{provision.StageSubmit}}))
	if len(all) != n+1 || all[0].Kind != provision.PastOffering || all[0].Offering.ID != "postgres-database" {
		t.Fatalf("%d entries, the first %+v; want the offering and %d verdicts", len(all), all[0], n)
	}
	for i, entry := range all[1:] {
		var input struct{ Name string }
		if err := json.Unmarshal(entry.Input, &input); err != nil {
			t.Fatal(err)
		}
		wantFindings := 0
		if i%3 == 0 {
			wantFindings = 2
		}
		if names[input.Name] != i || len(entry.Findings) != wantFindings || entry.PricesDigest != "sha256:cafe" || entry.OfferingDigest != testkit.Offering().Digest {
			t.Fatalf("entry %d is %+v", i, entry)
		}
	}
	if got := collect(t, store.History(t.Context(), provision.HistoryFilter{Stages: []provision.Stage{provision.StagePlan}})); len(got) != 0 {
		t.Errorf("%d verdicts on plans, want none", len(got))
	}
	if got := collect(t, store.History(t.Context(), provision.HistoryFilter{Since: time.Now().Add(time.Hour)})); len(got) != 0 {
		t.Errorf("%d verdicts of the future, want none", len(got))
	}
	for range store.History(t.Context(), provision.HistoryFilter{}) {
		break // whoever has seen enough may stop
	}
}

func TestFleetAsksForWhatLivesAsItIsNow(t *testing.T) {
	t.Parallel()
	store := open(t)
	record := accept(t, store, testkit.Created("orders", judged("orders", testkit.Verdict())))
	gone := accept(t, store, testkit.Created("gone", judged("gone", testkit.Verdict())))
	change(t, store, gone.Request.ID, func(r *provision.Record) error { return r.Cancel("never mind") })
	change(t, store, record.Request.ID, func(r *provision.Record) error {
		r.Instance.Parameters["size"] = "large"
		r.Instance.Parameters["password"] = map[string]any{"sealed": "c2VjcmV0"}
		return nil
	})
	all := collect(t, store.Fleet(t.Context()))
	if len(all) != 1 {
		t.Fatalf("%d entries, want the one that lives: %+v", len(all), all)
	}
	var input struct {
		Stage, Action, Name, Owner string
		At                         time.Time
		Offering                   struct{ ID, Version string }
		Environment                struct{ Name string }
		Parameters                 map[string]any
	}
	if err := json.Unmarshal(all[0].Input, &input); err != nil {
		t.Fatal(err)
	}
	password, _ := input.Parameters["password"].(map[string]any)
	if all[0].InstanceID != record.Instance.ID || input.Stage != "submit" || input.Action != "create" || input.Name != "orders" ||
		input.Owner != "group:default/payments" || input.Offering.Version != "1.0.0" || input.Environment.Name != "dev" ||
		input.Parameters["size"] != "large" || password["set"] != true || !input.At.Equal(all[0].At) || time.Since(input.At).Abs() > time.Hour {
		t.Errorf("it asks %s", all[0].Input)
	}
}

func TestApprovalsInHandAreThoseNotYetApplied(t *testing.T) {
	t.Parallel()
	store := open(t)
	needs := func(r *provision.Request) {
		judged(r.Name, testkit.NeedsApproval(1))(r)
		r.Approval = &provision.Approval{Needed: []provision.ApprovalNeed{{Approvers: []string{"group:default/platform-team"}, People: []string{"user:default/pat"}, Count: 1}}, Given: []provision.ApprovalGiven{}}
	}
	waits := accept(t, store, testkit.Created("waits", needs))
	gone := accept(t, store, testkit.Created("gone", needs))
	change(t, store, gone.Request.ID, func(r *provision.Record) error { return r.Cancel("never mind") })
	accept(t, store, testkit.Created("free", judged("free", testkit.Verdict())))
	all := collect(t, store.ApprovalsInHand(t.Context()))
	if len(all) != 1 {
		t.Fatalf("%d entries, want the one that waits: %+v", len(all), all)
	}
	got := all[0]
	if got.Kind != provision.PastApproval || got.RequestID != waits.Request.ID || got.Stage != provision.StageSubmit || got.Outcome != provision.OutcomeRequireApproval ||
		got.Approval == nil || got.Approval.Needed[0].Count != 1 || got.Input == nil {
		t.Errorf("it is %+v", got)
	}
}
