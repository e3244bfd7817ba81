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
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
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
	Turn     int    `json:"turn"` // tells one arming from the next
}

// boundaries are all, in the order of a request's life. "before" is before the
// effect, "decided" is in its transaction, "after" is after it and before anyone
// has heard of it. Terraform's own are those of its process, the entity's are of
// the feed and of the catalog that follows it.
var boundaries = []string{
	"accept before", "accept after", "dispatch after", "job publish before", "job publish after", "claim before", "claim decided", "claim committed", "claim after",
	"job ack before", "job ack after", "terraform init before", "terraform init after", "terraform plan before", "terraform plan after",
	"plan before", "plan kept before", "plan kept after", "approval decided", "approval committed", "go-on decided", "go-on committed", "plan after",
	"apply started report before", "terraform apply before", "state push before", "state push committed", "state push after", "terraform apply after",
	"outcome report before", "outcome report after", "outcome decided", "outcome committed", "events publish before", "events publish after", "view after",
	"entity before", "entity after",
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
	seams.reader = func(r httpapi.Reader) httpapi.Reader { return chaosReader{r, at} }
}

// crossing is where a process comes to boundaries.
type crossing struct {
	dir   string
	mu    sync.Mutex
	plan  armed
	times map[string]int
}

// comes is where a process may die or stand still.
func (c *crossing) comes(boundary string) {
	plan, here := c.hit(boundary)
	if !here {
		return
	}
	if plan.Kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	c.stand()
}

// hit reports whether this is the time that is armed, and nobody was there before.
func (c *crossing) hit(boundary string) (plan armed, here bool) {
	text, err := os.ReadFile(filepath.Join(c.dir, chaosFile))
	if err != nil || json.Unmarshal(text, &plan) != nil || plan.Boundary != boundary {
		return armed{}, false
	}
	c.mu.Lock()
	if c.plan != plan {
		c.plan, c.times = plan, map[string]int{}
	}
	c.times[boundary]++
	now := c.times[boundary] == plan.Nth
	c.mu.Unlock()
	if !now {
		return armed{}, false
	}
	hit, err := os.OpenFile(filepath.Join(c.dir, chaosHit), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return armed{}, false // somebody has come to it before
	}
	_, _ = fmt.Fprintf(hit, "%d", os.Getpid())
	hit.Close()
	return plan, true
}

// stand waits until whoever drives the schedule has broken something else.
func (c *crossing) stand() {
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
	r, err := s.keptStore.Change(ctx, id, s.deciding(decide))
	if err != nil {
		return r, err
	}
	s.comesTo(r, "committed")
	if r.Run != nil && r.Run.State == provision.RunDispatched && r.Run.DispatchedAt.Equal(r.Now()) {
		s.at.comes("dispatch after")
	}
	return r, err
}

func (s chaosStore) ChangeRun(ctx context.Context, id uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	r, err := s.keptStore.ChangeRun(ctx, id, s.deciding(decide))
	if err == nil {
		s.comesTo(r, "committed")
	}
	return r, err
}

// deciding is decide that comes to boundaries before what it decides is committed.
func (s chaosStore) deciding(decide func(*provision.Record) error) func(*provision.Record) error {
	return func(r *provision.Record) error {
		err := decide(r)
		if err == nil {
			s.comesTo(r, "decided")
		}
		return err
	}
}

func (s chaosStore) comesTo(r *provision.Record, when string) {
	for told, boundary := range map[string]string{"run.started": "claim", "request.applying": "go-on", "request.succeeded": "outcome", "approval.given": "approval"} {
		if slices.ContainsFunc(r.Events(), func(e provision.Event) bool { return e.Entity+"."+e.Verb == told }) {
			s.at.comes(boundary + " " + when)
		}
	}
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

func (c chaosControl) KeepPlan(ctx context.Context, id uuid.UUID, token string, sealed []byte) error {
	c.at.comes("plan kept before")
	err := c.Control.KeepPlan(ctx, id, token, sealed)
	if err == nil {
		c.at.comes("plan kept after")
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

type chaosReader struct {
	httpapi.Reader
	at *crossing
}

func (r chaosReader) Changes(ctx context.Context, cursor string, wait time.Duration) (provision.InstanceChanges, error) {
	changes, err := r.Reader.Changes(ctx, cursor, wait)
	if slices.ContainsFunc(changes.Instances, func(i provision.Instance) bool { return i.State == provision.Ready || i.State.Gone() }) {
		r.at.comes("entity before")
	}
	return changes, err
}
