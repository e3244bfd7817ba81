package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// happened is a request's event, seconds after it was asked for.
func happened(sequence int64, kind string, seconds float64, data map[string]any) api.Event {
	if data == nil {
		data = map[string]any{}
	}
	return api.Event{
		Type: "dev.roadbed." + kind + ".v1", SubjectId: ordersAsk, Sequence: sequence,
		At: askedAt.Add(time.Duration(seconds * float64(time.Second))), Data: data,
	}
}

func step(number string, status provision.StepStatus, details string) map[string]any {
	return map[string]any{"step": json.Number(number), "name": "?", "status": string(status), "details": details}
}

// life is how a request fares that is planned twice and succeeds.
var life = []api.Event{
	happened(1, "request.submitted", 0, nil),
	happened(2, "step.completed", 0, step("1", provision.StepCompleted, "")),
	happened(3, "request.queued", 0, map[string]any{"state": "queued", "waiting": "waiting for a worker"}),
	happened(4, "request.planning", 1, nil),
	happened(5, "run.started", 1, map[string]any{"worker": "w1", "fence": json.Number("1")}),
	happened(6, "step.started", 2, step("2", provision.StepInProgress, "")),
	happened(7, "run.abandoned", 3, map[string]any{"worker": "w1", "reason": "its worker is stopping"}),
	happened(8, "step.reset", 3, step("2", provision.StepPending, "")),
	happened(9, "request.queued", 3, map[string]any{"waiting": "waiting for a worker: its worker is stopping"}),
	happened(10, "request.applying", 4, nil),
	happened(11, "request.cancel_requested", 5, map[string]any{"reason": "wrong region"}),
	happened(12, "step.started", 6, step("2", provision.StepInProgress, "1 of 3 resources\nand more")),
	happened(13, "step.completed", 44.4, step("2", provision.StepCompleted, "")),
	happened(14, "step.failed", 45, step("3", provision.StepFailed, "no room\nat all")),
	happened(15, "budget.lowered", 46, map[string]any{"reason": "a new quarter"}),
	happened(16, "request.lost", 47, map[string]any{"waiting": "its worker fell silent"}),
	happened(17, "request.succeeded", 48, map[string]any{"outputs": map[string]any{"endpoint": "127.0.0.1"}}),
}

func TestPlainDisplay(t *testing.T) {
	var out strings.Builder
	show, seen := plainDisplay{out: &out}, newWatched(ordersRequest(provision.Applying))
	show.begin(seen)
	for _, e := range life {
		show.event(seen, e, seen.take(e))
	}
	show.end(seen)
	checkText(t, out.String(), `
create orders · PostgreSQL Database · dev · $85.50 / month
0199a3c0-0000-7000-8000-000000000001
12:00:00  submitted
12:00:00  step 1 of 3, Validate request: completed after 0.0 s
12:00:00  queued: waiting for a worker
12:00:01  planning
12:00:01  worker w1 has it
12:00:02  step 2 of 3, Create database instance: in progress
12:00:03  run abandoned: its worker is stopping
12:00:03  step 2 of 3, Create database instance: waits again
12:00:03  queued: waiting for a worker: its worker is stopping
12:00:04  applying
12:00:05  being cancelled: wrong region
12:00:06  step 2 of 3, Create database instance: in progress: 1 of 3 resources
12:00:44  step 2 of 3, Create database instance: completed after 38 s
12:00:45  step 3 of 3, Store credentials: failed after 0.0 s: no room
12:00:46  budget lowered: a new quarter
12:00:47  lost: its worker fell silent
12:00:48  succeeded

Outputs
  endpoint  127.0.0.1

✓ Succeeded in 0.0 s: resource:dev/orders.postgres-database
`)
}

func TestPlainDisplayTellsOnceThatTheSidecarIsAway(t *testing.T) {
	var out strings.Builder
	show, seen := plainDisplay{out: &out}, newWatched(ordersRequest(provision.Applying))
	away := errors.New("refused")
	show.interrupted(seen, away)
	show.interrupted(seen, away)
	seen.take(life[0]) // it is back
	show.interrupted(seen, away)
	if n := strings.Count(out.String(), silence); n != 2 {
		t.Errorf("it told %d times, want once for each of two outages:\n%s", n, out.String())
	}
}

func TestJSONDisplayPrintsEventsAsLines(t *testing.T) {
	var out bytes.Buffer
	show, seen := displayOn(&out, true), newWatched(ordersRequest(provision.Applying))
	show.begin(seen)
	show.event(seen, life[2], seen.take(life[2]))
	show.end(seen)
	checkText(t, out.String(), `{"at":"`+askedAt.Format(time.RFC3339)+`","data":{"state":"queued","waiting":"waiting for a worker"},"sequence":3,`+
		`"subject_id":"0199a3c0-0000-7000-8000-000000000001","type":"dev.roadbed.request.queued.v1"}
`)
}

