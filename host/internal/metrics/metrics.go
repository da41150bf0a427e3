// Package metrics counts what the host does, for Prometheus.
//
// Every label has a bounded set of values: routes, connector types that are
// installed, and the states and codes of package domain. Ids, organizations
// and texts are never labels.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/orderport/orderport/sdk/port"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/delivery/acks"
	"github.com/orderport/orderport/host/internal/domain"
)

// Options say what the gauges are read from.
type Options struct {
	Version string
	// CountExports is store.Exports.CountExports.
	CountExports func(ctx context.Context) (map[domain.ExportStatus]int64, error)
	// Connectors is connector.Registry.Status.
	Connectors func() []connector.Status
}

// Metrics is one host's metrics. All methods are safe for concurrent use. It
// implements delivery.Observer.
type Metrics struct {
	registry *prometheus.Registry

	calls       *prometheus.CounterVec
	callSeconds *prometheus.HistogramVec

	attempts       *prometheus.CounterVec
	attemptSeconds *prometheus.HistogramVec
	superseded     *prometheus.CounterVec
	circuits       *prometheus.CounterVec
	takenOver      prometheus.Counter
	settled        *prometheus.CounterVec
}

// New returns metrics in a registry of their own.
func New(o Options) *Metrics {
	m := &Metrics{
		registry:       prometheus.NewRegistry(),
		calls:          counter("http_requests_total", "Calls of the HTTP API.", "route", "method", "status"),
		callSeconds:    histogram("http_request_seconds", "How long calls of the HTTP API took.", "route"),
		attempts:       counter("attempts_total", "Attempts that this host ran, by how they ended.", "connector_type", "outcome", "code"),
		attemptSeconds: histogram("attempt_seconds", "How long attempts took.", "connector_type"),
		superseded:     counter("attempts_superseded_total", "Attempts whose result came after they were taken over.", "connector_type"),
		circuits:       counter("circuit_changes_total", "Connections that this host found to be down or healthy again.", "connector_type", "state", "code"),
		takenOver:      prometheus.NewCounter(prometheus.CounterOpts{Name: "orderport_exports_taken_over_total", Help: "Exports of dead hosts that this host took over."}),
		settled:        counter("acks_total", "Acks that were settled, by verdict.", "connector_type", "verdict"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "orderport_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": o.Version},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.calls, m.callSeconds, m.attempts, m.attemptSeconds, m.superseded, m.circuits, m.takenOver, m.settled, build,
		newGauges(o), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orderport_" + name, Help: help}, labels)
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "orderport_" + name, Help: help,
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
	}, labels)
}

// Handler answers /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Call counts one call of the API. An empty route is one that does not exist.
func (m *Metrics) Call(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "other"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	m.calls.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.callSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// AttemptEnded implements delivery.Observer.
func (m *Metrics) AttemptEnded(connectorType string, outcome domain.Outcome, code port.Code, took time.Duration) {
	m.attempts.WithLabelValues(connectorType, string(outcome), string(code)).Inc()
	m.attemptSeconds.WithLabelValues(connectorType).Observe(took.Seconds())
}

// Superseded implements delivery.Observer.
func (m *Metrics) Superseded(connectorType string) {
	m.superseded.WithLabelValues(connectorType).Inc()
}

// CircuitMoved implements delivery.Observer.
func (m *Metrics) CircuitMoved(connectorType string, to domain.HealthState, code port.Code) {
	m.circuits.WithLabelValues(connectorType, string(to), string(code)).Inc()
}

// TakenOver implements delivery.Observer.
func (m *Metrics) TakenOver(exports int) { m.takenOver.Add(float64(exports)) }

// AcksSettled implements delivery.Observer.
func (m *Metrics) AcksSettled(connectorType string, verdict acks.Verdict, count int) {
	m.settled.WithLabelValues(connectorType, string(verdict)).Add(float64(count))
}

const (
	// countFor is how long a count of the exports is good, and countShare how
	// many times as long as it took: it reads an index of all exports, and with
	// millions of them it must not keep the database busy.
	countFor     = 10 * time.Second
	countShare   = 100
	countTimeout = 10 * time.Second
)

// gauges are read when they are asked for.
type gauges struct {
	o        Options
	exports  *prometheus.Desc
	ready    *prometheus.Desc
	restarts *prometheus.Desc
	inFlight *prometheus.Desc

	mu      sync.Mutex
	recount time.Time                     // guarded by mu: when counts are too old
	counts  map[domain.ExportStatus]int64 // guarded by mu; nil if counting failed
}

func newGauges(o Options) *gauges {
	return &gauges{
		o:        o,
		exports:  prometheus.NewDesc("orderport_exports", "Exports in the database, by status.", []string{"status"}, nil),
		ready:    prometheus.NewDesc("orderport_connector_ready", "1 if the connector is ready.", []string{"connector_type"}, nil),
		restarts: prometheus.NewDesc("orderport_connector_restarts_total", "Restarts of the connector's process.", []string{"connector_type"}, nil),
		inFlight: prometheus.NewDesc("orderport_connector_in_flight", "Calls that the connector is busy with.", []string{"connector_type"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.exports, g.ready, g.restarts, g.inFlight} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	for status, n := range g.count() {
		ch <- prometheus.MustNewConstMetric(g.exports, prometheus.GaugeValue, float64(n), string(status))
	}
	for name, s := range g.connectors() {
		ready := 0.0
		if s.State == connector.Ready {
			ready = 1
		}
		ch <- prometheus.MustNewConstMetric(g.ready, prometheus.GaugeValue, ready, name)
		ch <- prometheus.MustNewConstMetric(g.restarts, prometheus.CounterValue, float64(s.Restarts), name)
		ch <- prometheus.MustNewConstMetric(g.inFlight, prometheus.GaugeValue, float64(s.InFlight), name)
	}
}

// connectors has one status for each type; of several binaries the ready one.
func (g *gauges) connectors() map[string]connector.Status {
	found := map[string]connector.Status{}
	if g.o.Connectors == nil {
		return found
	}
	for _, s := range g.o.Connectors() {
		if known, ok := found[s.Type]; s.Type != "" && (!ok || known.State != connector.Ready) {
			found[s.Type] = s
		}
	}
	return found
}

func (g *gauges) count() map[domain.ExportStatus]int64 {
	if g.o.CountExports == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	begun := time.Now()
	if begun.Before(g.recount) {
		return g.counts
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	var err error
	g.counts, err = g.o.CountExports(ctx)
	g.recount = begun.Add(max(countFor, countShare*time.Since(begun)))
	if err != nil {
		g.counts = nil // better no figure than an old one
		return nil
	}
	for _, status := range []domain.ExportStatus{domain.Pending, domain.Sent, domain.Acked, domain.Failed} {
		if _, ok := g.counts[status]; !ok {
			g.counts[status] = 0
		}
	}
	return g.counts
}
