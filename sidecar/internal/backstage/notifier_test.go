package backstage

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestApproversAreNotified(t *testing.T) {
	t.Parallel()
	key := newTestKey(t)
	signer, err := NewSigner("roadbed", key)
	if err != nil {
		t.Fatal(err)
	}
	var status, asked atomic.Int32
	got := make(chan map[string]any, 10)
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, err := jwt.Parse(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
			jwt.WithAudience("notifications"), jwt.WithSubject("roadbed"))
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/notifications/notifications" {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body) // an empty one fails the comparison
		w.WriteHeader(int(status.Load()))
		got <- body
	}))
	t.Cleanup(plugin.Close)
	discovery, err := NewDiscovery(plugin.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := NewNotifier(discovery, signer, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	id := uuid.New()
	event := provision.Event{Entity: "approval", Verb: "requested", SubjectID: id, Environment: "staging", Data: map[string]any{
		"name": "orders", "offering": "postgres-database", "requested_by": "user:default/ann", "ceiling": provision.Money(755_000),
		"needed": []provision.ApprovalNeed{{People: []string{"user:default/sam", "user:default/pat"}}, {People: []string{"user:default/pat"}}},
		"plan":   []provision.PlannedAction{{Address: "a.b", Action: "create"}, {Address: "a.c", Action: "replace"}},
	}}
	await := func() map[string]any {
		t.Helper()
		select {
		case body := <-got:
			return body
		case <-time.After(10 * time.Second):
			t.Fatal("nobody was notified")
			return nil
		}
	}
	for _, code := range []int32{http.StatusOK, http.StatusBadGateway} { // what fails is dropped, the next is told
		status.Store(code)
		n.Hear([]provision.Event{{Entity: "request", Verb: "queued"}, event, {Entity: "approval", Verb: "given"}})
		want := map[string]any{
			"recipients": map[string]any{"type": "entity", "entityRef": []any{"user:default/pat", "user:default/sam"}},
			"payload": map[string]any{
				"title":       "orders in staging waits for your approval",
				"description": "user:default/ann asks for it (postgres-database) at $755.00 a month; 2 changes, 1 of them delete something.",
				"link":        "/infrastructure/requests/" + id.String(), "severity": "normal", "topic": "roadbed.approval", "scope": "roadbed:request:" + id.String(),
			},
		}
		if diff := cmp.Diff(want, await()); diff != "" {
			t.Errorf("notification (-want +got):\n%s", diff)
		}
	}
	status.Store(http.StatusNotFound)
	n.Hear([]provision.Event{event})
	await()
	before := asked.Load()
	n.Hear([]provision.Event{event, event})
	deadline := time.After(10 * time.Second)
	for len(n.events) > 0 {
		select {
		case <-deadline:
			t.Fatal("events are not taken")
		case <-time.After(time.Millisecond):
		}
	}
	if asked.Load() != before {
		t.Error("a plugin that is not there is asked again at once")
	}
	for range notifyAhead + 10 {
		n.Hear([]provision.Event{event}) // and never blocks
	}
}