func TestFrameOf(t *testing.T) {
	now := askedAt.Add(40 * time.Second)
	tests := map[string]struct {
		events int // of life
		edit   func(*watched)
		width  int
		want   string
	}{
		"before its first event": {0, nil, 80, `
  ○ 1 Validate request
  ○ 2 Create database instance
  ○ 3 Store credentials
⠙ submitted   40 s`},
		"while it waits": {3, nil, 80, `
  ✓ 1 Validate request             0.0 s
  ○ 2 Create database instance
  ○ 3 Store credentials
⠙ queued: waiting for a worker   40 s`},
		"while a step runs": {12, nil, 80, `
  ✓ 1 Validate request             0.0 s
  ⠙ 2 Create database instance      34 s  1 of 3 resources
  ○ 3 Store credentials
⠙ applying, being cancelled: wrong region   40 s`},
		"in a narrow window every line fits": {12, nil, 30, `
  ✓ 1 Validate request      …
  ⠙ 2 Create database instan…
  ○ 3 Store credentials
⠙ applying, being cancelled:…`},
		"while the sidecar is away": {4, func(w *watched) { w.silent = true }, 60, `
  ✓ 1 Validate request             0.0 s
  ○ 2 Create database instance
  ○ 3 Store credentials
⠙ planning   40 s
! the sidecar cannot be reached; the request goes on, and …`},
		"while people are asked": {0, func(w *watched) { w.request.State, w.request.Waiting = provision.AwaitingApproval, "platform-team" }, 80, `
  ○ 1 Validate request
  ○ 2 Create database instance
  ○ 3 Store credentials
◌ awaiting approval: platform-team   40 s`},
		"at the end the steps alone": {17, nil, 80, `
  ✓ 1 Validate request             0.0 s
  ✓ 2 Create database instance      38 s
  ✕ 3 Store credentials            0.0 s  no room`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			seen := newWatched(ordersRequest(provision.Applying))
			for _, e := range life[:tt.events] {
				seen.take(e)
			}
			if tt.edit != nil {
				tt.edit(seen)
			}
			checkText(t, strings.Join(frameOf(seen, now, 1, tt.width), "\n"), tt.want)
		})
	}
}

func TestLiveDisplayPaintsOverWhatItPainted(t *testing.T) {
	var out strings.Builder
	show, seen := &liveDisplay{out: &out, width: func() int { return 80 }}, newWatched(ordersRequest(provision.Applying))
	show.tick(seen, askedAt)
	first := out.Len()
	show.tick(seen, askedAt)
	again := out.String()[first:]
	if !strings.HasPrefix(again, "\x1b[4A\x1b[J") || strings.Count(again, "\n") != 4 {
		t.Errorf("the second painting is %q; it must go up over the four lines of the first", again)
	}
}

func TestPrintOutcome(t *testing.T) {
	tests := map[string]struct {
		edit func(*api.Request)
		code int
		want string
	}{
		"succeeded": {func(r *api.Request) { r.UpdatedAt = askedAt.Add(4200 * time.Millisecond) }, exitOK, `

✓ Succeeded in 4.2 s: resource:dev/orders.postgres-database
`},
		"succeeded, with credentials": {func(r *api.Request) {
			r.Outputs = map[string]any{"credentials_secret_arn": "roadbed:dev/orders"}
		}, exitOK, `

Outputs
  credentials_secret_arn  roadbed:dev/orders

✓ Succeeded in 0.0 s: resource:dev/orders.postgres-database
Open its credentials with: roadbed credentials dev/orders.postgres-database
`},
		"destroyed has no credentials": {func(r *api.Request) { r.Action, r.UpdatedAt = provision.Destroy, askedAt.Add(time.Hour) }, exitOK, `

✓ Succeeded in 1 h: resource:dev/orders.postgres-database
`},
		"failed": {func(r *api.Request) {
			r.State, r.Error = provision.Failed, &provision.Failure{Message: "failed at step 2 of 3", Detail: "no quota"}
		}, exitFailed, `

failed at step 2 of 3
  no quota

✕ Failed after 0.0 s
Its log: roadbed request logs 0199a3c0-0000-7000-8000-000000000001
`},
		"cancelled": {func(r *api.Request) {
			r.State, r.Error = provision.Cancelled, &provision.Failure{Message: "wrong region"}
		}, exitFailed, `

wrong region

✕ Cancelled after 0.0 s
Its log: roadbed request logs 0199a3c0-0000-7000-8000-000000000001
`},
		"denied": {func(r *api.Request) {
			r.State = provision.DeniedState
			r.Findings = []provision.Finding{{Rule: "cost_limit", Level: provision.LevelDeny, Message: "Over the limit."}}
		}, exitDenied, `

✕ Denied
  ✕ Over the limit.  (cost_limit)
`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := ordersRequest(provision.Succeeded)
			tt.edit(&r)
			var out strings.Builder
			printOutcome(&out, r)
			checkText(t, out.String(), tt.want)
			code := exit(exitOK)
			if err := exitOf(r.State); err != nil && !errors.As(err, &code) || int(code) != tt.code {
				t.Errorf("exit code of %s is %v, want %d", r.State, code, tt.code)
			}
		})
	}
}

