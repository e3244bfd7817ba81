package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// dbaRules also want the word of a group that is nobody's team here.
type dbaRules struct{ provision.Rules }

func (d dbaRules) Findings(ctx context.Context, input provision.RuleInput) ([]provision.Finding, string, error) {
	findings, digest, err := d.Rules.Findings(ctx, input)
	if input.Action == provision.Destroy {
		return findings, digest, err
	}
	return append(findings, provision.Finding{
		Rule: "engine", Level: provision.LevelRequireApproval, Message: "The DBAs look first.", Approvers: []string{"group:default/dba"}, Count: 1,
	}), digest, err
}

type directory map[string][]string

func (d directory) Members(_ context.Context, group string) ([]string, error) { return d[group], nil }

func newApprovalShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.Judge.Rules = dbaRules{s.Judge.Rules}
	s.Directory = directory{"group:default/dba": {"user:default/dan", "user:default/eve"}}
	return s
}

func dba(name string, groups ...string) provision.Principal {
	return provision.Principal{Subject: "user:default/" + name, Groups: append(groups, "user:default/"+name)}
}

// plan has the request planned by a worker, which is told to wait.
func (s *shop) plan(t *testing.T, request uuid.UUID) {
	t.Helper()
	record, err := s.store.Change(t.Context(), request, func(r *provision.Record) error {
		verdict, err := s.runs.JudgeQueued(t.Context(), r)
		if err != nil {
			return err
		}
		return r.Dispatch("local", verdict)
	})
	if err != nil {
		t.Fatal(err)
	}
	claim, err := s.runs.Claim(t.Context(), "local", "w1", record.Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.runs.Plan(t.Context(), claim.RunID, claim.Token, []provision.Change{{Address: "a", Action: "create"}}); !errors.Is(err, provision.ErrWait) {
		t.Fatalf("plan = %v, want to wait", err)
	}
	if err := s.runs.KeepPlan(t.Context(), claim.RunID, claim.Token, []byte("sealed")); err != nil {
		t.Fatal(err)
	}
}

func TestAnApproverOfAnotherTeamSeesWhatTheyMust(t *testing.T) {
	t.Parallel()
	s := newApprovalShop(t)
	dan, eve := dba("dan", "group:default/dba"), dba("eve", "group:default/dba")
	asked, err := s.Submit(t.Context(), ann, ask("orders", "k"))
	if err != nil {
		t.Fatal(err)
	}
	s.plan(t, asked.ID)
	if waits, err := s.Approvals(t.Context(), dan); err != nil || len(waits) != 1 {
		t.Errorf("%d requests wait for dan, %v; want one", len(waits), err)
	}
	if _, err := s.Request(t.Context(), dan, asked.ID); provision.KindOf(err) != provision.Denied {
		t.Errorf("dan reads it as its owner does: %v, want a denial: its log and events are not theirs", err)
	}
	seen, err := s.RequestForApproval(t.Context(), dan, asked.ID)
	if err != nil || seen.MonthlyCost == nil || seen.Approval.Summary().Create != 1 {
		t.Errorf("dan sees %+v, %v; want its price and plan", seen, err)
	}
	if _, err := s.Instance(t.Context(), dan, asked.InstanceID); provision.KindOf(err) != provision.Denied {
		t.Errorf("dan reads the instance: %v, want a denial", err)
	}
	if _, err := s.RequestForApproval(t.Context(), bob, asked.ID); provision.KindOf(err) != provision.Denied {
		t.Errorf("bob reads it: %v, want a denial", err)
	}

	s.Directory = directory{"group:default/dba": {"user:default/dan", "user:default/eve", "user:default/new"}}
	refusals := map[string]struct {
		who  provision.Principal
		want string
	}{
		"who asked":            {ann, "themselves"},
		"who is in no group":   {bob, "only members of"},
		"who joined later":     {dba("new", "group:default/dba"), "only members of"},
		"who has left since":   {dba("dan"), "only members of group:default/dba"},
		"a plugin":             {provision.Principal{Subject: "plugin:scaffolder"}, "only a person"},
		"who is called so too": {provision.Principal{Subject: "system:dan", Groups: []string{"group:default/dba"}}, "only a person"},
	}
	for name, tt := range refusals {
		if _, err := s.Approve(t.Context(), tt.who, asked.ID, ""); provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want a denial with %q", name, err, tt.want)
		}
	}
	if _, err := s.Approve(t.Context(), eve, asked.ID, ""); err != nil {
		t.Fatal(err)
	}
	s.work(t, asked.ID, `{"outputs": {"host": {"value": "h"}}}`)
	done, err := s.RequestForApproval(t.Context(), eve, asked.ID)
	if err != nil || done.State != provision.Succeeded || done.Outputs != nil {
		t.Errorf("eve sees %s with outputs %v, %v; want none of them", done.State, done.Outputs, err)
	}
	if own, err := s.RequestForApproval(t.Context(), ann, asked.ID); err != nil || own.Outputs == nil {
		t.Errorf("ann sees outputs %v, %v; they are hers", own.Outputs, err)
	}
}

func TestTheSameAskGetsTheSameApproval(t *testing.T) {
	t.Parallel()
	s := newApprovalShop(t)
	first, err := s.Submit(t.Context(), ann, ask("orders", "k"))
	if err != nil || first.State != provision.Queued {
		t.Fatalf("submit = %s, %v", first.State, err)
	}
	again, err := s.Submit(t.Context(), ann, ask("orders", "k"))
	if err != nil || again.ID != first.ID {
		t.Errorf("the repeat is %s, %v; want %s", again.ID, err, first.ID)
	}
	if _, err := s.Submit(t.Context(), ann, ask("orders", "k2")); provision.KindOf(err) != provision.Conflict {
		t.Errorf("the name again: %v, want a conflict", err)
	}
	if _, err := s.Submit(t.Context(), ann, ask("orders", "k2")); provision.KindOf(err) != provision.Conflict {
		t.Errorf("the name again, repeated: %v, want a conflict", err)
	}
	cancelled, err := s.Destroy(t.Context(), ann, first.InstanceID, provision.Submission{IdempotencyKey: "d"})
	if err != nil || cancelled.ID != first.ID || cancelled.State != provision.Cancelled {
		t.Errorf("destroy before anything is made = %s %s, %v; want the create cancelled", cancelled.ID, cancelled.State, err)
	}
}

func TestADenialBeatsAnApproval(t *testing.T) {
	t.Parallel()
	s := newApprovalShop(t)
	s.deny = "dev"
	s.Directory = nil
	if _, err := s.Submit(t.Context(), ann, ask("orders", "k")); provision.KindOf(err) != provision.Denied || strings.Contains(err.Error(), "--signing-key") {
		t.Errorf("submit = %v, want a denial by the rule alone", err)
	}
	s.Judge.NoApprovals = "Nobody can approve here."
	s.deny = ""
	if _, err := s.Submit(t.Context(), ann, ask("orders", "k2")); provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), "Nobody can approve here.") {
		t.Errorf("submit = %v, want a denial that says so", err)
	}
}
