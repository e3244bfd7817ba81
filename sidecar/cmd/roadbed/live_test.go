package main

import (
	"context"
	"io"
	"log/slog"
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
	if err := d.follow(dir, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
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
	if err := d.follow(dir, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
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
