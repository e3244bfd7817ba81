package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"roadbed.dev/roadbed/policies"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// TestRoadOfAPause pauses, asks, restarts the sidecar and resumes.
func TestRoadOfAPause(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	r.startWorker("w1")
	token := r.portal.user(t, pat)
	roadbed := func(args ...string) (string, int) {
		var out, errs bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		code := run(ctx, append(args, "--server", r.base(), "--token", token), &out, &errs)
		return out.String() + errs.String(), code
	}
	if out, code := roadbed("pause", "offering", "postgres-database", "--reason", "the disk is full"); code != exitOK {
		t.Fatalf("pause exits %d:\n%s", code, out)
	}
	request := r.submit(r.submission("dev"))
	const words = "paused by pat: the disk is full"
	if request.Waiting != words {
		t.Errorf("it waits for %q, want %q", request.Waiting, words)
	}
	r.sidecar.stop()
	r.sidecar.start()
	r.untilReady()
	if out, code := roadbed("pauses"); code != exitOK || !strings.Contains(out, "offering postgres-database") || !strings.Contains(out, "the disk is full") {
		t.Errorf("pauses exits %d:\n%s", code, out)
	}
	if out, code := roadbed("resume", "pool", "local"); code != exitFailed || !strings.Contains(out, "pool local is not paused") {
		t.Errorf("resume of what is not paused exits %d:\n%s", code, out)
	}
	if state, waiting := r.row(request.Id); state != provision.Queued || waiting != words {
		t.Errorf("after the restart it is %s and waits for %q, want it still paused", state, waiting)
	}
	if out, code := roadbed("resume", "offering", "postgres-database"); code != exitOK {
		t.Fatalf("resume exits %d:\n%s", code, out)
	}
	r.untilState(request.Id, provision.Succeeded)
	want := "request.submitted request.queued request.held request.released request.planning run.started request.planned request.applying request.succeeded"
	if got := r.story(request.Id); got != want {
		t.Errorf("its story is %s", got)
	}
	r.audit()
}

// TestRoadOfAFreeze asks in a change freeze, which then ends by the clock.
func TestRoadOfAFreeze(t *testing.T) {
	t.Parallel()
	r := newRoad(t, options{})
	freeze := func(until time.Time) {
		text := "windows: {}\nwindow_actions: []\nsystem_passes: []\nfreezes: [{name: year end, environments: [dev], from: 2026-01-01, until: %s, reason: busy}]\n"
		r.write("policies/data/calendar.yaml", fmt.Sprintf(text, until.UTC().Format(time.RFC3339)))
	}
	err := fs.WalkDir(policies.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.rego") {
			return err
		}
		content, err := fs.ReadFile(policies.FS, name)
		r.write("policies/"+name, string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	freeze(time.Date(2099, 1, 4, 8, 0, 0, 0, time.UTC))
	r.sidecar.stop()
	r.sidecar.args = append(r.sidecar.args, "--policies", r.path("policies"))
	r.sidecar.start()
	r.untilReady()
	r.startWorker("w1")
	request := r.submit(r.submission("dev"))
	if want := "waiting for the change freeze 'year end' to end on Sun 4 Jan 2099 08:00 UTC"; request.Waiting != want {
		t.Errorf("it waits for %q, want %q", request.Waiting, want)
	}
	ends := time.Now().Add(8 * time.Second)
	freeze(ends)
	r.until("it says when the freeze now ends", func() bool {
		state, waiting := r.row(request.Id)
		if state != provision.Queued {
			t.Fatalf("in the freeze it is %s", state)
		}
		return strings.Contains(waiting, ends.UTC().Format("2 Jan 2006 15:04"))
	})
	r.untilState(request.Id, provision.Succeeded)
	var dispatched time.Time
	if err := r.pool.QueryRow(t.Context(), "SELECT dispatched_at FROM runs WHERE request_id = $1", request.Id).Scan(&dispatched); err != nil || dispatched.Before(ends.Truncate(time.Second)) {
		t.Errorf("it was dispatched at %s, %v; want not before the freeze's end at %s", dispatched, err, ends)
	}
	r.audit()
}
