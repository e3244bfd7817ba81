package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// decisionEvent is a stored verdict in the shape of OPA's decision logs, so that
// what collects those collects these:
// https://www.openpolicyagent.org/docs/management-decision-logs.
type decisionEvent struct {
	Labels      map[string]string         `json:"labels"`
	DecisionID  string                    `json:"decision_id"`
	Bundles     map[string]bundleRevision `json:"bundles"`
	Path        string                    `json:"path"`
	Input       json.RawMessage           `json:"input"`
	Result      decisionResult            `json:"result"`
	RequestedBy string                    `json:"requested_by"`
	Timestamp   time.Time                 `json:"timestamp"`
}

type bundleRevision struct {
	Revision string `json:"revision"`
}

type decisionResult struct {
	Outcome  provision.Outcome   `json:"outcome"`
	Findings []provision.Finding `json:"findings"`
}

// decisionNamespace makes a decision's id from its request, stage and time, so
// that what is sent twice can be told.
var decisionNamespace = uuid.MustParse("6f1f6d0e-6c39-5d0b-9a43-7c1d2a1b8e55")

func decisionOf(r provision.Request, v provision.StageVerdict) decisionEvent {
	name := fmt.Sprintf("%s %s %d", r.ID, v.Stage, v.Verdict.At.UnixNano())
	return decisionEvent{
		Labels: map[string]string{
			"app": "roadbed", "version": version, "request_id": r.ID.String(), "stage": string(v.Stage), "environment": r.Environment,
		},
		DecisionID:  uuid.NewSHA1(decisionNamespace, []byte(name)).String(),
		Bundles:     map[string]bundleRevision{"roadbed": {v.Verdict.BundleDigest}},
		Path:        "roadbed/decision/findings",
		Input:       v.Verdict.Input,
		Result:      decisionResult{v.Verdict.Outcome, v.Verdict.Findings},
		RequestedBy: r.RequestedBy, Timestamp: v.Verdict.At,
	}
}

// The decision log keeps this many verdicts for a slow reader, sends this many
// at once, and tries again this often.
const (
	decisionQueue = 4096
	decisionBatch = 200
	decisionRetry = 2 * time.Second
)

// decisionLog writes verdicts where it is told, behind those who are waiting for
// them: when its queue is full a verdict is dropped from it and counted. The
// database has them all, whatever becomes of this.
type decisionLog struct {
	target  string
	log     *slog.Logger
	queue   chan decisionEvent
	client  *http.Client
	file    *os.File
	begin   func() (done func(error)) // is told of each attempt to write
	dropped prometheus.Counter
	written prometheus.Counter
}

// openDecisionLog logs to a URL that takes OPA's decision logs, or to a file.
func openDecisionLog(target string, log *slog.Logger, registry *prometheus.Registry) (*decisionLog, error) {
	d := &decisionLog{
		target: target, log: log, queue: make(chan decisionEvent, decisionQueue), client: &http.Client{Timeout: 10 * time.Second},
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roadbed_decision_log_dropped_total", Help: "Verdicts that the decision log was too slow for; the database has them.",
		}),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roadbed_decision_log_written_total", Help: "Verdicts that the decision log has taken.",
		}),
	}
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") {
		file, err := os.OpenFile(target, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open decision log: %w", err)
		}
		d.file = file
	}
	registry.MustRegister(d.dropped, d.written)
	return d, nil
}

// tell queues a record's new verdicts. It never waits.
func (d *decisionLog) tell(r *provision.Record) {
	for _, verdict := range r.Verdicts {
		select {
		case d.queue <- decisionOf(r.Request, verdict):
		default:
			d.dropped.Inc()
		}
	}
}

// start runs the log and answers what stops it, once nothing more can be told:
// that writes what is queued. begin is told of each attempt, and of its end.
func (d *decisionLog) start(begin func() (done func(error))) (stop func()) {
	d.begin = begin
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// run writes until ctx ends, then what is queued, once.
func (d *decisionLog) run(ctx context.Context) {
	if d.file != nil {
		defer d.file.Close()
	}
	for {
		select {
		case first := <-d.queue:
			d.deliver(ctx, d.batch(first))
		case <-ctx.Done():
			for len(d.queue) > 0 {
				d.deliver(ctx, d.batch(<-d.queue))
			}
			return
		}
	}
}

// batch is first and what is queued behind it.
func (d *decisionLog) batch(first decisionEvent) []decisionEvent {
	batch := []decisionEvent{first}
	for len(batch) < decisionBatch {
		select {
		case next := <-d.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// deliver repeats until it has worked or ctx ends. Trouble is logged once.
func (d *decisionLog) deliver(ctx context.Context, batch []decisionEvent) {
	for try := 0; ; try++ {
		// Its own time: what is queued when the sidecar stops is sent, too.
		done := d.begin()
		err := d.send(context.WithoutCancel(ctx), batch)
		done(nil) // a target that is away is no loop that stands still
		if err == nil {
			d.written.Add(float64(len(batch)))
			return
		}
		if try == 0 {
			d.log.Error("decision log cannot be written; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			d.dropped.Add(float64(len(batch)))
			return
		case <-time.After(decisionRetry):
		}
	}
}

func (d *decisionLog) send(ctx context.Context, batch []decisionEvent) error {
	if d.file != nil {
		var lines bytes.Buffer
		for _, event := range batch {
			line, err := json.Marshal(event)
			if err != nil {
				return fmt.Errorf("encode decision %s: %w", event.DecisionID, err)
			}
			lines.Write(append(line, '\n'))
		}
		_, err := d.file.Write(lines.Bytes())
		return err
	}
	var body bytes.Buffer
	zipped := gzip.NewWriter(&body)
	if err := json.NewEncoder(zipped).Encode(batch); err != nil {
		return fmt.Errorf("encode decisions: %w", err)
	}
	if err := zipped.Close(); err != nil {
		return fmt.Errorf("encode decisions: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.target, &body)
	if err != nil {
		return fmt.Errorf("send decisions: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Content-Encoding", "gzip")
	answer, err := d.client.Do(request)
	if err != nil {
		return fmt.Errorf("send decisions: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection is used again
	if answer.StatusCode >= 300 {
		return fmt.Errorf("send decisions: it answered %s", answer.Status)
	}
	return nil
}

// loggedStore is the store with every committed verdict told to the log.
type loggedStore struct {
	*postgres.Store
	log *decisionLog
}

// Accept implements provision.Store.
func (s loggedStore) Accept(ctx context.Context, r *provision.Record) error {
	return s.told(r, s.Store.Accept(ctx, r))
}

// Refuse implements provision.Store.
func (s loggedStore) Refuse(ctx context.Context, r *provision.Record) error {
	return s.told(r, s.Store.Refuse(ctx, r))
}

func (s loggedStore) told(r *provision.Record, err error) error {
	if err == nil {
		s.log.tell(r)
	}
	return err
}

// Change implements provision.Store.
func (s loggedStore) Change(ctx context.Context, id uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	record, err := s.Store.Change(ctx, id, decide)
	if err == nil {
		s.log.tell(record)
	}
	return record, err
}

// ChangeRun implements provision.Store.
func (s loggedStore) ChangeRun(ctx context.Context, id uuid.UUID, decide func(*provision.Record) error) (*provision.Record, error) {
	record, err := s.Store.ChangeRun(ctx, id, decide)
	if err == nil {
		s.log.tell(record)
	}
	return record, err
}
