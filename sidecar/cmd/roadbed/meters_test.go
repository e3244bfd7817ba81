package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"gopkg.in/yaml.v3"

	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/policy"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func noLoops() []control.LoopHealth { return nil }

// unwatched is the rounds of a loop that nobody minds.
func unwatched() (done func(error)) { return func(error) {} }

// samples are every sample of a family, by its labels; of a histogram, how many
// it has.
func samples(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			value := m.GetGauge().GetValue()
			switch {
			case m.Counter != nil:
				value = m.GetCounter().GetValue()
			case m.Histogram != nil:
				value = float64(m.GetHistogram().GetSampleCount())
			}
			found[strings.Join(labels, " ")] = value
		}
	}
	return found
}

func TestMetersOfRequests(t *testing.T) {
	t.Parallel()
	store, err := postgres.Open(testkit.Database(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	registry := prometheus.NewRegistry()
	loops := func() []control.LoopHealth {
		return []control.LoopHealth{{Name: "relay", Progress: time.Unix(5, 0), Stalled: true}, {Name: "sweep", Progress: time.Unix(6, 0)}}
	}
	m := newMeters(store, loops, registry, slog.New(slog.DiscardHandler), unwatched)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- m.run(ctx) }()

	if err := store.Refuse(t.Context(), provision.Refused(func() provision.Request {
		r := testkit.NewRequest("dear")
		r.Verdict = testkit.Denial()
		return r
	}(), "", time.Now())); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders", "billing"} {
		if err := store.Accept(t.Context(), testkit.Created(name, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []provision.Pause{
		{ID: provision.NewID(), Kind: provision.PausePool, Name: "local", Reason: "patches", By: "user:default/pat"},
		{ID: provision.NewID(), Kind: provision.PauseEverything, Reason: "restored", By: restoreSubject},
	} {
		if _, err := store.BeginPause(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	created := testkit.Created("done", nil)
	if err := store.Accept(t.Context(), created); err != nil {
		t.Fatal(err)
	}
	for _, decide := range []func(*provision.Record) error{
		func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) },
		func(r *provision.Record) error { return r.Claim("w1", "digest", time.Minute) },
		func(r *provision.Record) error { return r.GoOn(testkit.Verdict()) },
		func(r *provision.Record) error { return r.Cancel("and then not") },
		func(r *provision.Record) error {
			_, err := r.Take(provision.Report{
				RunID: r.Run.ID, Fence: r.Run.Fence, Sequence: 1, Kind: provision.ReportOutcome,
				Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true},
			})
			return err
		},
	} {
		if _, err := store.Change(t.Context(), created.Request.ID, decide); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, 10*time.Second, "what has ended is measured", func() bool {
		return len(samples(t, registry, "roadbed_requests_ended_total")) == 2
	})
	for name, want := range map[string]map[string]float64{
		"roadbed_requests_submitted_total":        {"create postgres-database allow": 3, "create postgres-database deny": 1},
		"roadbed_requests_ended_total":            {"create postgres-database denied": 1, "create postgres-database succeeded": 1},
		"roadbed_request_duration_seconds":        {"create postgres-database": 1},
		"roadbed_request_phase_seconds":           {"apply": 1, "plan": 1, "queue": 1},
		"roadbed_requests":                        {"queued": 2, "submitted": 0, "planning": 0, "awaiting_approval": 0, "applying": 0, "lost": 0},
		"roadbed_instances":                       {"reserved": 2, "ready": 1, "changing": 0, "incomplete": 0, "destroying": 0},
		"roadbed_campaigns":                       {"open": 0, "running": 0, "halted": 0},
		"roadbed_database_up":                     {"": 1},
		"roadbed_pauses":                          {"person everything": 0, "person offering": 0, "person pool": 1, "system everything": 1},
		"roadbed_requests_unmeasured_total":       {"": 0},
		"roadbed_loop_stalled":                    {"relay": 1, "sweep": 0},
		"roadbed_loop_progress_timestamp_seconds": {"relay": 5, "sweep": 6},
	} {
		if diff := cmp.Diff(want, samples(t, registry, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if events := samples(t, registry, "roadbed_outbox_events")[""]; events < 10 {
		t.Errorf("%v events wait; nobody has published any", events)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Errorf("run = %v once it is told to stop", err)
	}
}

func TestMetersTellThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	store, err := postgres.Open("postgres://nobody@127.0.0.1:1/none?sslmode=disable", postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	registry := prometheus.NewRegistry()
	newMeters(store, noLoops, registry, slog.New(slog.DiscardHandler), unwatched)
	if up := samples(t, registry, "roadbed_database_up"); up[""] != 0 || len(up) != 1 {
		t.Errorf("the database is up: %v", up)
	}
	if requests := samples(t, registry, "roadbed_requests"); len(requests) != 0 {
		t.Errorf("there are requests: %v; nobody can know", requests)
	}
}

func TestPhasesOf(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	event := func(second int, entity, verb string) provision.Event {
		return provision.Event{Entity: entity, Verb: verb, At: at(second)}
	}
	got := phasesOf([]provision.Event{
		event(0, "request", "submitted"), event(0, "request", "queued"), event(5, "request", "planning"), event(6, "run", "started"),
		event(15, "request", "awaiting_approval"), event(100, "request", "cancel_requested"), event(1015, "request", "queued"),
		event(1016, "request", "planning"), event(1018, "request", "applying"), event(1020, "request", "lost"),
		event(1050, "request", "applying"), event(1060, "request", "succeeded"),
	})
	want := map[string]time.Duration{"queue": 6 * time.Second, "plan": 12 * time.Second, "approval": 1000 * time.Second, "apply": 42 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
}

// metrics are the labels of every metric that a sidecar has, by name.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	store, err := postgres.Open("postgres://nobody@127.0.0.1:1/none?sslmode=disable", postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	registry := httpapi.NewMetrics().Registry()
	newMeters(store, noLoops, registry, slog.New(slog.DiscardHandler), unwatched)
	(&domain{live: &policy.Live{}}).meter(registry)
	if _, err := openDecisionLog(filepath.Join(t.TempDir(), "log"), slog.New(slog.DiscardHandler), registry); err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc, 1000)
	registry.Describe(descriptions)
	close(descriptions)
	shape := regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	known := map[string][]string{}
	for d := range descriptions {
		parts := shape.FindStringSubmatch(d.String())
		known[parts[1]] = strings.Split(parts[2], ",")
	}
	return known
}

var (
	metricName  = regexp.MustCompile(`roadbed_[a-z0-9_]+`)
	selectorsIn = regexp.MustCompile(`([a-z_]+)=~?"`)
	groupsIn    = regexp.MustCompile(`by \(([^)]*)\)`)
)

// checkQuery says what a query names that no sidecar has.
func checkQuery(t *testing.T, where, query string, known map[string][]string) {
	t.Helper()
	if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
		t.Errorf("%s: %s has brackets that do not close", where, query)
	}
	labels := []string{"le"}
	names := metricName.FindAllString(query, -1)
	if len(names) == 0 {
		t.Errorf("%s: %s asks for no metric of ours", where, query)
	}
	for _, name := range names {
		of, ok := known[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if !ok {
				of, ok = known[strings.TrimSuffix(name, suffix)]
			}
		}
		if !ok {
			t.Errorf("%s: %s asks for %s, which no sidecar has", where, query, name)
		}
		labels = append(labels, of...)
	}
	var used []string
	for _, selector := range selectorsIn.FindAllStringSubmatch(query, -1) {
		used = append(used, selector[1])
	}
	for _, group := range groupsIn.FindAllStringSubmatch(query, -1) {
		used = append(used, strings.Split(strings.ReplaceAll(group[1], " ", ""), ",")...)
	}
	for _, label := range used {
		if !slices.Contains(labels, label) {
			t.Errorf("%s: %s uses the label %q; there are %v", where, query, label, labels)
		}
	}
}

func TestDashboardAndAlertsAskForMetricsThatExist(t *testing.T) {
	known := metrics(t)
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(repository(t), "deploy/grafana", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var dashboard struct {
		Panels []struct {
			Type, Title, Description string
			Targets                  []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read("roadbed.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, panel := range dashboard.Panels {
		if panel.Type != "row" && (panel.Description == "" || len(panel.Targets) == 0) {
			t.Errorf("the panel %s has no description or no query", panel.Title)
		}
		for _, target := range panel.Targets {
			checkQuery(t, panel.Title, target.Expr, known)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				shown[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		family := slices.ContainsFunc([]string{"", "_bucket", "_sum", "_count"}, func(suffix string) bool { return shown[name+suffix] })
		if strings.HasPrefix(name, "roadbed_") && !family && name != "roadbed_decision_log_written_total" {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Description, Runbook string }
			}
		}
	}
	if err := yaml.Unmarshal(read("alerts.yaml"), &alerts); err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile(filepath.Join(repository(t), "docs/runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range alerts.Groups[0].Rules {
		checkQuery(t, rule.Alert, rule.Expr, known)
		if !strings.Contains(string(runbook), "\n### "+rule.Alert+"\n") || rule.Annotations.Runbook != "docs/runbook.md#"+strings.ToLower(rule.Alert) {
			t.Errorf("the alert %s leads to %q; docs/runbook.md must have a part of its name", rule.Alert, rule.Annotations.Runbook)
		}
		if rule.Annotations.Summary == "" || rule.Annotations.Description == "" {
			t.Errorf("the alert %s does not say what is wrong", rule.Alert)
		}
	}
}
