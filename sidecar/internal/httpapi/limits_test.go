package httpapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestACallerThatAsksTooFastWaitsAndNobodyElse(t *testing.T) {
	t.Parallel()
	began, later := time.Now(), atomic.Int64{}
	r := newRig(t, func(c *httpapi.Config) {
		c.Limits = httpapi.Limits{Reads: 2, Tries: 1, Asks: 1, Workers: 1}
		c.Now = func() time.Time { return began.Add(time.Duration(later.Load())) }
	})
	me := func(subject string) answer {
		return r.raw(http.MethodGet, httpapi.Base+"/me", r.jsonBy(subject), "")
	}
	for i := range 10 { // five seconds of two
		if got := me(ann); got.status != http.StatusOK {
			t.Fatalf("read %d of 10 answered %d", i+1, got.status)
		}
	}
	got := me(ann)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, `"TooManyRequestsError"`) || !strings.Contains(got.body, "2 times a second") {
		t.Errorf("the eleventh read answered %d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.body)
	}
	if err := kindOf(t, err(r.as(ann).Me(t.Context())), provision.Unavailable); err.RetryAfter != time.Second {
		t.Errorf("the client reads a Retry-After of %s, want 1s", err.RetryAfter)
	}
	if got := me(bob); got.status != http.StatusOK {
		t.Errorf("another caller's read answered %d, want 200", got.status)
	}
	cancel := func(subject string) int {
		return r.raw(http.MethodPost, httpapi.Base+"/requests/"+uuid.NewString()+"/cancel", r.jsonBy(subject), "").status
	}
	for range 5 {
		if status := cancel(ann); status != http.StatusNotFound {
			t.Fatalf("a caller that reads too much could not ask: %d", status)
		}
	}
	if status := cancel(ann); status != http.StatusTooManyRequests {
		t.Errorf("the sixth ask answered %d, want 429", status)
	}
	for range 20 {
		if got := r.raw(http.MethodGet, "/.backstage/health/v1/liveness", nil, ""); got.status != http.StatusOK {
			t.Fatalf("liveness answered %d", got.status)
		}
	}
	later.Store(int64(time.Second))
	for i, want := range []int{200, 200, 429} {
		if got := me(ann); got.status != want {
			t.Errorf("a second later read %d answered %d, want %d", i+1, got.status, want)
		}
	}
	// A worker that calls itself by another name each time is still its pool's.
	for i := range 6 {
		header := http.Header{"Authorization": {"Bearer " + poolToken}, "Roadbed-Worker": {fmt.Sprintf("worker-%d", i)}}
		want := http.StatusNotFound
		if i == 5 {
			want = http.StatusTooManyRequests
		}
		if got := r.raw(http.MethodGet, httpapi.Base+"/worker/bundles/sha256:"+strings.Repeat("0", 64), header, ""); got.status != want {
			t.Errorf("call %d of the pool answered %d, want %d: %s", i+1, got.status, want, got.body)
		}
	}
	families, gatherErr := r.server.Metrics.Registry().Gather()
	if gatherErr != nil {
		t.Fatal(gatherErr)
	}
	counted := 0.0
	for _, family := range families {
		if family.GetName() == "roadbed_http_limited_total" {
			for _, m := range family.GetMetric() {
				counted += m.GetCounter().GetValue()
			}
		}
	}
	if counted != 5 {
		t.Errorf("%v refusals were counted, want 5", counted)
	}
}

func err[T any](_ T, err error) error { return err }

// stuck is a reader of logs that takes its time.
type stuck struct {
	httpapi.Reader
	arrived, release chan struct{}
}

func (s stuck) LogAfter(context.Context, uuid.UUID, int64, int) ([]provision.LogEntry, error) {
	s.arrived <- struct{}{}
	<-s.release
	return nil, nil
}

