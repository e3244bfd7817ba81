package notify

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// hooks is a receiver of webhooks that may be away.
type hooks struct {
	*httptest.Server
	mu   sync.Mutex
	away bool
	got  map[string]int // by webhook-id
	all  int
}

func newHooks(t *testing.T) *hooks {
	t.Helper()
	h := &hooks{got: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all++
		if h.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.got[r.Header.Get("webhook-id")]++
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hooks) set(away bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = away
}

// counts are how many events arrived, how often in all, and how many attempts there were.
func (h *hooks) counts() (events, arrived, attempts int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.got {
		arrived += n
	}
	return len(h.got), arrived, h.all
}

func openStore(t *testing.T, dsn string, c Config) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(dsn, postgres.Options{MaxConnections: 4, Notable: c.Notable})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func hookConfig(t *testing.T, url string) Config {
	t.Helper()
	secret := secretFile(t, "whsec_"+base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	return Config{
		Channels: map[string]ChannelConfig{"hook": {Webhook: &WebhookConfig{URL: url, SecretFile: secret}}},
		Routes:   []Route{{Match: Match{Entity: oneOf{"request"}, Verb: oneOf{"submitted"}, Owner: oneOf{"group:default/payments"}}, To: []string{"hook"}}},
	}
}

func start(t *testing.T, store *postgres.Store, c Config) (n *Notifier, stop func()) {
	t.Helper()
	n = New(Settings{Config: c, Store: store, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Registry: prometheus.NewRegistry(), Backoff: time.Millisecond})
	store.OnCommit(n.Hear)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run = %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return n, stop
}

func submit(t *testing.T, store *postgres.Store, from, n int) {
	t.Helper()
	for i := range n {
		record := testkit.Created(fmt.Sprintf("db-%d", from+i), nil)
		if err := store.Accept(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoticesOutliveWhoeverWasToSendThem(t *testing.T) {
	t.Parallel()
	to := newHooks(t)
	c, dsn := hookConfig(t, to.URL), testkit.Database(t)
	store := openStore(t, dsn, c)
	submit(t, store, 0, 20) // nobody sends anything yet
	if waiting, failed, err := store.CountNotices(t.Context()); waiting != 20 || failed != 0 || err != nil {
		t.Fatalf("%d notices wait, %d failed, %v; want one for each commit", waiting, failed, err)
	}
	_, stopOne := start(t, store, c)
	_, stopTwo := start(t, openStore(t, dsn, c), c)
	submit(t, store, 20, 20)
	testkit.Eventually(t, 30*time.Second, "every event to arrive", func() bool { events, _, _ := to.counts(); return events == 40 })
	testkit.Eventually(t, 30*time.Second, "nothing to be left", func() bool {
		waiting, _, err := store.CountNotices(t.Context())
		return err == nil && waiting == 0
	})
	stopOne()
	stopTwo()
	if _, arrived, _ := to.counts(); arrived != 40 {
		t.Errorf("%d arrived from two replicas, want each of 40 once", arrived)
	}
}

func TestNoticesThatNobodyTakesAreGivenUpAndRetried(t *testing.T) {
	t.Parallel()
	to := newHooks(t)
	to.set(true)
	c, dsn := hookConfig(t, to.URL), testkit.Database(t)
	store := openStore(t, dsn, c)
	start(t, store, c)
	submit(t, store, 0, 1)
	var failed []provision.Notice
	testkit.Eventually(t, 60*time.Second, "the notice to be given up", func() bool {
		var err error
		failed, err = store.FailedNotices(t.Context(), 10)
		return err == nil && len(failed) == 1
	})
	if _, _, attempts := to.counts(); attempts != tries || failed[0].Attempts != tries || failed[0].Channel != "hook" || failed[0].Err != "it answered 503 Service Unavailable" {
		t.Errorf("after %d attempts: %+v", attempts, failed[0])
	}
	to.set(false)
	if n, err := store.RetryNotices(t.Context(), "another", uuid.Nil); n != 0 || err != nil {
		t.Errorf("retry of another channel: %d, %v", n, err)
	}
	if n, err := store.RetryNotices(t.Context(), "hook", failed[0].Event.ID); n != 1 || err != nil {
		t.Errorf("retry: %d, %v", n, err)
	}
	testkit.Eventually(t, 30*time.Second, "it to arrive", func() bool { events, _, _ := to.counts(); return events == 1 })
}

func TestASlowChannelHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	fast := newHooks(t)
	hung := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(hung) })
	c := hookConfig(t, fast.URL)
	c.Channels["slow"] = ChannelConfig{Webhook: &WebhookConfig{URL: slow.URL, SecretFile: c.Channels["hook"].Webhook.SecretFile}}
	c.Routes[0].To = []string{"hook", "slow"}
	store := openStore(t, testkit.Database(t), c)
	start(t, store, c)
	submit(t, store, 0, 12)
	testkit.Eventually(t, patience-time.Second, "the other channel to have them all", func() bool { events, _, _ := fast.counts(); return events == 12 })
}

func TestWhatNoRouteMatchesIsForgotten(t *testing.T) {
	t.Parallel()
	to := newHooks(t)
	c := hookConfig(t, to.URL)
	c.Routes[0].Match.Owner = oneOf{"group:default/web"}
	store := openStore(t, testkit.Database(t), c)
	start(t, store, c)
	submit(t, store, 0, 3)
	testkit.Eventually(t, 30*time.Second, "nothing to be left", func() bool {
		waiting, failed, err := store.CountNotices(t.Context())
		return err == nil && waiting+failed == 0
	})
	if _, _, attempts := to.counts(); attempts != 0 {
		t.Errorf("%d attempts to tell another team", attempts)
	}
}
