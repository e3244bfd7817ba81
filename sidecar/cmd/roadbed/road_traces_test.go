package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// spans are what a collector was sent, which takes OTLP over HTTP as every real
// one does.
type spans struct {
	mu  sync.Mutex
	all []*tracepb.Span
}

func collect(t *testing.T) (*spans, string) {
	t.Helper()
	found := &spans{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("the collector was sent %s %s (%v)", r.Method, r.URL.Path, err)
		}
		found.mu.Lock()
		defer found.mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				found.all = append(found.all, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return found, server.URL
}

// text is all of them as they were sent, nearly.
func (s *spans) text(t *testing.T) []byte {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []byte
	for _, span := range s.all {
		text, err := proto.Marshal(span)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if len(all) < 1000 {
		t.Errorf("only %d bytes of traces were sent", len(all))
	}
	return all
}

// named is the first span of a name in a trace, or nil.
func (s *spans) named(trace, name string) *tracepb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.all {
		if hex.EncodeToString(span.TraceId) == trace && span.Name == name {
			return span
		}
	}
	return nil
}

// TestTraceFromTaskToTerraform follows the trace of whoever asks through the API
// to each step that Terraform took.
func TestTraceFromTaskToTerraform(t *testing.T) {
	t.Parallel()
	sent, address := collect(t)
	r := newRoad(t, options{env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + address, "OTEL_BSP_SCHEDULE_DELAY=50"}})
	r.startWorker("w1")
	trace, parent := strings.ReplaceAll(uuid.NewString(), "-", ""), "00f067aa0ba902b7"
	request := r.submitIn(t, "00-"+trace+"-"+parent+"-01")
	r.untilState(request.Id, provision.Succeeded)
	chain := []string{"POST /requests", "create postgres-database", "apply", "Create database instance"}
	r.until("the trace is whole", func() bool {
		for _, name := range chain {
			if sent.named(trace, name) == nil {
				return false
			}
		}
		return true
	})
	above := parent
	for _, name := range chain {
		span := sent.named(trace, name)
		if got := hex.EncodeToString(span.ParentSpanId); got != above {
			t.Errorf("%s is within %s, want %s", name, got, above)
		}
		if span.EndTimeUnixNano < span.StartTimeUnixNano {
			t.Errorf("%s ends before it begins", name)
		}
		above = hex.EncodeToString(span.SpanId)
	}
	for _, name := range []string{"queue", "plan"} {
		if sent.named(trace, name) == nil {
			t.Errorf("the time in %s is not told", name)
		}
	}
	for _, a := range sent.named(trace, "apply").Attributes {
		if a.Key == "roadbed.worker" && a.Value.GetStringValue() != "w1" {
			t.Errorf("the run was told to be %s's", a.Value.GetStringValue())
		}
	}
	if !strings.Contains(r.sidecar.output(), `"trace_id":"`+trace+`"`) {
		t.Error("the sidecar's log does not name the trace")
	}
	for _, span := range sent.all {
		if strings.Contains(span.String(), r.poolKey) {
			t.Errorf("the span %s has a secret", span.Name)
		}
	}
}

// submitIn asks as Ann within a trace, as an instrumented Backstage does.
func (r *road) submitIn(t *testing.T, traceparent string) (request api.Request) {
	t.Helper()
	body, err := json.Marshal(r.submission("dev"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base()+"/requests", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + r.portal.user(t, ann), "Idempotency-Key": uuid.NewString(),
		"Content-Type": "application/json", "traceparent": traceparent,
	} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer api.RequestAnswer
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatalf("submit: %s %v", res.Status, err)
	}
	return answer.Request
}