func TestACallerHoldsOnlySoManyPlaces(t *testing.T) {
	t.Parallel()
	slow := stuck{arrived: make(chan struct{}), release: make(chan struct{})}
	r := newRig(t, func(c *httpapi.Config) {
		slow.Reader = c.Reader
		c.Reader, c.Limits.PerCaller = slow, 1
	})
	request := r.submit("orders")
	done := make(chan answer)
	go func() {
		done <- r.raw(http.MethodGet, httpapi.Base+"/requests/"+request.Id.String()+"/logs", r.jsonBy(ann), "")
	}()
	<-slow.arrived
	if got := r.raw(http.MethodGet, httpapi.Base+"/me", r.jsonBy(ann), ""); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "1" {
		t.Errorf("the second of one at a time answered %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if got := r.raw(http.MethodGet, httpapi.Base+"/me", r.jsonBy(bob), ""); got.status != http.StatusOK {
		t.Errorf("another caller was answered %d", got.status)
	}
	close(slow.release)
	<-done
	if got := r.raw(http.MethodGet, httpapi.Base+"/me", r.jsonBy(ann), ""); got.status != http.StatusOK {
		t.Errorf("the place was not given back: %d", got.status)
	}
}

func TestPeopleDoNotKeepWorkersOut(t *testing.T) {
	t.Parallel()
	gate := slow{make(chan struct{}), make(chan struct{})}
	r := newRig(t, func(c *httpapi.Config) { c.Auth, c.Limits.Active = gate, 1 })
	done := make(chan answer)
	go func() { done <- r.raw(http.MethodGet, httpapi.Base+"/me", nil, "") }()
	<-gate.arrived
	kindOf(t, err(r.worker(poolToken).Claim(t.Context(), uuid.New())), provision.NotFound)
	close(gate.release)
	<-done
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	got := r.raw(http.MethodGet, httpapi.Base+"/me", http.Header{"Authorization": {"Bearer " + strings.Repeat("x", 100<<10)}}, "")
	if got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 100 KiB answered %d, want 431", got.status)
	}
}

func TestCallersThatAreQuietAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Now()
	gate := httpapi.NewGate(httpapi.Limits{}, func() time.Time { return now })
	for i := range 100_000 {
		now = now.Add(time.Millisecond)
		gate.Pass(fmt.Sprintf("user:default/%d", i))
	}
	if kept := gate.Kept(); kept > 1100 {
		t.Errorf("%d callers are remembered, of whom fewer than 100 asked within the last tenth of a second", kept)
	}
}

func BenchmarkLimits(b *testing.B) {
	gate := httpapi.NewGate(httpapi.Limits{Reads: 1 << 29}, time.Now)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			gate.Pass(ann)
		}
	})
}

func TestFewLargeBodiesAreHeldAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Limits.Bulky = 1 })
	push := func(body io.Reader, length int64) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, r.url()+"/worker/runs/"+uuid.NewString()+"/state", body)
		if err != nil {
			t.Error(err)
			return 0
		}
		req.ContentLength = length
		req.Header = http.Header{
			"Authorization": {"Bearer " + poolToken}, "Roadbed-Worker": {"worker-1"},
			"Roadbed-State-Serial": {"1"}, "Roadbed-State-Lineage": {"l"}, "Roadbed-Fence": {"1"},
			"Expect": {"100-continue"}, // else the answer may come in the middle of the sending
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	const large = 2 << 20
	body, rest := io.Pipe()
	first := make(chan int)
	go func() { first <- push(body, large) }()
	if _, err := rest.Write(make([]byte, large/2)); err != nil { // it is being read
		t.Fatal(err)
	}
	testkit.Eventually(t, 10*time.Second, "a second large one is told to come again", func() bool {
		return push(bytes.NewReader(make([]byte, large)), large) == http.StatusServiceUnavailable
	})
	if status := push(strings.NewReader("small"), 5); status != http.StatusNotFound {
		t.Errorf("a small one beside it answered %d, want that there is no such run", status)
	}
	if _, err := rest.Write(make([]byte, large/2)); err != nil {
		t.Fatal(err)
	}
	if status := <-first; status != http.StatusNotFound {
		t.Errorf("the first answered %d, want that there is no such run", status)
	}
}
