package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestPoliciesAndPricesFollowTheirFolder(t *testing.T) {
	t.Parallel()
	dir := policiesWith(t, "", "", "")
	d, err := ownedFiles{Policies: dir}.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.follow(dir, policySource{}, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	d.meter(registry)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.live.Run(ctx, 10*time.Millisecond) }()

	o, err := d.served.Offering("postgres-database")
	if err != nil {
		t.Fatal(err)
	}
	ask := provision.Ask{
		Stage: provision.StageForm, Action: provision.Create, Offering: o, Environment: d.environments["dev"], Name: "orders",
		Owner: "group:default/payments", CostCenter: "CC-1", At: time.Now(), Parameters: parameters("dev", "db.t3.medium", 100, 7, false),
	}
	judge := func() provision.Verdict {
		verdict, err := d.judge.Judge(t.Context(), ask)
		if err != nil {
			t.Fatal(err)
		}
		return verdict
	}
	before := judge()
	if !before.Allowed() {
		t.Fatalf("it is not allowed: %+v", before.Findings)
	}
	rewrite(t, filepath.Join(dir, "data", "prices.yaml"), "db.t3.small: 30", "db.t3.small: 31")
	testkit.Eventually(t, 30*time.Second, "other prices", func() bool {
		return judge().Estimate.PricesDigest != before.Estimate.PricesDigest
	})
	testkit.Eventually(t, 30*time.Second, "other policies", func() bool { return judge().BundleDigest != before.BundleDigest })

	rewrite(t, filepath.Join(dir, "guardrails", "team_owner.rego"), "package roadbed", "package elsewhere")
	testkit.Eventually(t, 30*time.Second, "a refusal", func() bool { return d.live.Err() != nil })
	if !judge().Allowed() {
		t.Error("what was good is no longer in force")
	}
	if got := gauge(t, registry, "roadbed_policy_bundle_refused"); got != 1 {
		t.Errorf("refused = %v, want 1", got)
	}
	if got := gauge(t, registry, "roadbed_policy_bundle_age_seconds"); got < 0 || got > 600 {
		t.Errorf("age = %v s", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestPresetsCostWhatTheyWouldCost(t *testing.T) {
	t.Parallel()
	dir := policiesWith(t, "", "", "")
	d, err := ownedFiles{Policies: dir}.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.follow(dir, policySource{}, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	for i, o := range d.served.Offerings() {
		for j, preset := range o.Presets {
			if want := d.catalog.Offerings()[i].Presets[j].MonthlyCost; preset.MonthlyCost != want {
				t.Errorf("%s of %s costs %s, want %s", preset.Name, o.ID, preset.MonthlyCost, want)
			}
		}
	}
}

func TestSidecarWaitsRedForItsPolicyBundle(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) }))
	t.Cleanup(server.Close)
	d, err := ownedFiles{}.load()
	if err != nil {
		t.Fatal(err)
	}
	from := policySource{Bundle: server.URL, Cache: t.TempDir(), Interval: 10 * time.Millisecond}
	if err := d.follow("", from, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.watch(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	ask := func() error {
		_, err := d.judge.Judge(t.Context(), provision.Ask{
			Stage: provision.StageForm, Action: provision.Create, Offering: d.catalog.Offerings()[0], Environment: d.environments["dev"],
			Name: "orders", Owner: "group:default/payments", CostCenter: "CC-1", At: time.Now(), Parameters: parameters("dev", "db.t3.medium", 100, 7, false),
		})
		return err
	}
	if provision.KindOf(d.ready()) != provision.Unavailable || provision.KindOf(ask()) != provision.Unavailable || d.note() != "" {
		t.Errorf("without policies: ready %v, judge %v, note %q", d.ready(), ask(), d.note())
	}
	if _, err := d.served.Offering("postgres-database"); err != nil {
		t.Errorf("the catalog cannot be shown: %v", err)
	}
	if err := (&policyBundleCommand{Output: file, Algorithm: "ES256"}).Run(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, "policies", func() bool { return d.ready() == nil })
	if err := ask(); err != nil {
		t.Errorf("with policies: %v", err)
	}
	if err := os.WriteFile(file, []byte("no bundle"), 0o600); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 30*time.Second, "a note of the refusal", func() bool { return d.note() != "" && d.ready() == nil })
}

func TestSettingsOfThePolicySourceAgree(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from   policySource
		folder string
		good   bool
	}{
		"built in": {policySource{}, "", true}, "folder": {policySource{}, "policies", true},
		"service":            {policySource{Bundle: "https://bundles", Interval: time.Minute}, "", true},
		"both":               {policySource{Bundle: "https://bundles", Interval: time.Minute}, "policies", false},
		"a cache of nothing": {policySource{Cache: "cache"}, "", false}, "too often": {policySource{Bundle: "https://bundles"}, "", false},
	} {
		if err := tt.from.check(tt.folder); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
