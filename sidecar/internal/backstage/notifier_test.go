package backstage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

func TestPeopleAreNotifiedInThePortal(t *testing.T) {
	t.Parallel()
	key := newTestKey(t)
	signer, err := NewSigner("roadbed", key)
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Int32
	got := make(chan map[string]any, 10)
	plugin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	n := NewNotifier(discovery, signer)
	note := provision.Notification{
		Recipients: []string{"user:default/pat"}, Title: "orders in staging waits for your approval", Description: "ann asks for it",
		Link: "/infrastructure/requests/1", Severity: "normal", Topic: "roadbed.approval", Scope: "roadbed:request:1",
	}
	want := map[string]any{
		"recipients": map[string]any{"type": "entity", "entityRef": []any{"user:default/pat"}},
		"payload": map[string]any{
			"title": note.Title, "description": note.Description, "link": note.Link, "severity": "normal", "topic": note.Topic, "scope": note.Scope,
		},
	}
	for code, good := range map[int32]func(error) bool{
		http.StatusOK:         func(err error) bool { return err == nil },
		http.StatusBadGateway: func(err error) bool { return err != nil && strings.Contains(err.Error(), "502") },
		http.StatusNotFound:   func(err error) bool { return err != nil && provision.KindOf(err) == provision.NotFound },
	} {
		status.Store(code)
		if err := n.Notify(t.Context(), note); !good(err) {
			t.Errorf("after %d: %v", code, err)
		}
		if diff := cmp.Diff(want, <-got); diff != "" {
			t.Errorf("notification (-want +got):\n%s", diff)
		}
	}
}
