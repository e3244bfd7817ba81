package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what the API answers, in a registry of its own. Labels are
// routes and status codes, never ids.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	streams  prometheus.Gauge
	limited  *prometheus.CounterVec
}

// NewMetrics is a new registry with the API's, the process's and Go's metrics.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roadbed_http_requests_total", Help: "Requests answered, by route and status code.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "roadbed_http_request_duration_seconds", Help: "How long an answer took, by route; streams apart.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "roadbed_http_streams", Help: "Event and log streams that are open.",
		}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "roadbed_http_limited_total", Help: "Requests refused for being too many, by the limit (a caller's rate, a caller's requests in hand, everybody's) and the class of route.",
		}, []string{"limit", "class"}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.streams, m.limited,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registry is where others add their metrics.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler shows every metric. It needs no token: give it a listener of its own
// that only the monitoring can reach.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// HTTPServer is a server for Handler alone.
func (m *Metrics) HTTPServer() *http.Server {
	return &http.Server{
		Handler: m.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 75 * time.Second, MaxHeaderBytes: 16 << 10,
	}
}

func (m *Metrics) observe(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if !waits[route] {
		m.duration.WithLabelValues(route).Observe(took.Seconds())
	}
}

// waits are the routes whose duration is the caller's wish.
var waits = map[string]bool{
	"GET /requests/{id}/events": true,
	"GET /requests/{id}/logs":   true,
	"GET /entities/changes":     true,
}
