package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func load(t testing.TB) *policy.Bundle {
	t.Helper()
	bundle, err := policy.Load(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// postgres is a request with only the required fields, in an environment and
// at a price.
func postgres(environment string, price provision.Money, change ...func(*provision.RuleInput)) provision.RuleInput {
	in := provision.RuleInput{
		Stage:       provision.StageSubmit,
		Action:      provision.Create,
		Subject:     provision.RuleSubject{Ref: "user:default/ann", Groups: []string{"group:default/payments"}},
		Offering:    provision.RuleOffering{ID: "postgres-database", Version: "1.2.0", Category: "databases"},
		Environment: provision.Environment{Name: environment},
		Name:        "orders",
		Owner:       "group:default/payments",
		CostCenter:  "CC-1234",
		Parameters: provision.Parameters{
			"database_name": "orders", "environment": environment, "instance_class": "db.t3.medium",
			"storage_gb": json.Number("100"), "backup_retention_days": int64(7), "multi_az": false,
			"team_owner": "payments", "cost_center": "CC-1234",
		},
		Price: provision.RulePrice{Known: true, MonthlyMills: price, Items: map[string]int64{"compute": 60000}},
		At:    time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
	}
	for _, f := range change {
		f(&in)
	}
	return in
}

func named(name string) func(*provision.RuleInput) {
	return func(in *provision.RuleInput) {
		in.Name = name
		in.Parameters["database_name"] = name
	}
}

func with(parameter string, value any) func(*provision.RuleInput) {
	return func(in *provision.RuleInput) { in.Parameters[parameter] = value }
}

// said is findings in short: "deny cost_limit".
func said(findings []provision.Finding) []string {
	lines := []string{}
	for _, f := range findings {
		lines = append(lines, string(f.Level)+" "+f.Rule)
	}
	return lines
}

func TestFindings(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	multiAZ := with("multi_az", true)
	tests := map[string]struct {
		input provision.RuleInput
		want  []string
	}{
		"the default in dev is allowed":                {postgres("dev", 85500), []string{}},
		"the default with multi-AZ in dev is denied":   {postgres("dev", 171000, multiAZ), []string{"deny cost_limit"}},
		"exactly the dev limit is allowed":             {postgres("dev", 100000), []string{}},
		"half a cent above the dev limit is denied":    {postgres("dev", 100005), []string{"deny cost_limit"}},
		"one mill above the dev limit is denied":       {postgres("dev", 100001), []string{"deny cost_limit"}},
		"staging at 200 is quiet":                      {postgres("staging", 200000), []string{}},
		"staging just above 200 is warned about":       {postgres("staging", 200001), []string{"warn high_cost"}},
		"staging at its limit is warned about":         {postgres("staging", 500000), []string{"warn high_cost"}},
		"staging above its limit needs approval":       {postgres("staging", 500001), []string{"require_approval cost_limit"}},
		"prod at its limit is allowed":                 {postgres("prod", 10000000, multiAZ), []string{}},
		"prod above its limit needs approval":          {postgres("prod", 10000001, multiAZ), []string{"require_approval cost_limit"}},
		"an unknown environment at 100 is allowed":     {postgres("sandbox", 100000), []string{}},
		"an unknown environment above 100 is denied":   {postgres("sandbox", 100001), []string{"deny cost_limit"}},
		"prod without multi-AZ is warned about":        {postgres("prod", 85500), []string{"warn multi_az"}},
		"prod with six days of backups is denied":      {postgres("prod", 1000, multiAZ, with("backup_retention_days", 6)), []string{"deny backup_retention"}},
		"prod with seven days of backups is allowed":   {postgres("prod", 1000, multiAZ, with("backup_retention_days", json.Number("7"))), []string{}},
		"device-db in dev does not contain dev":        {postgres("dev", 85500, named("device-db")), []string{}},
		"product-api in prod does not contain prod":    {postgres("prod", 85500, multiAZ, named("product-api")), []string{}},
		"orders-dev in dev is warned about":            {postgres("dev", 85500, named("orders-dev")), []string{"warn name_contains_environment"}},
		"a large database in prod needs approval":      {postgres("prod", 1000, multiAZ, with("storage_gb", 801)), []string{"require_approval large_database"}},
		"a large database at the threshold is allowed": {postgres("prod", 1000, multiAZ, with("storage_gb", 800)), []string{}},
		"db.r6g is not told to become db.r6g":          {postgres("prod", 1000, multiAZ, with("instance_class", "db.r6g.xlarge")), []string{}},
		"db.r5 is told of its ARM twin":                {postgres("prod", 1000, multiAZ, with("instance_class", "db.r5.xlarge")), []string{"warn cheaper_arm_twin"}},
		"an unknown price is denied": {postgres("dev", 0, func(in *provision.RuleInput) {
			in.Price = provision.RulePrice{Reason: "instance_class db.r6g.2xlarge has no price"}
		}), []string{"deny cost_limit"}},
		"all faults are reported at once, in the document's order": {
			postgres("prod", 10000001, named("prod-orders"), with("backup_retention_days", 1), with("storage_gb", 1000),
				with("instance_class", "db.r5.xlarge"), func(in *provision.RuleInput) { in.Owner, in.CostCenter = "", " " }),
			[]string{
				"require_approval cost_limit", "require_approval large_database", "deny backup_retention", "warn multi_az",
				"warn name_contains_environment", "deny team_owner", "deny cost_center", "warn cheaper_arm_twin",
			},
		},
		"what is destroyed is not judged by cost, name or size": {
			postgres("staging", 0, named("staging-orders"), with("storage_gb", 1000), with("backup_retention_days", 1),
				func(in *provision.RuleInput) { in.Action, in.Owner = provision.Destroy, "" }),
			[]string{},
		},
		"an offering without a database's parameters is left alone": {postgres("prod", 1000, func(in *provision.RuleInput) {
			in.Offering.Category, in.Parameters = "messaging", provision.Parameters{"topic": "orders"}
		}), []string{}},
		"a request without parameters is left alone": {postgres("prod", 1000, func(in *provision.RuleInput) {
			in.Parameters = nil
		}), []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, digest, err := bundle.Findings(t.Context(), tt.input)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, said(got)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if digest != bundle.Digest() {
				t.Errorf("digest = %q, want %q", digest, bundle.Digest())
			}
		})
	}
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	unknown := postgres("dev", 0)
	unknown.Price = provision.RulePrice{Reason: "no price"}
	tests := map[string]struct {
		input provision.RuleInput
		want  *provision.Allowance
	}{
		"what is left is the limit less the price": {postgres("dev", 85500), &provision.Allowance{Limit: 100_000, Left: 14_500, Scope: "dev", Rule: "cost_limit"}},
		"what is too much is negative":             {postgres("dev", 100005), &provision.Allowance{Limit: 100_000, Left: -5, Scope: "dev", Rule: "cost_limit"}},
		"each environment has its own":             {postgres("prod", 1), &provision.Allowance{Limit: 10_000_000, Left: 9_999_999, Scope: "prod", Rule: "cost_limit"}},
		"nothing is left of an unknown price":      {unknown, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t).Allowance(t.Context(), tt.input)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("allowance (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindingsSpeakToTheRequester(t *testing.T) {
	t.Parallel()
	got, _, err := load(t).Findings(t.Context(), postgres("dev", 100005, with("storage_gb", 501)))
	if err != nil {
		t.Fatal(err)
	}
	want := []provision.Finding{{
		Rule: "cost_limit", Level: provision.LevelDeny,
		Message: "Estimated cost $100.005/month exceeds limit $100/month for dev.",
		WayOut:  "Please request approval from #platform-team.",
	}, {
		Rule: "large_database", Level: provision.LevelRequireApproval, Path: "storage_gb",
		Message:   "Databases over 500 GB require approval in dev; this asks for 501 GB.",
		WayOut:    "Choose 500 GB or less, or ask #platform-team.",
		Approvers: []string{"group:default/platform-team"}, Count: 1,
	}, {
		Rule: "start_smaller", Level: provision.LevelInfo, Path: "storage_gb",
		Message: "501 GB is much for dev. Consider starting with 250GB.",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestMoneyReadsAsTheDomainWritesIt(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	for _, price := range []provision.Money{500010, 500016, 999994, 999995, 1000000, 2130000, 999999999, 1234567895} {
		got, _, err := bundle.Findings(t.Context(), postgres("staging", price))
		if err != nil {
			t.Fatal(err)
		}
		want := "Estimated cost " + price.String() + "/month exceeds limit $500/month for staging."
		if len(got) != 1 || got[0].Message != want {
			t.Errorf("at %d mills: got %+v, want message %q", price, got, want)
		}
	}
}

func TestAStoredInputGivesTheSameFindings(t *testing.T) {
	t.Parallel()
	bundle, input := load(t), postgres("prod", 171000, named("orders-prod"))
	document, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := bundle.Findings(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := bundle.FindingsJSON(t.Context(), document)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("from the stored input (-direct +stored):\n%s", diff)
	}
}

func TestFindingsFromManyGoroutines(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for range 50 {
				price, want := provision.Money(85500), 0
				if i%2 == 1 {
					price, want = 171000, 1
				}
				got, _, err := bundle.Findings(context.Background(), postgres("dev", price))
				if err != nil || len(got) != want {
					t.Errorf("at %s: %d findings, error %v; want %d", price, len(got), err, want)
				}
				err = bundle.Allow(context.Background(), provision.Access{
					Principal: provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/a"}},
					Verb:      provision.VerbRead, Owner: "group:default/a",
				})
				if err != nil {
					t.Errorf("Allow: %v", err)
				}
			}
		})
	}
	group.Wait()
}

func TestACancelledAskIsNoAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bundle := load(t)
	if _, _, err := bundle.Findings(ctx, postgres("dev", 85500)); !errors.Is(err, context.Canceled) {
		t.Errorf("Findings error = %v, want context.Canceled", err)
	}
	if err := bundle.Allow(ctx, provision.Access{Verb: provision.VerbRead}); !errors.Is(err, context.Canceled) {
		t.Errorf("Allow error = %v, want context.Canceled", err)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	ann := provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/payments", "user:default/ann"}, Actor: "plugin:scaffolder"}
	herself := provision.Principal{Subject: ann.Subject, Groups: ann.Groups}
	pat := provision.Principal{Subject: "user:default/pat", Groups: []string{"group:default/platform-team", "user:default/pat"}}
	catalog := provision.Principal{Subject: "plugin:catalog"}
	scaffolder := provision.Principal{Subject: "plugin:scaffolder"}
	expiry := provision.Principal{Subject: "system:expiry"}
	const payments, checkout = "group:default/payments", "group:default/checkout"
	tests := map[string]struct {
		who   provision.Principal
		verb  provision.Verb
		owner string
		want  string // what the denial must say; "" means allowed
	}{
		"a member asks for their team":              {ann, provision.VerbSubmit, payments, ""},
		"a member does not ask for another team":    {ann, provision.VerbSubmit, checkout, "not a member of " + checkout},
		"nobody asks for themselves":                {ann, provision.VerbSubmit, "user:default/ann", "is not a team"},
		"nobody asks without an owner":              {ann, provision.VerbSubmit, "", "is not a team"},
		"a member reads their team's":               {ann, provision.VerbRead, payments, ""},
		"a member does not read another team's":     {ann, provision.VerbRead, checkout, checkout + " and the platform team may read"},
		"a member cancels their team's":             {ann, provision.VerbCancel, payments, ""},
		"a member opens their team's credentials":   {herself, provision.VerbOpenCredentials, payments, ""},
		"a template does not open them for her":     {ann, provision.VerbOpenCredentials, payments, "by people themselves"},
		"a member does not list all":                {ann, provision.VerbListAll, "", "group:default/platform-team"},
		"the platform team asks for any team":       {pat, provision.VerbSubmit, checkout, ""},
		"the platform team reads any team's":        {pat, provision.VerbRead, checkout, ""},
		"the platform team cancels any team's":      {pat, provision.VerbCancel, checkout, ""},
		"the platform team lists all":               {pat, provision.VerbListAll, "", ""},
		"the platform team opens no other's":        {pat, provision.VerbOpenCredentials, checkout, "Only members of " + checkout},
		"the platform team does not read the feed":  {pat, provision.VerbFeed, "", "plugin:catalog"},
		"the catalog reads the feed":                {catalog, provision.VerbFeed, "", ""},
		"the catalog reads no request":              {catalog, provision.VerbRead, payments, "Only members of " + payments},
		"the scaffolder alone asks for nothing":     {scaffolder, provision.VerbSubmit, payments, "only a person may"},
		"the scaffolder does not read the feed":     {scaffolder, provision.VerbFeed, "", "plugin:catalog"},
		"expiry reads":                              {expiry, provision.VerbRead, payments, ""},
		"expiry cancels":                            {expiry, provision.VerbCancel, payments, ""},
		"expiry ends what has expired":              {expiry, provision.VerbExpire, payments, ""},
		"a person expires nothing":                  {pat, provision.VerbExpire, payments, "#platform-team"},
		"expiry opens no credentials":               {expiry, provision.VerbOpenCredentials, payments, "Only members of " + payments},
		"a system that nobody named reads nothing":  {provision.Principal{Subject: "system:other"}, provision.VerbRead, payments, "Only members of"},
		"a member approves for the approving group": {pat, provision.VerbApprove, "group:default/platform-team", ""},
		"nobody approves for another group":         {ann, provision.VerbApprove, "group:default/platform-team", "Only members of group:default/platform-team may approve"},
		"a plugin approves nothing":                 {scaffolder, provision.VerbApprove, "group:default/platform-team", "Only members of"},
		"the platform team approves for itself":     {pat, provision.VerbApprove, payments, "Only members of " + payments},
		"a verb that nobody knows is refused":       {pat, "purge", payments, "#platform-team"},
		"nobody at all is refused":                  {provision.Principal{}, provision.VerbRead, payments, "Only members of"},
		"an ownerless thing is not for empty group": {provision.Principal{Subject: "user:default/x", Groups: []string{""}}, provision.VerbRead, "", "#platform-team"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := bundle.Allow(t.Context(), provision.Access{Principal: tt.who, Verb: tt.verb, Owner: tt.owner, Environment: "dev"})
			if tt.want == "" {
				if err != nil {
					t.Errorf("%s may not %s for %q: %v", tt.who.Subject, tt.verb, tt.owner, err)
				}
				return
			}
			if provision.KindOf(err) != provision.Denied || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s to %s for %q: error %v, want a denial with %q", tt.who.Subject, tt.verb, tt.owner, err, tt.want)
			}
		})
	}
}

func TestTheBundleDescribesItself(t *testing.T) {
	t.Parallel()
	bundle := load(t)
	var names []string
	for _, rule := range bundle.Rules() {
		names = append(names, rule.Name)
		if rule.Title == "" || rule.Description == "" || rule.Docs != "docs/policies.md#"+rule.Name {
			t.Errorf("rule %+v lacks a title, a description or its documentation", rule)
		}
	}
	want := []string{
		"cost_limit", "budget", "rollout_shape", "data_store_lost", "open_to_world", "unencrypted", "missing_tags", "unpriced_resources", "price_differs", "large_database", "high_cost",
		"backup_retention", "dependants", "destroy_confirmation", "destroy_approval", "offering_version", "extension", "multi_az",
		"name_contains_environment", "team_owner", "cost_center", "cheaper_arm_twin",
		"arm_saving", "start_smaller", "long_backups", "adopt_changes", "final_snapshot", "import_changes",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	file, err := os.ReadFile("../../../policies/data/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(file), string(bundle.PricesYAML())); diff != "" {
		t.Errorf("PricesYAML (-file +got):\n%s", diff)
	}
}

func BenchmarkFindings(b *testing.B) {
	bundle := load(b)
	for name, input := range map[string]provision.RuleInput{
		"allowed":        postgres("dev", 85500),
		"one denial":     postgres("dev", 171000),
		"three findings": postgres("prod", 10000001, with("backup_retention_days", 1)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := bundle.Findings(b.Context(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAllow(b *testing.B) {
	bundle := load(b)
	ann := provision.Principal{Subject: "user:default/ann", Groups: []string{"group:default/payments", "user:default/ann"}}
	for name, owner := range map[string]string{"allowed": "group:default/payments", "denied": "group:default/checkout"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				err := bundle.Allow(b.Context(), provision.Access{Principal: ann, Verb: provision.VerbSubmit, Owner: owner})
				if (err == nil) != (name == "allowed") {
					b.Fatal(err)
				}
			}
		})
	}
}
