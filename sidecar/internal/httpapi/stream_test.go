package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Beat = 30 * time.Millisecond })
	request := r.submit("orders")
	path := "/requests/" + request.Id.String() + "/events"
	open := func(subject string, header http.Header) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		req.Header.Set("Authorization", "Bearer "+r.token(subject))
		req.Header.Set("Accept", "text/event-stream")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}

	res := open(ann, http.Header{})
	if got := res.Header.Get("Cache-Control"); got != "no-cache, no-transform" || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("headers = %v", res.Header)
	}
	for range 4 {
		open(ann, http.Header{})
	}
	if sixth := open(ann, http.Header{}); sixth.StatusCode != http.StatusServiceUnavailable || sixth.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth stream of a person answered %d, want 503", sixth.StatusCode)
	}
	if other := open(pat, http.Header{}); other.StatusCode != http.StatusOK {
		t.Errorf("another person's stream answered %d", other.StatusCode)
	}
	if stranger := open(bob, http.Header{}); stranger.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger's stream answered %d, want 403", stranger.StatusCode)
	}

	if _, err := r.as(ann).Cancel(t.Context(), request.Id, "enough"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body) // it ends by itself
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for frame := range strings.SplitSeq(string(text), "\n\n") {
		if !strings.HasPrefix(frame, "id: ") {
			continue
		}
		lines := strings.SplitN(frame, "\n", 3)
		ids = append(ids, strings.TrimPrefix(lines[0], "id: "))
		if err := r.contract.schema("Event", []byte(strings.TrimPrefix(lines[2], "data: "))); err != nil {
			t.Errorf("frame %q is not an Event: %v", frame, err)
		}
	}
	all, err := r.as(ann).Events(t.Context(), request.Id, 0)
	if err != nil || len(all) < 3 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	var want []string
	for i := range all {
		want = append(want, strconv.Itoa(i+1))
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("the stream's ids (-want +got):\n%s", diff)
	}
	last := len(all)
	if !strings.HasSuffix(strings.TrimSpace(string(text)), "}") || !strings.Contains(string(text), "event: request.cancelled") {
		t.Errorf("the stream ends with %q, want the terminal event", text[max(0, len(text)-200):])
	}

	testkit.Eventually(t, 5*time.Second, "the ended streams give their places back", func() bool {
		resumed := open(ann, http.Header{"Last-Event-Id": {strconv.Itoa(last - 1)}})
		text, _ := io.ReadAll(resumed.Body)
		return resumed.StatusCode == http.StatusOK && strings.Count(string(text), "id: ") == 1
	})
	late := open(ann, http.Header{"Last-Event-Id": {strconv.Itoa(last)}})
	if text, _ := io.ReadAll(late.Body); late.StatusCode != http.StatusOK || strings.Contains(string(text), "id:") {
		t.Errorf("after the last event: %d %q, want an empty stream that ends", late.StatusCode, text)
	}
}

func TestAQuietStreamBeatsAndDrains(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Beat = 10 * time.Millisecond })
	request := r.submit("orders")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url()+"/requests/"+request.Id.String()+"/logs", nil)
	req.Header = r.jsonBy(ann, "Accept", "text/event-stream")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	beat := make([]byte, len("retry: 2000\n\n:\n\n:\n\n"))
	if _, err := io.ReadFull(res.Body, beat); err != nil || string(beat) != "retry: 2000\n\n:\n\n:\n\n" {
		t.Errorf("the stream began with %q, %v; want comments", beat, err)
	}
	r.server.Drain()
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Errorf("a drained stream ended with %v, want in order", err)
	}
}

func TestTheServersLimitsDoNotEndWhatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *httpapi.Config) { c.Beat = 20 * time.Millisecond })
	hasty := httptest.NewUnstartedServer(nil)
	hasty.Config = r.server.HTTPServer()
	hasty.Config.ReadTimeout, hasty.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	hasty.Start()
	t.Cleanup(hasty.Close)
	get := func(subject, path, accept string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hasty.URL+httpapi.Base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = r.jsonBy(subject, "Accept", accept)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	request := r.submit("orders")
	stream := get(ann, "/requests/"+request.Id.String()+"/logs", "text/event-stream")
	if _, err := io.ReadFull(stream.Body, make([]byte, 40*len(":\n\n"))); err != nil {
		t.Errorf("a stream ended with %v before 40 comments, some 0.8 s, had come", err)
	}
	snapshot, err := r.as("plugin:catalog").Entities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first may tell again what the snapshot told
		changes := get("plugin:catalog", "/entities/changes?wait=1&after="+snapshot.Cursor, "application/json")
		var body api.EntityChanges
		if err := json.NewDecoder(changes.Body).Decode(&body); err != nil || changes.StatusCode != http.StatusOK {
			t.Fatalf("a long wait answered %d, %v", changes.StatusCode, err)
		}
		snapshot.Cursor = body.Cursor
	}

	waiting := make(chan int)
	go func() {
		waiting <- r.raw(http.MethodGet, httpapi.Base+"/entities/changes?wait=25&after="+snapshot.Cursor, r.jsonBy("plugin:catalog"), "").status
	}()
	r.server.Drain()
	select {
	case status := <-waiting:
		if status != http.StatusServiceUnavailable {
			t.Errorf("a wait that was drained answered %d, want 503", status)
		}
	case <-time.After(10 * time.Second):
		t.Error("a wait went on while the server drained")
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	request, claim := r.applying("orders")
	var lines []provision.LogLine
	for i := range 620 {
		lines = append(lines, provision.LogLine{RunID: claim.RunID, Pool: "local", Worker: "worker-1", Fence: claim.Fence, Number: int64(i + 1), At: time.Now(), Text: fmt.Sprintf("line %d", i+1)})
	}
	if err := r.store.AppendLog(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	first, err := r.as(ann).Logs(t.Context(), request.Id, 0)
	if err != nil || len(first) != 500 {
		t.Fatalf("%d lines, %v; want a page of 500", len(first), err)
	}
	rest, err := r.as(ann).Logs(t.Context(), request.Id, first[499].Position)
	if err != nil || len(rest) != 120 || rest[119].Text != "line 620" {
		t.Errorf("%d more lines, %v; want 120", len(rest), err)
	}
	plain := r.raw(http.MethodGet, httpapi.Base+"/requests/"+request.Id.String()+"/logs", r.jsonBy(ann, "Accept", "text/plain"), "")
	if plain.status != http.StatusOK || strings.Count(plain.body, "\n") != 620 {
		t.Errorf("the plain log answered %d with %d lines, want 620", plain.status, strings.Count(plain.body, "\n"))
	}
	r.report(claim.RunID, provision.Report{Kind: provision.ReportOutcome, Outcome: &provision.RunOutcome{Result: provision.ResultSucceeded, Applied: true}})
	followed := 0
	if err := r.as(ann).FollowLog(t.Context(), request.Id, 0, func(provision.LogEntry) error { followed++; return nil }); err != nil || followed != 620 {
		t.Errorf("followed %d lines, %v; want 620 and the end", followed, err)
	}
}
