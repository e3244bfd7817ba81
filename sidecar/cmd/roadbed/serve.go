package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/httpapi"
	"roadbed.dev/roadbed/sidecar/internal/keys"
	"roadbed.dev/roadbed/sidecar/internal/notify"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
	"roadbed.dev/roadbed/sidecar/internal/queue"
	"roadbed.dev/roadbed/sidecar/internal/telemetry"
	"roadbed.dev/roadbed/sidecar/internal/terraform"
)

type serveCommand struct {
	sidecarConfig
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, log *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	s, err := newSidecar(ctx, c.sidecarConfig, log)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx)
}

// policyInterval is how often a folder of policies is looked at; a change is in
// force after the second look that sees it.
const policyInterval = 2 * time.Second

// sidecar is the service with its loops and doors, wired by hand.
type sidecar struct {
	config sidecarConfig
	log    *slog.Logger
	domain *domain
	store  *postgres.Store
	queue  *queue.Queue
	api    *httpapi.Server
	loops  *control.Control
	meters *httpapi.Metrics
	counts *meters

	traces    *telemetry.Traces
	tracing   *tracing         // nil when nobody wants traces
	feed      *httpapi.Feed    // nil when there is none
	decisions *decisionLog     // nil when there is none
	notifier  *notify.Notifier // nil when nobody is told anything
}

