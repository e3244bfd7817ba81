package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/worker"
)

var (
	_ worker.Control  = (*Worker)(nil)
	_ worker.Lifeline = (*Worker)(nil)
)

func TestWorkerCallsAreAsTheContractSays(t *testing.T) {
	t.Parallel()
	run := provision.NewID()
	claim := provision.Claim{RunID: run, RequestID: run, InstanceID: run, Action: provision.Create, Token: "t", CredentialsVersion: 1, Parameters: provision.Parameters{},
		Tags: map[string]string{}, StateRecipients: []string{"age1"}}
	change := provision.Change{Address: "a.b", Type: "a", Action: "create"}
	version := provision.StateVersion{RunID: run, Fence: 2, Serial: 7, Lineage: "line", Sealed: []byte("sealed")}
	digest := "sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tests := map[string]struct {
		call   func(context.Context, *Worker) (any, error)
		answer answer
		want   any
		header map[string]string
		body   string
	}{
		"a claim": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.Claim(ctx, run) },
			answer: answer{body: claim}, want: claim,
		},
		"a renewal": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.Renew(ctx, run, "t") },
			answer: answer{body: provision.Lease{ExpiresAt: noon, Now: noon, Cancel: "stop"}}, want: provision.Lease{ExpiresAt: noon, Now: noon, Cancel: "stop"},
			header: map[string]string{"Roadbed-Run-Token": "t"},
		},
		"a release": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return nil, w.Release(ctx, run, "t") },
			answer: answer{status: http.StatusNoContent}, header: map[string]string{"Roadbed-Run-Token": "t"},
		},
		"a plan": {
			call: func(ctx context.Context, w *Worker) (any, error) {
				return nil, w.Plan(ctx, run, "t", []provision.Change{change})
			},
			answer: answer{body: map[string]any{}}, header: map[string]string{"Roadbed-Run-Token": "t"},
			body: `{"changes":[{"address":"a.b","type":"a","action":"create"}]}`,
		},
		"a plan without changes": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return nil, w.Plan(ctx, run, "t", nil) },
			answer: answer{body: map[string]any{}}, body: `{"changes":[]}`,
		},
		"a plan that must wait": {
			call: func(ctx context.Context, w *Worker) (any, error) {
				if err := w.Plan(ctx, run, "t", nil); !errors.Is(err, provision.ErrWait) {
					return nil, fmt.Errorf("plan: %v, want to wait", err)
				}
				return nil, nil
			},
			answer: answer{body: map[string]any{"wait": true}}, body: `{"changes":[]}`,
		},
		"a plan that is kept": {
			call: func(ctx context.Context, w *Worker) (any, error) {
				return nil, w.KeepPlan(ctx, run, "t", []byte("sealed"))
			},
			answer: answer{status: http.StatusNoContent}, body: "sealed",
			header: map[string]string{"Roadbed-Run-Token": "t", "Content-Type": "application/octet-stream"},
		},
		"the plan that was approved": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.KeptPlan(ctx, run, "t") },
			answer: answer{body: "sealed", header: map[string]string{"Content-Type": "application/octet-stream"}}, want: []byte("sealed"),
			header: map[string]string{"Roadbed-Run-Token": "t"},
		},
		"how a run stands": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.View(ctx, run) },
			answer: answer{body: provision.RunView{State: provision.RunEnded, RequestState: provision.Succeeded}}, want: provision.RunView{State: provision.RunEnded, RequestState: provision.Succeeded},
		},
		"a state": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.State(ctx, run, "t") },
			answer: answer{body: "sealed", header: map[string]string{"Content-Type": "application/octet-stream", "Roadbed-State-Serial": "7", "Roadbed-State-Lineage": "line"}},
			want:   provision.StateVersion{RunID: run, Serial: 7, Lineage: "line", Sealed: []byte("sealed"), Head: true}, header: map[string]string{"Roadbed-Run-Token": "t"},
		},
		"a pushed state": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.PushState(ctx, "t", version) },
			answer: answer{body: api.StateKept{Head: true}}, want: true, body: "sealed",
			header: map[string]string{"Roadbed-State-Serial": "7", "Roadbed-State-Lineage": "line", "Roadbed-Fence": "2", "Content-Type": "application/octet-stream"},
		},
		"a bundle": {
			call:   func(ctx context.Context, w *Worker) (any, error) { return w.Bundle(ctx, digest) },
			answer: answer{body: "tar", header: map[string]string{"Content-Type": "application/gzip", "ETag": `"` + digest + `"`}}, want: []byte("tar"),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, func(asked) answer { return tt.answer })
			w := d.worker()
			got, err := tt.call(t.Context(), w)
			if err != nil {
				t.Fatalf("call: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			was := d.calls()[0]
			if was.Body != tt.body {
				t.Errorf("body is %s, want %s", was.Body, tt.body)
			}
			header := map[string]string{"Authorization": "Bearer pool-token", "Roadbed-Worker": "worker-1"}
			for name, value := range tt.header {
				header[name] = value
			}
			for name, want := range header {
				if got := was.Header.Get(name); got != want {
					t.Errorf("header %s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func (d *double) worker() *Worker {
	d.t.Helper()
	w, err := NewWorker(d.server.URL+"/api/roadbed", "pool-token", "worker-1")
	if err != nil {
		d.t.Fatalf("NewWorker: %v", err)
	}
	return w
}

func TestAWorkerTellsTheAnswersApart(t *testing.T) {
	t.Parallel()
	run := provision.NewID()
	lost := refusalBody(409, "ConflictError", "held by another")
	denied := refusalBody(403, "NotAllowedError", "too dear")
	body := denied.body.(api.ErrorBody)
	body.Error.Findings = []provision.Finding{{Rule: "cost_limit", Level: provision.LevelDeny}}
	denied.body = body
	tests := map[string]struct {
		answer   answer
		want     provision.Kind
		findings int
	}{
		"the run is another's": {lost, provision.Conflict, 0},
		"the plan is refused":  {denied, provision.Denied, 1},
		"there is no such run": {refusalBody(404, "NotFoundError", "no"), provision.NotFound, 0},
		"the sidecar is away":  {refusalBody(503, "ServiceUnavailableError", "later"), provision.Unavailable, 0},
		"the line was cut":     {answer{body: "", cut: true, loose: true}, provision.Unavailable, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, func(asked) answer { return tt.answer })
			err := d.worker().Plan(t.Context(), run, "t", nil)
			var got *provision.Error
			if !errors.As(err, &got) || got.Kind != tt.want || len(got.Findings) != tt.findings {
				t.Errorf("Plan: %v (%s), want %s with %d findings", err, provision.KindOf(err), tt.want, tt.findings)
			}
			if n := len(d.calls()); n != 1 {
				t.Errorf("it called %d times; a worker repeats by itself", n)
			}
		})
	}
}
