package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// policiesWith is a folder with the built-in policies, one text of one file
// replaced.
func policiesWith(t *testing.T, file, old, new string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(dir, policies.FS); err != nil {
		t.Fatal(err)
	}
	if file == "" {
		return dir
	}
	rewrite(t, filepath.Join(dir, file), old, new)
	return dir
}

func rewrite(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not hold %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, new)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// roadbed runs the command and answers what it printed and its exit code.
func roadbed(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(context.Background(), args, &out, &errOut)
	return out.String() + errOut.String(), code
}

// seed stores the verdicts that the built-in policies give: an instance of each
// price that dev allows, and a denial.
func seed(t *testing.T, dsn string) {
	t.Helper()
	d, err := ownedFiles{}.load()
	if err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(dsn, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := d.publish(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	o, err := d.catalog.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	for i, storage := range []int64{20, 100, 150, 400} {
		name := fmt.Sprintf("orders%d", i)
		p, err := d.catalog.Check(o, provision.Parameters{
			"database_name": name, "environment": "dev", "team_owner": "payments", "cost_center": "CC-1", "storage_gb": storage,
		})
		if err != nil {
			t.Fatal(err)
		}
		verdict, err := d.judge.Judge(t.Context(), provision.Ask{
			Stage: provision.StageSubmit, Action: provision.Create, Principal: provision.Principal{Subject: "user:default/ann"},
			Offering: o, Environment: d.environments["dev"], Name: name, Owner: "group:default/payments", CostCenter: "CC-1",
			Parameters: p, At: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		request := testkit.NewRequest(name)
		request.Offering, request.OfferingVersion, request.OfferingDigest, request.Parameters = o.ID, o.Version, o.Digest, p
		request.Verdict = verdict
		if !verdict.Allowed() {
			if err := store.Refuse(t.Context(), provision.Refused(request, "", time.Now())); err != nil {
				t.Fatal(err)
			}
			continue
		}
		instance := provision.Instance{
			ID: provision.NewID(), ShortID: uuid.NewString()[:8], Offering: o.ID, OfferingVersion: o.Version, OfferingDigest: o.Digest,
			Environment: "dev", Name: name, Owner: request.Owner, CostCenter: "CC-1", State: provision.Reserved, Generation: 1,
			Parameters: p, RequestID: request.ID,
		}
		request.InstanceID, request.Generation = instance.ID, 1
		if err := store.Accept(t.Context(), provision.Accepted(request, instance, o.Steps, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPolicyReplayOverADatabaseAndItsExport(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	seed(t, dsn)

	out, code := roadbed(t, "policy", "replay", "--database", dsn)
	if code != exitOK || !strings.Contains(out, "4 verdicts and 3 living instances") || !strings.Contains(out, "Instances: no difference") ||
		!strings.Contains(out, "✓ Self-check: 4 of the stored verdicts decided again") {
		t.Errorf("the current policies: exit %d\n%s", code, out)
	}

	export := filepath.Join(t.TempDir(), "verdicts.jsonl")
	lines, code := roadbed(t, "policy", "export", "--database", dsn)
	if code != exitOK || strings.Count(lines, "\n") != 4+3+2 { // the offering comes with each part
		t.Fatalf("export: exit %d\n%s", code, lines)
	}
	if err := os.WriteFile(export, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}

	stricter := policiesWith(t, "data/limits.yaml", "{dev: 100,", "{dev: 85,")
	dearer := policiesWith(t, "data/prices.yaml", "db.t3.medium: 60", "db.t3.medium: 70")
	broken := policiesWith(t, "guardrails/multi_az.rego", "not input.action", "not inputs.action")
	tests := map[string]struct {
		args []string
		code int
		want []string
	}{
		"the same policies from the file": {nil, exitOK, []string{"Verdicts: no difference", "Instances: no difference"}},
		"a lower limit is told": {
			[]string{"--candidate", stricter}, exitOK,
			[]string{"Verdicts\n  ✕ 2 newly denied, $183.75 a month", "Instances\n  ✕ 2 newly denied", "rule        cost_limit", "team        group:default/payments"},
		},
		"a lower limit fails the gate":         {[]string{"--candidate", stricter, "--fail-over", "1"}, exitFailed, []string{"2 verdicts would no longer go on"}},
		"a lower limit within the gate":        {[]string{"--candidate", stricter, "--fail-over", "2", "--fail-over-money", "183.75"}, exitOK, nil},
		"its money fails the gate":             {[]string{"--candidate", stricter, "--fail-over-money", "183.74"}, exitFailed, []string{"cost $183.75 a month"}},
		"prices that the offering sets itself": {[]string{"--candidate", dearer}, exitOK, []string{"Verdicts: no difference"}},
		"JSON":                                 {[]string{"--candidate", stricter, "--json"}, exitOK, []string{`"newly_denied": {`, `"count": 2`}},
		"nothing so recent":                    {[]string{"--since", "2100-01-01"}, exitOK, []string{"0 verdicts and 3 living"}},
		"a date that is none":                  {[]string{"--since", "yesterday"}, exitUsage, []string{"30d"}},
		"a candidate that does not load":       {[]string{"--candidate", broken}, exitFailed, []string{"load candidate policies"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := roadbed(t, append([]string{"policy", "replay", "--verdicts", export}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit %d, want %d\n%s", code, tt.code, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
		})
	}
}

func TestPolicyReplayGatesOnApprovalsThatWouldBeVoid(t *testing.T) {
	t.Parallel()
	d, err := ownedFiles{}.load()
	if err != nil {
		t.Fatal(err)
	}
	o, err := d.catalog.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := d.judge.Judge(t.Context(), provision.Ask{
		Stage: provision.StagePlan, Action: provision.Create, Offering: o, Environment: d.environments["prod"], Name: "orders",
		Owner: "group:default/payments", CostCenter: "CC-1", At: time.Now(), Parameters: parameters("prod", "db.t3.medium", 900, 7, true),
	})
	if err != nil || verdict.Outcome != provision.OutcomeRequireApproval {
		t.Fatalf("it is %s (%+v), %v; want that it needs approval", verdict.Outcome, verdict.Findings, err)
	}
	ceiling := verdict.MonthlyCost()
	line, err := json.Marshal(provision.Past{
		Kind: provision.PastApproval, RequestID: uuid.New(), Stage: provision.StagePlan, Outcome: verdict.Outcome, Findings: verdict.Findings,
		BundleDigest: verdict.BundleDigest, PricesDigest: verdict.Estimate.PricesDigest, OfferingDigest: o.Digest, Input: verdict.Input,
		Approval: &provision.Approval{
			Needed:  []provision.ApprovalNeed{{Approvers: []string{"group:default/platform-team"}, Count: 1}},
			Planned: true, Ceiling: &ceiling, Found: []string{"require_approval large_database storage_gb"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "past.jsonl")
	if err := os.WriteFile(file, line, 0o600); err != nil {
		t.Fatal(err)
	}
	stricter := policiesWith(t, "data/limits.yaml", "count: 1}", "count: 2}")
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"the same policies":     {[]string{"--max-voided", "0"}, exitOK, "Approvals: 1 in hand, no difference"},
		"others are told":       {[]string{"--candidate", stricter}, exitOK, "Approvals\n  ◌ 1 void: asked anew"},
		"others within gate":    {[]string{"--candidate", stricter, "--max-voided", "1"}, exitOK, "asked anew"},
		"others fail the gate":  {[]string{"--candidate", stricter, "--max-voided", "0"}, exitFailed, "1 of the approvals in hand would be void; --max-voided is 0."},
		"others in JSON":        {[]string{"--candidate", stricter, "--json"}, exitOK, `"asked_anew": {`},
		"a verdict is no count": {[]string{"--candidate", stricter, "--fail-over", "0"}, exitOK, "0 verdicts and 0 living instances"},
	} {
		if out, code := roadbed(t, append([]string{"policy", "replay", "--verdicts", file}, tt.args...)...); code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit %d, want %d with %q\n%s", name, code, tt.code, tt.want, out)
		}
	}
}

func TestPolicyMutateWithAHistory(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	seed(t, dsn)
	lines, code := roadbed(t, "policy", "export", "--database", dsn)
	if code != exitOK {
		t.Fatal(lines)
	}
	export := filepath.Join(t.TempDir(), "verdicts.jsonl")
	if err := os.WriteFile(export, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := roadbed(t, "policy", "mutate", "--rule", "backup_retention", "--verdicts", export)
	if code != exitOK || !strings.Contains(out, "score ") || !strings.Contains(out, "! backup_retention never spoke") ||
		!strings.Contains(out, "cost_limit spoke 1 times and stopped 1") {
		t.Errorf("exit %d\n%s", code, out)
	}
	weak := policiesWith(t, "guardrails/backup_retention_test.rego", `_in("prod", 7)`, `_in("prod", 8)`)
	out, code = roadbed(t, "policy", "mutate", "--policies", weak, "--rule", "backup_retention", "--min-score", "100")
	if code != exitFailed || !strings.Contains(out, "! guardrails/backup_retention.rego:") || !strings.Contains(out, ": comparison: >= becomes >") {
		t.Errorf("weak tests: exit %d\n%s", code, out)
	}
	if out, code = roadbed(t, "policy", "mutate", "--rule", "backup_retention", "--json"); code != exitOK || !strings.Contains(out, `"score": `) {
		t.Errorf("JSON: exit %d\n%s", code, out)
	}
}

func TestPolicyReplayNeedsAPast(t *testing.T) {
	t.Parallel()
	if out, code := roadbed(t, "policy", "replay"); code != exitUsage || !strings.Contains(out, "--verdicts FILE") {
		t.Errorf("exit %d\n%s", code, out)
	}
	empty := filepath.Join(t.TempDir(), "broken.jsonl")
	if err := os.WriteFile(empty, []byte("{\"kind\":\"verdict\"}\n{"), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if out, code := roadbed(t, "policy", "replay", "--verdicts", empty); code != exitUsage || !strings.Contains(out, "entry 2") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
