package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"roadbed.dev/roadbed/sidecar/internal/control"
	"roadbed.dev/roadbed/sidecar/internal/postgres"
	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// meters are the metrics of requests. What is counted happened in this process,
// so sum it over sidecars; what is in hand is the database's, the same at each.
type meters struct {
	store  *postgres.Store
	loops  func() []control.LoopHealth
	log    *slog.Logger
	begin  func() (done func(error)) // is told of each request that is looked at
	ended  chan uuid.UUID
	judged *prometheus.CounterVec
	ends   *prometheus.CounterVec
	took   *prometheus.HistogramVec
	phases *prometheus.HistogramVec
	missed prometheus.Counter

	requests, instances, campaigns, queued, unpublished, unpublishedFor, database, stalled, progress, pauses, promise *prometheus.Desc

	counting sync.Mutex
	counted  time.Time // when kept was
	kept     *float64  // nil while nothing was promised
}

const (
	// meterQueue is how many ended requests wait to be looked at.
	meterQueue = 1024
	// promiseEvery is how old the share of times that were kept may be.
	promiseEvery = 5 * time.Minute
	// scrapeWithin is how long a scrape waits for the database.
	scrapeWithin = 2 * time.Second
)

// newMeters registers the metrics; the store's commits are counted from now on,
// and what has ended once run runs.
func newMeters(store *postgres.Store, loops func() []control.LoopHealth, registry *prometheus.Registry, log *slog.Logger, begin func() (done func(error))) *meters {
	seconds := []float64{1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 4 * 3600, 24 * 3600, 72 * 3600}
	m := &meters{
		store: store, loops: loops, log: log, begin: begin, ended: make(chan uuid.UUID, meterQueue),
		judged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roadbed_requests_submitted_total", Help: "Requests that were judged and stored, by offering, action and verdict.",
		}, []string{"offering", "action", "outcome"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roadbed_requests_ended_total", Help: "Requests that ended, by offering, action and the state they ended in.",
		}, []string{"offering", "action", "state"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roadbed_request_duration_seconds", Help: "From the ask to success, of requests that succeeded.", Buckets: seconds,
		}, []string{"offering", "action"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roadbed_request_phase_seconds", Help: "Time of ended requests in a phase they were in: queue, plan, approval, apply.", Buckets: seconds,
		}, []string{"phase"}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "roadbed_requests_unmeasured_total", Help: "Requests whose end these metrics lack, because the database was away or too many ended at once.",
		}),
		requests:       prometheus.NewDesc("roadbed_requests", "Requests that have not ended, by state.", []string{"state"}, nil),
		instances:      prometheus.NewDesc("roadbed_instances", "Instances that are not gone, by state.", []string{"state"}, nil),
		campaigns:      prometheus.NewDesc("roadbed_campaigns", "Campaigns that go on, by state.", []string{"state"}, nil),
		queued:         prometheus.NewDesc("roadbed_queue_oldest_seconds", "Since the queued request that waits longest was asked for.", nil, nil),
		unpublished:    prometheus.NewDesc("roadbed_outbox_events", "Events that NATS does not have yet.", nil, nil),
		unpublishedFor: prometheus.NewDesc("roadbed_outbox_oldest_seconds", "How long the first event that NATS does not have has waited.", nil, nil),
		database:       prometheus.NewDesc("roadbed_database_up", "1 when the database answered this scrape, else 0.", nil, nil),
		pauses:         prometheus.NewDesc("roadbed_pauses", "Pauses in force, by what they hold and whether a person or the system began them.", []string{"kind", "by"}, nil),
		promise:        prometheus.NewDesc("roadbed_promise_kept_share", "Of the requests of the last 30 days that were given a time which nine in ten keep, the share that kept it.", nil, nil),
		stalled:        prometheus.NewDesc("roadbed_loop_stalled", "1 when a loop has made no progress for too long, else 0.", []string{"loop"}, nil),
		progress:       prometheus.NewDesc("roadbed_loop_progress_timestamp_seconds", "When a loop last made progress.", []string{"loop"}, nil),
	}
	registry.MustRegister(m.judged, m.ends, m.took, m.phases, m.missed, m)
	store.OnCommit(m.hear)
	return m
}

// hear counts a commit's events. It never waits.
func (m *meters) hear(events []provision.Event) {
	for _, e := range events {
		switch {
		case e.Entity != "request":
		case e.Verb == "submitted":
			m.judged.WithLabelValues(labelOf(e.Data["offering"]), labelOf(e.Data["action"]), labelOf(e.Data["outcome"])).Inc()
		case ends(e):
			select {
			case m.ended <- e.SubjectID:
			default:
				m.missed.Inc()
			}
		}
	}
}

// labelOf is a label of what an event of this process carries.
func labelOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case provision.Action:
		return string(v)
	case provision.Outcome:
		return string(v)
	default:
		return ""
	}
}

