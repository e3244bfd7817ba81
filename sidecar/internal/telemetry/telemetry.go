// Package telemetry sends traces by OpenTelemetry, where whoever runs the
// sidecar wants them, and carries a trace from one process to the next. It is
// off unless the standard environment names a collector.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Name is the instrumentation scope of every span.
const Name = "roadbed.dev/roadbed"

// Traces sends spans to a collector. Off, its spans cost nothing and go nowhere.
type Traces struct {
	tracer trace.Tracer
	stop   func(context.Context) error
	on     bool
}

var parents propagation.TraceContext

// Start begins to send traces of a service when OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT names a collector that takes OTLP over HTTP;
// the other OTEL_ settings that the exporter and the sampler know hold too. A
// collector that is away costs spans, and nothing else.
func Start(ctx context.Context, service, version string, log *slog.Logger) (*Traces, error) {
	off := &Traces{tracer: otel.Tracer(Name), stop: func(context.Context) error { return nil }}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return off, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces not sent", "err", err) }))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &Traces{tracer: provider.Tracer(Name), stop: provider.Shutdown, on: true}, nil
}

// On reports whether anyone wants spans.
func (t *Traces) On() bool { return t.on }

// Tracer makes spans.
func (t *Traces) Tracer() trace.Tracer { return t.tracer }

// Stop sends what has not been sent, for as long as ctx lets it.
func (t *Traces) Stop(ctx context.Context) error { return t.stop(ctx) }

// Parent is the span of ctx as a W3C traceparent, to go on from elsewhere; ""
// when there is none.
func Parent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	parents.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// From is ctx within the span that a traceparent names; ctx as it is when it
// names none.
func From(ctx context.Context, traceparent string) context.Context {
	return parents.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}
