package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/api"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// Worker calls the API as one worker of a pool. It may be used from many
// goroutines. token is the run's own, from its Claim.
type Worker struct {
	client *Client
	name   string
}

// NewWorker is the client of a worker, for a pool's token and a name that is
// unique in the pool. It has what worker.Control and worker.Lifeline ask for.
// Calls are made once unless Retry is given: a worker and its supervisor repeat
// them in their own time. A URL that is not one is Invalid.
func NewWorker(baseURL, poolToken, workerName string, options ...Option) (*Worker, error) {
	c, err := New(baseURL, poolToken, options...)
	if err != nil {
		return nil, err
	}
	return &Worker{client: c, name: workerName}, nil
}

func (w *Worker) call(method string, run uuid.UUID, path, token string) call {
	header := http.Header{"Roadbed-Worker": {w.name}}
	if token != "" {
		header.Set("Roadbed-Run-Token", token)
	}
	return call{method: method, path: "/worker/runs/" + run.String() + path, header: header, repeatable: true}
}

// Claim takes a dispatched run. Conflict: drop the job. The same worker may
// claim again what it holds; the token that it got before is void then.
func (w *Worker) Claim(ctx context.Context, runID uuid.UUID) (provision.Claim, error) {
	var claim provision.Claim
	_, err := w.client.do(ctx, w.call(http.MethodPost, runID, "/claim", ""), &claim)
	return claim, err
}

// Renew extends the lease and says whether someone asked to cancel. Conflict:
// the run is no longer this worker's.
func (w *Worker) Renew(ctx context.Context, runID uuid.UUID, token string) (provision.Lease, error) {
	var lease provision.Lease
	_, err := w.client.do(ctx, w.call(http.MethodPost, runID, "/renew", token), &lease)
	return lease, err
}

// Release gives a run back before apply. It is not repeated by itself.
func (w *Worker) Release(ctx context.Context, runID uuid.UUID, token string) error {
	k := w.call(http.MethodPost, runID, "/release", token)
	k.repeatable = false // the second answer would be a Conflict
	_, err := w.client.do(ctx, k, nil)
	return err
}

// Plan has a plan's changes judged: nil lets the run apply, provision.ErrWait
// wants the plan kept until people have approved it, Denied refuses with every
// finding. It may be repeated with the same answer.
func (w *Worker) Plan(ctx context.Context, runID uuid.UUID, token string, changes []provision.Change) error {
	k := w.call(http.MethodPost, runID, "/plan", token)
	if changes == nil {
		changes = []provision.Change{}
	}
	k.body = api.Plan{Changes: changes}
	var answer provision.GoOn
	if _, err := w.client.do(ctx, k, &answer); err != nil {
		return err
	}
	if answer.Wait {
		return provision.ErrWait
	}
	return nil
}

// KeepPlan keeps a sealed plan, at most 16 MiB, that must wait for approval, and
// ends the run. It is not repeated by itself: the second answer would be a
// Conflict.
func (w *Worker) KeepPlan(ctx context.Context, runID uuid.UUID, token string, sealed []byte) error {
	k := w.call(http.MethodPut, runID, "/plan", token)
	k.body, k.timeout, k.repeatable = sealed, largeTimeout, false
	_, err := w.client.do(ctx, k, nil)
	return err
}

// KeptPlan is the sealed plan that was approved; NotFound when there is none.
func (w *Worker) KeptPlan(ctx context.Context, runID uuid.UUID, token string) ([]byte, error) {
	k := w.call(http.MethodGet, runID, "/plan", token)
	k.timeout = largeTimeout
	var sealed []byte
	_, err := w.client.do(ctx, k, &sealed)
	return sealed, err
}

// View is how a run stands; it works after the run has ended, too.
func (w *Worker) View(ctx context.Context, runID uuid.UUID) (provision.RunView, error) {
	var view provision.RunView
	_, err := w.client.do(ctx, w.call(http.MethodGet, runID, "", ""), &view)
	return view, err
}

// State is the sealed state that a run goes on from, with its serial and
// lineage; NotFound when there is none yet.
func (w *Worker) State(ctx context.Context, runID uuid.UUID, token string) (provision.StateVersion, error) {
	k := w.call(http.MethodGet, runID, "/state", token)
	k.timeout = largeTimeout
	version := provision.StateVersion{RunID: runID, Head: true}
	header, err := w.client.do(ctx, k, &version.Sealed)
	if err != nil {
		return provision.StateVersion{}, err
	}
	version.Lineage = header.Get("Roadbed-State-Lineage")
	if version.Serial, err = strconv.ParseInt(header.Get("Roadbed-State-Serial"), 10, 64); err != nil {
		return provision.StateVersion{}, fmt.Errorf("read the serial of the state of run %s: %w", runID, err)
	}
	return version, nil
}

// PushState keeps a sealed state. version has RunID, Fence, Serial, Lineage and
// Sealed. It is never refused for being late; head says whether it is the one
// to go on from. It may be repeated.
func (w *Worker) PushState(ctx context.Context, token string, version provision.StateVersion) (head bool, err error) {
	k := w.call(http.MethodPut, version.RunID, "/state", token)
	k.body, k.timeout = version.Sealed, largeTimeout
	k.header.Set("Roadbed-State-Serial", strconv.FormatInt(version.Serial, 10))
	k.header.Set("Roadbed-State-Lineage", version.Lineage)
	k.header.Set("Roadbed-Fence", strconv.FormatInt(version.Fence, 10))
	var kept api.StateKept
	_, err = w.client.do(ctx, k, &kept)
	return kept.Head, err
}

// Bundle is the offering of a digest as a gzipped tar. The caller checks that
// it has that digest.
func (w *Worker) Bundle(ctx context.Context, digest string) ([]byte, error) {
	var bundle []byte
	_, err := w.client.do(ctx, call{
		method: http.MethodGet, path: "/worker/bundles/" + url.PathEscape(digest), timeout: largeTimeout, repeatable: true,
		header: http.Header{"Roadbed-Worker": {w.name}, "Accept": {"application/gzip"}},
	}, &bundle)
	return bundle, err
}