// watchServer answers a request and streams events of it; it holds the stream
// open after the last, unless that ended the request.
func watchServer(t *testing.T, r api.Request, events []api.Event) *connection {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /requests/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.RequestAnswer{Request: r}) // a watch that ended has left
	})
	mux.HandleFunc("GET /requests/{id}/events", func(w http.ResponseWriter, asked *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			data, _ := json.Marshal(e) // a literal
			parts := strings.Split(e.Type, ".")
			fmt.Fprintf(w, "id: %d\nevent: %s.%s\ndata: %s\n\n", e.Sequence, parts[2], parts[3], data)
		}
		_ = http.NewResponseController(w).Flush()
		<-asked.Context().Done()
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c, err := serverFlags{Server: server.URL, Token: "t"}.connect()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWatchEndsWithTheRequestsCode(t *testing.T) {
	approval := happened(4, "request.awaiting_approval", 1, map[string]any{"waiting": "platform-team"})
	tests := map[string]struct {
		state  provision.State // as it is now, at its third event
		events []api.Event
		code   int
		last   string
	}{
		"succeeded":           {provision.Applying, life, exitOK, "✓ Succeeded"},
		"failed":              {provision.Applying, []api.Event{life[0], happened(2, "request.failed", 1, nil)}, exitFailed, "roadbed request logs"},
		"denied":              {provision.Applying, []api.Event{life[0], happened(2, "request.denied", 1, nil)}, exitDenied, "Denied"},
		"waits for people":    {provision.Planning, append(life[:3:3], approval), exitWaiting, "Waits for platform-team"},
		"is approved already": {provision.Queued, []api.Event{happened(1, "request.awaiting_approval", 0, nil), life[2], happened(4, "request.cancelled", 2, nil)}, exitFailed, "Cancelled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := ordersRequest(tt.state)
			seen := newWatched(r)
			for _, e := range tt.events {
				seen.take(e)
			}
			var out strings.Builder
			err := watchServer(t, seen.request, tt.events).watch(t.Context(), &out, r, false)
			code := exit(exitOK)
			if err != nil && !errors.As(err, &code) || int(code) != tt.code {
				t.Errorf("watch gave %v, want exit code %d", err, tt.code)
			}
			if !strings.Contains(out.String(), tt.last) {
				t.Errorf("it printed no %q:\n%s", tt.last, out.String())
			}
		})
	}
}

func TestAnInterruptedWatchSaysThatTheRequestGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := ordersRequest(provision.Queued)
	out := &interrupting{at: "queued", interrupt: cancel}
	err := watchServer(t, r, life[:3]).watch(ctx, out, r, false)
	if code := exit(exitOK); !errors.As(err, &code) || int(code) != exitInterrupted {
		t.Errorf("watch gave %v, want exit code %d", err, exitInterrupted)
	}
	if !strings.Contains(out.String(), "The request goes on. Follow it again with: roadbed request watch "+ordersAsk.String()) {
		t.Errorf("it printed\n%s", out)
	}
}

// interrupting is an output that interrupts once something is printed.
type interrupting struct {
	strings.Builder
	at        string
	interrupt func()
}

func (i *interrupting) Write(p []byte) (int, error) {
	if strings.Contains(string(p), i.at) {
		i.interrupt()
	}
	return i.Builder.Write(p)
}

func TestSpan(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.0 s": -time.Second, "4.2 s": 4200 * time.Millisecond, "9.9 s": 9940 * time.Millisecond, "38 s": 38900 * time.Millisecond,
		"3 min": 3*time.Minute + 59*time.Second, "2 h": 2*time.Hour + time.Minute, "47 h": 47 * time.Hour, "2 d": 49 * time.Hour,
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) is %q, want %q", d, got, want)
		}
	}
}
