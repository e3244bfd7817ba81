package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/telemetry"
)

// tracing tells what became of each request as spans of the trace that it was
// asked for in: its time in each phase, and each step with its run's worker.
// They are made from the committed history once the request has ended, so that a
// worker that is killed, or an approval that takes days, leaves no hole. What
// ends while the database is away is not told.
type tracing struct {
	store  *postgres.Store
	tracer trace.Tracer
	log    *slog.Logger
	begin  func() (done func(error)) // is told of each request that is looked at
	ended  chan uuid.UUID
}

func newTracing(store *postgres.Store, tracer trace.Tracer, log *slog.Logger, begin func() (done func(error))) *tracing {
	t := &tracing{store: store, tracer: tracer, log: log, begin: begin, ended: make(chan uuid.UUID, meterQueue)}
	store.OnCommit(t.hear)
	return t
}

// hear never waits.
func (t *tracing) hear(events []provision.Event) {
	for _, e := range events {
		if !ends(e) {
			continue
		}
		select {
		case t.ended <- e.SubjectID:
		default:
			t.log.Warn("request not traced: too many ended at once", "request_id", e.SubjectID)
		}
	}
}

// run tells of what has ended until ctx ends.
func (t *tracing) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-t.ended:
			done := t.begin()
			err := t.tell(ctx, id)
			done(err)
			if err != nil && ctx.Err() == nil {
				t.log.Warn("request not traced", "request_id", id, "err", err)
			}
		}
	}
}

func (t *tracing) tell(ctx context.Context, id uuid.UUID) error {
	request, err := t.store.Request(ctx, id)
	if err != nil {
		return err
	}
	events, err := t.store.EventsAfter(ctx, id, 0, 500)
	if err != nil {
		return err
	}
	traceRequest(ctx, t.tracer, request, events)
	return nil
}

// traceRequest makes the spans of a request that has ended.
func traceRequest(ctx context.Context, tracer trace.Tracer, r provision.Request, events []provision.Event) {
	ctx, span := tracer.Start(telemetry.From(ctx, r.Trace), fmt.Sprintf("%s %s", r.Action, r.Offering), trace.WithTimestamp(r.CreatedAt),
		trace.WithAttributes(
			attribute.String("roadbed.request", r.ID.String()), attribute.String("roadbed.instance", r.InstanceID.String()),
			attribute.String("roadbed.environment", r.Environment), attribute.String("roadbed.name", r.Name), attribute.String("roadbed.owner", r.Owner),
			attribute.String("roadbed.state", string(r.State)), attribute.String("enduser.id", r.RequestedBy),
		))
	defer span.End(trace.WithTimestamp(r.UpdatedAt))
	if r.State == provision.Failed && r.Error != nil {
		span.SetStatus(codes.Error, r.Error.Message)
	}
	for _, p := range stretchesOf(events) {
		inside, phase := tracer.Start(ctx, p.phase, trace.WithTimestamp(p.from))
		if p.worker != "" {
			phase.SetAttributes(attribute.String("roadbed.worker", p.worker))
		}
		for _, step := range r.Steps {
			traceStep(inside, tracer, step, p)
		}
		phase.End(trace.WithTimestamp(p.to))
	}
}

// traceStep makes a step's span when the step has begun within the phase.
func traceStep(ctx context.Context, tracer trace.Tracer, step provision.Step, p stretch) {
	if step.StartedAt == nil || step.StartedAt.Before(p.from) || !step.StartedAt.Before(p.to) {
		return
	}
	end := p.to
	if step.FinishedAt != nil {
		end = *step.FinishedAt
	}
	_, s := tracer.Start(ctx, step.Name, trace.WithTimestamp(*step.StartedAt), trace.WithAttributes(
		attribute.Int("roadbed.step", step.Step), attribute.StringSlice("roadbed.addresses", step.Addresses)))
	if step.Status == provision.StepFailed {
		s.SetStatus(codes.Error, step.Details)
	}
	s.End(trace.WithTimestamp(end))
}

// stretch is a part of a request's life in one phase.
type stretch struct {
	phase    string
	from, to time.Time
	worker   string // who had its run, "" for nobody
}

// stretchesOf are the phases that a request went through, by its events in order.
func stretchesOf(events []provision.Event) []stretch {
	var all []stretch
	var now stretch
	for _, e := range events {
		if e.Entity == "run" && e.Verb == "started" {
			now.worker = labelOf(e.Data["worker"])
		}
		if !moves(e) {
			continue
		}
		if now.phase != "" {
			now.to = e.At
			all = append(all, now)
		}
		next := stretch{phase: phaseOf[provision.State(e.Verb)], from: e.At}
		if next.phase == "plan" || next.phase == "apply" {
			next.worker = now.worker
		}
		now = next
	}
	return all
}