func newSidecar(ctx context.Context, c sidecarConfig, log *slog.Logger) (*sidecar, error) {
	s := &sidecar{config: c, log: log}
	var err error
	if s.traces, err = telemetry.Start(ctx, "roadbed", version, log); err != nil {
		return nil, err
	}
	if s.domain, err = c.load(); err != nil {
		return nil, err
	}
	if err := s.domain.follow(c.Policies, c.PolicyFrom, log); err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	for _, warning := range s.domain.catalog.Warnings() {
		log.Warn("offering has a fault", "fault", warning.String())
	}
	ring, err := keys.Load(c.KeysDir, keys.Sidecar)
	if err != nil {
		return nil, err
	}
	for _, e := range s.domain.environments {
		if _, err := ring.Recipients(e.Pool); err != nil {
			return nil, fmt.Errorf("environment %s uses pool %s: %w", e.Name, e.Pool, err)
		}
	}
	door, err := c.door(log)
	if err != nil {
		return nil, err
	}
	if door.directory == nil {
		log.Warn("approvals cannot be given: there is no --signing-key to ask the catalog with; what needs one is denied")
		s.domain.judge.NoApprovals = provision.NoApprovals
	}
	pools, err := readPoolTokens(c.PoolTokens)
	if err != nil {
		return nil, err
	}
	notifications, err := c.notifications(door.notifier)
	if err != nil {
		return nil, err
	}
	states, err := openBucket(ctx, c.State, log)
	if err != nil {
		return nil, err
	}
	if s.store, err = postgres.Open(c.Database, postgres.Options{Notable: notifications.Notable, Bucket: states}); err != nil {
		return nil, err
	}
	if s.queue, err = queue.Connect(ctx, queue.Config{
		URL: c.NATS, Name: "roadbed-sidecar", KeyFile: c.NATSKey, CAFile: c.NATSCA, Replicas: c.NATSReplicas, OwnsStreams: true, Pools: s.domain.pools(), Log: log,
	}); err != nil {
		s.store.Close()
		return nil, err
	}
	s.meters = httpapi.NewMetrics()
	s.domain.meter(s.meters.Registry())
	var kept keptStore = s.store
	if c.DecisionLog != "" {
		if s.decisions, err = openDecisionLog(c.DecisionLog, log, s.meters.Registry()); err != nil {
			s.close()
			return nil, err
		}
		kept = loggedStore{s.store, s.decisions}
	}
	kept = seams.store(kept)
	limits := func() provision.Limits {
		l := s.domain.limits()
		l.Slots = c.Slots
		return l
	}
	service := &provision.Service{
		Catalog: s.domain.served, Judge: s.domain.judge, Authorizer: s.domain.authorizer,
		Store: kept, Keys: ring, StateFiles: terraform.StateFiles{}, Environments: s.domain.environments, Now: time.Now,
		Directory: door.directory, ApprovalTimeout: c.ApprovalTimeout, Calendar: s.domain.calendar,
		Line: s.store, Limits: limits, History: s.store, Publication: s.domain.publication,
	}
	runs := &provision.Runs{Service: service, Lease: c.Lease, DriftEvery: c.DriftEvery}
	s.loops = control.New(control.Config{
		Store: kept, Queue: seams.queue(s.queue), Runs: runs, Ends: service, Campaigns: service, Environments: s.domain.environments,
		Limits: limits, QueueTimeout: c.QueueTimeout, DriftEvery: c.DriftEvery, Log: log, Before: s.mindRestore,
	})
	if len(notifications.Routes) > 0 {
		s.notifier = notify.New(notify.Settings{
			Config: notifications, Store: s.store, Log: log, Registry: s.meters.Registry(), Portal: door.notifier, Addresses: door.addresses, Link: c.Portal,
			Watch: s.loops.Watch,
		})
		s.store.OnCommit(s.notifier.Hear)
	}
	if s.domain.watch != nil {
		s.domain.looks = s.loops.Watch("policies")
	}
	var tracer trace.Tracer // nil traces nothing
	if s.traces.On() {
		tracer, service.Trace = s.traces.Tracer(), telemetry.Parent
		s.tracing = newTracing(s.store, tracer, log, s.loops.Watch("traces"))
	}
	s.counts = newMeters(s.store, s.loops.Loops, s.meters.Registry(), log, s.loops.Watch("measures"))
	s.api, err = httpapi.New(httpapi.Config{
		Service: service, Runs: runs, Reader: seams.reader(s.store), Watcher: s.store, Auth: door.auth, Permissions: door.permissions, Pools: pools, KeySet: door.keySet,
		Ready: s.ready, Note: s.domain.note, Log: log, Metrics: s.meters, Tracer: tracer, BaseURL: c.BaseURL, Portal: c.Portal,
		Limits: c.limits(),
	})
	if err != nil {
		s.close()
		return nil, err
	}
	if s.feed, err = s.newFeed(door.refresh); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// ready is nil when the sidecar can take requests: the database answers, no loop
// has stalled, and there are policies to decide by.
func (s *sidecar) ready(ctx context.Context) error {
	return errors.Join(s.domain.ready(), s.store.Ping(ctx), s.loops.Health())
}

func (s *sidecar) close() {
	s.queue.Close()
	s.store.Close()
}

// run serves and loops until ctx ends, then drains.
func (s *sidecar) run(ctx context.Context) error {
	if err := s.publishOfferings(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	if s.decisions != nil {
		defer s.decisions.start(s.loops.Watch("decision log"))() // after everyone who might tell it something
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.loops.Run(ctx) })
	group.Go(func() error { return s.counts.run(ctx) })
	group.Go(func() error { return s.followVersions(ctx) })
	if s.tracing != nil {
		group.Go(func() error { return s.tracing.run(ctx) })
	}
	if s.notifier != nil {
		group.Go(func() error { return s.notifier.Run(ctx) })
	}
	if s.domain.watch != nil {
		group.Go(func() error { return s.domain.watch(ctx) })
	}
	group.Go(func() error { return serveHTTP(ctx, listener, s.api.HTTPServer(), s.api.Drain) })
	if s.config.Metrics != "" {
		metrics, err := net.Listen("tcp", s.config.Metrics)
		if err != nil {
			return fmt.Errorf("listen for metrics: %w", err)
		}
		group.Go(func() error { return serveHTTP(ctx, metrics, s.meters.HTTPServer(), func() {}) })
	}
	if err := s.serveFeed(ctx, group); err != nil {
		return err
	}
	s.log.Info("sidecar serves", "listen", listener.Addr().String())
	err = group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if stopped := s.traces.Stop(last); stopped != nil {
		s.log.Warn("last traces not sent", "err", stopped)
	}
	return err
}

// publishOfferings waits for the database: a sidecar that starts before it is
// no fault. A schema that lacks migrations is one: serve never migrates.
func (s *sidecar) publishOfferings(ctx context.Context) error {
	for {
		err := postgres.CheckSchema(ctx, s.config.Database)
		if err == nil {
			err = s.domain.publish(ctx, s.store)
		}
		if err == nil {
			err = s.makeVersionsKnown(ctx)
		}
		if provision.KindOf(err) != provision.Unavailable {
			return err
		}
		s.log.Warn("database is away; trying again", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// serveHTTP serves until ctx ends, then drains for at most 25 s.
func serveHTTP(ctx context.Context, l net.Listener, server *http.Server, drain func()) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain()
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	err := server.Serve(l)
	if stop() { // it was not asked to stop
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	}
	return <-stopped
}
