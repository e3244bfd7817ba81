package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func openLog(t *testing.T, target string) (*decisionLog, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	log, err := openDecisionLog(target, slog.New(slog.NewTextHandler(io.Discard, nil)), registry)
	if err != nil {
		t.Fatal(err)
	}
	return log, registry
}

// value is a counter's.
func value(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestTheDecisionLogHasWhatWasCommitted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	decisions, registry := openLog(t, path)
	stop := decisions.start(unwatched)
	opened, err := postgres.Open(testkit.Database(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	store := loggedStore{opened, decisions}

	accepted := testkit.Created("orders", nil)
	if err := store.Accept(t.Context(), accepted); err != nil {
		t.Fatal(err)
	}
	denied := testkit.NewRequest("billing")
	denied.Verdict = testkit.Denial()
	if err := store.Refuse(t.Context(), provision.Refused(denied, "", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := store.Accept(t.Context(), testkit.Created("orders", nil)); provision.KindOf(err) != provision.Conflict {
		t.Fatalf("error = %v, want a conflict", err)
	}
	_, err = store.Change(t.Context(), accepted.Request.ID, func(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) })
	if err != nil {
		t.Fatal(err)
	}
	undone := errors.New("undone")
	if _, err = store.Change(t.Context(), accepted.Request.ID, func(*provision.Record) error { return undone }); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	stop()

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	var events []decisionEvent
	decoder := json.NewDecoder(bytes.NewReader(text))
	for decoder.More() {
		var event decisionEvent
		if err := decoder.Decode(&event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	if len(events) != 3 || value(t, registry, "roadbed_decision_log_written_total") != 3 {
		t.Fatalf("%d decisions, want those of the accepted, the denied and the dispatched:\n%s", len(events), text)
	}
	first, second, third := events[0], events[1], events[2]
	if first.Result.Outcome != provision.OutcomeAllow || first.Bundles["roadbed"].Revision != "sha256:b0b0" || first.Path != "roadbed/decision/findings" ||
		first.RequestedBy != "user:default/ann" || first.Labels["request_id"] != accepted.Request.ID.String() || len(first.Input) == 0 {
		t.Errorf("the accepted: %+v", first)
	}
	if second.Result.Outcome != provision.OutcomeDeny || len(second.Result.Findings) != 2 || second.DecisionID == first.DecisionID {
		t.Errorf("the denied: %+v", second)
	}
	if third.Labels["stage"] != "queue" {
		t.Errorf("the dispatched: %+v", third)
	}
}

func TestTheDecisionLogIsSentAgainUntilItIsTaken(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	taken := make(chan []decisionEvent, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		var batch []decisionEvent
		if err := json.NewDecoder(zipped).Decode(&batch); err != nil {
			t.Error(err)
		}
		taken <- batch
	}))
	defer server.Close()
	decisions, _ := openLog(t, server.URL)
	decisions.tell(testkit.Created("orders", nil))
	decisions.tell(testkit.Created("billing", nil))
	stop := decisions.start(unwatched)
	defer stop()
	select {
	case batch := <-taken:
		if len(batch) == 0 || batch[0].Result.Outcome != provision.OutcomeAllow {
			t.Errorf("batch = %+v", batch)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was sent again")
	}
}

func TestAFullDecisionLogDropsAndCountsAndNeverWaits(t *testing.T) {
	t.Parallel()
	decisions, registry := openLog(t, "http://127.0.0.1:1/nobody") // and nobody runs it
	record := testkit.Created("orders", nil)
	for range decisionQueue + 7 {
		decisions.tell(record)
	}
	if got := value(t, registry, "roadbed_decision_log_dropped_total"); got != 7 {
		t.Errorf("%v were dropped, want 7", got)
	}
}

func TestADecisionLogThatCannotBeOpenedStopsTheStart(t *testing.T) {
	t.Parallel()
	_, err := openDecisionLog(filepath.Join(t.TempDir(), "absent", "log"), slog.Default(), prometheus.NewRegistry())
	if err == nil {
		t.Error("it was opened")
	}
}
