package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/worker"
)

// A boundary is where one part of Roadbed hands over to another. A process that
// comes to an armed one either dies there at once, as by kill -9, or stands still
// until whoever drives the schedule has broken something else.
type armed struct {
	Boundary string `json:"boundary"`
	Nth      int    `json:"nth"`  // of the times that one process comes there, from 1
	Kill     bool   `json:"kill"` // else it stands still
}

// boundaries are all, in the order of a request's life. "before" is before the
// effect, "after" is after it and before anyone has heard of it.
var boundaries = []string{
	"accept before", "accept after", "dispatch after", "job publish before", "job publish after", "claim before", "claim committed", "claim after",
	"job ack before", "job ack after", "plan before", "go-on committed", "plan after", "apply started report before", "state push before",
	"state push committed", "state push after", "outcome report before", "outcome report after", "outcome committed", "events publish before", "events publish after", "view after",
}

// The files of a schedule, in the road's folder.
const (
	chaosFile = "chaos.json"  // what is armed
	chaosHit  = "chaos.hit"   // that it was come to; made once
	chaosHeld = "chaos.stand" // while it is there, whoever has come to it stands still
)

var roadFolder = regexp.MustCompile(`/\S*?/rb[0-9]+`)

// armSeams makes this process, if it is one of a road's, come to boundaries.
func armSeams() {
	dir := ""
	for _, arg := range os.Args {
		if found := roadFolder.FindString(arg); found != "" {
			dir = found
		}
	}
	if dir == "" {
		return
	}
	at := &crossing{dir: dir, times: map[string]int{}}
	seams.store = func(s keptStore) keptStore { return chaosStore{s, at} }
	seams.queue = func(q control.Queue) control.Queue { return chaosQueue{q, at} }
	seams.control = func(c worker.Control) worker.Control { return chaosControl{c, at} }
	seams.lifeline = func(l worker.Lifeline) worker.Lifeline { return chaosLifeline{l, at} }
	seams.jobs = func(j worker.Jobs) worker.Jobs { return chaosJobs{j, at} }
	seams.reports = func(r worker.Reports) worker.Reports { return chaosReports{r, at} }
}

// crossing is where a process comes to boundaries.
type crossing struct {
	dir   string
	mu    sync.Mutex
	plan  armed
	times map[string]int
}

func (c *crossing) comes(boundary string) {
	var plan armed
	text, err := os.ReadFile(filepath.Join(c.dir, chaosFile))
	if err != nil || json.Unmarshal(text, &plan) != nil || plan.Boundary != boundary {
		return
	}
	c.mu.Lock()
	if c.plan != plan {
		c.plan, c.times = plan, map[string]int{}
	}
	c.times[boundary]++
	now := c.times[boundary] == plan.Nth
	c.mu.Unlock()
	if !now {
		return
	}
	hit, err := os.OpenFile(filepath.Join(c.dir, chaosHit), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return // somebody has come to it before
	}
	_, _ = fmt.Fprintf(hit, "%d", os.Getpid())
	hit.Close()
	if plan.Kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for held := true; held; <-look.C {
		_, err := os.Stat(filepath.Join(c.dir, chaosHeld))
		held = err == nil
	}
}

type chaosStore struct {
	keptStore
	at *crossing
}

func (s chaosStore) Accept(ctx context.Context, r *provision.Record) error {
	s.at.comes("accept before")
	err := s.keptStore.Accept(ctx, r)
	if err == nil {
		s.at.comes("accept after")
	}
	return err
}

func (s chaosStore) Change(ctx context.Context, id uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	r, err := s.keptStore.Change(ctx, id, decide)
	if err == nil && r.Run != nil && r.Run.State == provision.RunDispatched && r.Run.DispatchedAt.Equal(r.Now()) {
		s.at.comes("dispatch after")
	}
	return r, err
}

func (s chaosStore) ChangeRun(ctx context.Context, id uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	r, err := s.keptStore.ChangeRun(ctx, id, decide)
	if err != nil {
		return r, err
	}
	for told, boundary := range map[string]string{"run.started": "claim committed", "request.applying": "go-on committed", "request.succeeded": "outcome committed"} {
		if slices.ContainsFunc(r.Events(), func(e provision.Event) bool { return e.Entity+"."+e.Verb == told }) {
			s.at.comes(boundary)
		}
	}
	return r, nil
}

func (s chaosStore) PushState(ctx context.Context, v provision.StateVersion) (bool, error) {
	head, err := s.keptStore.PushState(ctx, v)
	if err == nil {
		s.at.comes("state push committed")
	}
	return head, err
}

type chaosQueue struct {
	control.Queue
	at *crossing
}

func (q chaosQueue) PublishJob(ctx context.Context, pool string, job provision.Job) error {
	q.at.comes("job publish before")
	err := q.Queue.PublishJob(ctx, pool, job)
	if err == nil {
		q.at.comes("job publish after")
	}
	return err
}

func (q chaosQueue) PublishEvents(ctx context.Context, events []provision.Event) ([]uuid.UUID, error) {
	q.at.comes("events publish before")
	ids, err := q.Queue.PublishEvents(ctx, events)
	if err == nil {
		q.at.comes("events publish after")
	}
	return ids, err
}

type chaosControl struct {
	worker.Control
	at *crossing
}

func (c chaosControl) Claim(ctx context.Context, id uuid.UUID) (provision.Claim, error) {
	c.at.comes("claim before")
	claim, err := c.Control.Claim(ctx, id)
	if err == nil {
		c.at.comes("claim after")
	}
	return claim, err
}

func (c chaosControl) Plan(ctx context.Context, id uuid.UUID, token string, changes []provision.Change) error {
	c.at.comes("plan before")
	err := c.Control.Plan(ctx, id, token, changes)
	if err == nil {
		c.at.comes("plan after")
	}
	return err
}

func (c chaosControl) View(ctx context.Context, id uuid.UUID) (provision.RunView, error) {
	view, err := c.Control.View(ctx, id)
	if err == nil && view.State == provision.RunEnded {
		c.at.comes("view after")
	}
	return view, err
}

func (c chaosControl) PushState(ctx context.Context, token string, v provision.StateVersion) (bool, error) {
	return chaosLifeline{c.Control, c.at}.PushState(ctx, token, v)
}

type chaosLifeline struct {
	worker.Lifeline
	at *crossing
}

func (l chaosLifeline) PushState(ctx context.Context, token string, v provision.StateVersion) (bool, error) {
	l.at.comes("state push before")
	head, err := l.Lifeline.PushState(ctx, token, v)
	if err == nil {
		l.at.comes("state push after")
	}
	return head, err
}

type chaosJobs struct {
	worker.Jobs
	at *crossing
}

func (j chaosJobs) Next(ctx context.Context) (worker.Delivery, error) {
	delivery, err := j.Jobs.Next(ctx)
	if ack := delivery.Ack; ack != nil {
		delivery.Ack = func(ctx context.Context) error {
			j.at.comes("job ack before")
			err := ack(ctx)
			j.at.comes("job ack after")
			return err
		}
	}
	return delivery, err
}

type chaosReports struct {
	worker.Reports
	at *crossing
}

func (r chaosReports) PublishReport(ctx context.Context, report provision.Report) error {
	what := ""
	switch {
	case report.Kind == provision.ReportOutcome:
		what = "outcome report"
	case report.Phase == "apply" && report.Status == "started":
		what = "apply started report"
	}
	if what != "" {
		r.at.comes(what + " before")
	}
	err := r.Reports.PublishReport(ctx, report)
	if what != "" && err == nil {
		r.at.comes(what + " after")
	}
	return err
}
