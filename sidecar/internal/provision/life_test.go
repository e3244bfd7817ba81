package provision_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/testkit"
)

// life is a record over many transactions: each do reads it anew, as a store
// would, a second later.
type life struct {
	t      *testing.T
	record *provision.Record
	events []provision.Event
	now    time.Time
}

func begin(t *testing.T, record *provision.Record) *life {
	t.Helper()
	return &life{t: t, record: record, events: slices.Clone(record.Events()), now: record.Now()}
}

func (l *life) do(change func(r *provision.Record) error) error {
	l.t.Helper()
	l.now = l.now.Add(time.Second)
	var instance *provision.Instance
	if l.record.Instance != nil {
		instance = new(*l.record.Instance)
	}
	var run *provision.Run
	if l.record.Run != nil {
		run = new(*l.record.Run)
	}
	request := l.record.Request
	request.Steps = slices.Clone(request.Steps)
	next := provision.NewRecord(request, instance, run, l.now)
	if err := change(next); err != nil {
		return err
	}
	l.record = next
	l.events = append(l.events, next.Events()...)
	l.check()
	return nil
}

// must is do for a change that has to succeed.
func (l *life) must(change func(r *provision.Record) error) *life {
	l.t.Helper()
	if err := l.do(change); err != nil {
		l.t.Fatalf("in %s: %v", l.record.Request.State, err)
	}
	return l
}

// check is law 3: events are 1..n per subject, and the rows are their fold.
func (l *life) check() {
	l.t.Helper()
	sequence := map[string]int64{}
	var state, instance string
	for _, e := range l.events {
		subject := e.SubjectID.String()
		if sequence[subject]++; e.Sequence != sequence[subject] {
			l.t.Fatalf("event %s.%s of %s has sequence %d, want %d", e.Entity, e.Verb, subject, e.Sequence, sequence[subject])
		}
		if told, ok := e.Data["state"]; ok && e.Entity == "request" {
			state = fmt.Sprint(told)
		}
		if told, ok := e.Data["state"]; ok && e.Entity == "instance" {
			instance = fmt.Sprint(told)
		}
	}
	if state != string(l.record.Request.State) {
		l.t.Fatalf("the events say %q, the request is %s", state, l.record.Request.State)
	}
	if i := l.record.Instance; i != nil && instance != "" && instance != string(i.State) {
		l.t.Fatalf("the events say %q, the instance is %s", instance, i.State)
	}
}

func (l *life) stands(request provision.State, instance provision.InstanceState) {
	l.t.Helper()
	if l.record.Request.State != request || l.record.Instance.State != instance {
		l.t.Errorf("request is %s and instance %s, want %s and %s", l.record.Request.State, l.record.Instance.State, request, instance)
	}
	if request.Terminal() && request != provision.Succeeded && (l.record.Request.Error == nil || l.record.Request.Error.Message == "") {
		l.t.Errorf("request is %s and does not say why", request)
	}
}

func (l *life) tells() []string {
	told := []string{}
	for _, e := range l.events {
		told = append(told, e.Entity+"."+e.Verb)
	}
	return told
}

func dispatch(r *provision.Record) error { return r.Dispatch("local", testkit.Verdict()) }
func goOn(r *provision.Record) error     { return r.GoOn(testkit.Verdict()) }
func expire(r *provision.Record) error   { return r.Expire() }
func release(r *provision.Record) error  { return r.Release() }
func renew(r *provision.Record) error    { return r.Renew(time.Minute) }
func cancel(r *provision.Record) error   { return r.Cancel("changed my mind") }
func giveUp(r *provision.Record) error   { return r.GiveUp("no worker took it within 24h") }

func claim(worker string) func(*provision.Record) error {
	return func(r *provision.Record) error { return r.Claim(worker, "digest-of-"+worker, time.Minute) }
}

// silence lets the lease run out.
func (l *life) silence() *life {
	l.now = l.now.Add(2 * time.Minute)
	return l.must(expire)
}

// report is the run's next report, edited.
func report(edit func(*provision.Report)) func(*provision.Record) error {
	return func(r *provision.Record) error {
		next := provision.Report{RunID: r.Run.ID, Worker: r.Run.Worker, Fence: r.Run.Fence, Sequence: r.Run.ReportSequence + 1}
		edit(&next)
		_, err := r.Take(next)
		return err
	}
}

func address(address, status string) func(*provision.Record) error {
	return report(func(p *provision.Report) {
		p.Kind, p.Address, p.Status = provision.ReportAddress, address, status
		if status == "failed" {
			p.Details = "the disk is full"
		}
	})
}

func outcome(result, message string) func(*provision.Record) error {
	return report(func(p *provision.Report) {
		p.Kind = provision.ReportOutcome
		p.Outcome = &provision.RunOutcome{Result: result, Message: message, Outputs: map[string]any{"host": "db.local"}}
	})
}

func created(t *testing.T) *life  { t.Helper(); return begin(t, testkit.Created("orders", nil)) }
func planning(t *testing.T) *life { t.Helper(); return created(t).must(dispatch).must(claim("w1")) }
func applying(t *testing.T) *life { t.Helper(); return planning(t).must(goOn) }