// run looks at what has ended until ctx ends.
func (m *meters) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-m.ended:
			done := m.begin()
			err := m.measure(ctx, id)
			done(err)
			if err != nil && ctx.Err() == nil {
				m.missed.Inc()
				m.log.Warn("ended request not measured", "request_id", id, "err", err)
			}
		}
	}
}

func (m *meters) measure(ctx context.Context, id uuid.UUID) error {
	r, err := m.store.Request(ctx, id)
	if err != nil {
		return err
	}
	events, err := m.store.EventsAfter(ctx, id, 0, 500)
	if err != nil {
		return err
	}
	m.ends.WithLabelValues(r.Offering, string(r.Action), string(r.State)).Inc()
	if r.State == provision.Succeeded {
		m.took.WithLabelValues(r.Offering, string(r.Action)).Observe(r.UpdatedAt.Sub(r.CreatedAt).Seconds())
	}
	for phase, spent := range phasesOf(events) {
		m.phases.WithLabelValues(phase).Observe(spent.Seconds())
	}
	return nil
}

// phaseOf is the phase that a request in a state is in; "" has none.
var phaseOf = map[provision.State]string{
	provision.Queued: "queue", provision.Planning: "plan", provision.AwaitingApproval: "approval",
	provision.Applying: "apply", provision.Lost: "apply",
}

// phasesOf is how long a request was in each phase that it was in, by its events
// in order.
func phasesOf(events []provision.Event) map[string]time.Duration {
	spent := map[string]time.Duration{}
	for _, s := range stretchesOf(events) {
		spent[s.phase] += s.to.Sub(s.from)
	}
	return spent
}

// ends reports whether an event of this process is of a request that has ended.
func ends(e provision.Event) bool {
	state := provision.State(e.Verb)
	return e.Entity == "request" && state.Terminal() && e.Data["state"] == state
}

// moves reports whether an event is of a request that has come to another state.
func moves(e provision.Event) bool {
	return e.Entity == "request" && slices.Contains(provision.States(), provision.State(e.Verb))
}

// Describe implements prometheus.Collector.
func (m *meters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.instances, m.campaigns, m.queued, m.unpublished, m.unpublishedFor, m.database, m.stalled, m.progress, m.pauses, m.promise} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. While the database is away it tells
// that, and nothing else of it.
func (m *meters) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, loop := range m.loops() {
		stalled := 0.
		if loop.Stalled {
			stalled = 1
		}
		gauge(m.stalled, stalled, loop.Name)
		gauge(m.progress, float64(loop.Progress.UnixMilli())/1000, loop.Name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	load, err := m.store.Load(ctx)
	if err != nil {
		gauge(m.database, 0)
		return
	}
	gauge(m.database, 1)
	m.collectPauses(ctx, gauge)
	m.collectPromise(ctx, gauge)
	gauge(m.queued, load.OldestQueued.Seconds())
	gauge(m.unpublished, float64(load.Unpublished))
	gauge(m.unpublishedFor, load.OldestEvent.Seconds())
	for _, state := range provision.States() {
		if !state.Terminal() {
			gauge(m.requests, float64(load.Requests[state]), string(state))
		}
	}
	for _, state := range provision.InstanceStates() {
		if !state.Gone() {
			gauge(m.instances, float64(load.Instances[state]), string(state))
		}
	}
	for _, state := range []provision.CampaignState{provision.CampaignOpen, provision.CampaignRunning, provision.CampaignHalted} {
		gauge(m.campaigns, float64(load.Campaigns[state]), string(state))
	}
}

// collectPromise counts at most every few minutes: it reads thousands of requests.
func (m *meters) collectPromise(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) {
	m.counting.Lock()
	defer m.counting.Unlock()
	if time.Since(m.counted) >= promiseEvery {
		window, err := provision.NewMeasureWindow(30, time.Now())
		if err != nil {
			return
		}
		counts, err := m.store.Measure(ctx, window)
		if err != nil {
			return
		}
		m.counted, m.kept = time.Now(), provision.PromiseKept(window, counts).Value
	}
	if m.kept != nil {
		gauge(m.promise, *m.kept)
	}
}

// collectPauses tells nothing while the database does not answer.
func (m *meters) collectPauses(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string)) {
	pauses, err := m.store.Pauses(ctx)
	if err != nil {
		return
	}
	counts := map[[2]string]int{}
	for _, kind := range []provision.PauseKind{provision.PauseOffering, provision.PausePool, provision.PauseEverything} {
		counts[[2]string{string(kind), "person"}] = 0
	}
	counts[[2]string{string(provision.PauseEverything), "system"}] = 0
	for _, p := range pauses {
		by := "person"
		if strings.HasPrefix(p.By, "system:") {
			by = "system"
		}
		counts[[2]string{string(p.Kind), by}]++
	}
	for labels, n := range counts {
		gauge(m.pauses, float64(n), labels[:]...)
	}
}
