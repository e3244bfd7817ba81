package main

import (
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// TestEveryLoopOfTheSidecarIsWatched starts a sidecar that has everything, and
// holds the loops that its health knows to those that the runbook names.
func TestEveryLoopOfTheSidecarIsWatched(t *testing.T) {
	w := newWard(t)
	w.fill()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", serves(t, http.StatusOK, ""))
	s, err := newSidecar(t.Context(), w.server, slog.New(slog.NewJSONHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	stopped := make(chan error, 1)
	go func() { stopped <- s.run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-stopped; err != nil {
			t.Errorf("it stopped with %v", err)
		}
	})
	want := []string{
		"campaigns", "decision log", "dispatcher", "drift checks", "feed", "measures", "notices", "notices to hook", "offering versions",
		"policies", "recorder of logs", "recorder of reports", "relay", "relay sweep", "sweep", "traces",
	}
	names := func() (names []string) {
		for _, loop := range s.loops.Loops() {
			names = append(names, loop.Name)
		}
		return names
	}
	testkit.Eventually(t, 30*time.Second, "every loop is watched", func() bool { return slices.Equal(names(), want) })
	runbook, err := os.ReadFile("../../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range want {
		if name = strings.TrimSuffix(name, " hook"); !strings.Contains(strings.Join(strings.Fields(string(runbook)), " "), "*"+name+"*") {
			t.Errorf("docs/runbook.md does not name the loop %q", name)
		}
	}
}
