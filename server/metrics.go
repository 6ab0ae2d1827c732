package server

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"oriel/internal/api"
)

// metrics are the server's metrics. Those that Clair has, too, have its names
// and labels (clair:httptransport/instrumentation.go), so that dashboards made
// for Clair work.
type metrics struct {
	registry *prometheus.Registry
	groups   map[string]*requestMetrics // by group of routes

	refused  *prometheus.CounterVec // by reason
	limited  *prometheus.CounterVec // by limit
	busy     *prometheus.CounterVec // Clair's, by endpoint and method
	failures *prometheus.CounterVec // of enrichers, by enricher
	skipped  prometheus.Counter
}

// Values of the labels reason and limit.
const (
	refusedMissing = "missing"
	refusedInvalid = "invalid"
	refusedRole    = "role"
	limitRate      = "rate"
	limitHeavy     = "heavy"
	limitStreams   = "streams"
)

// requestMetrics are the metrics of the requests to one API.
type requestMetrics struct {
	requestBytes, responseBytes, duration prometheus.ObserverVec
	total                                 *prometheus.CounterVec
	inFlight                              *prometheus.GaugeVec
}

// The groups of routes: Clair's APIs with the prefixes that Clair uses, and
// Oriel's own.
const (
	groupIndexer   = "clair_http_indexerv1"
	groupMatcher   = "clair_http_matcherv1"
	groupNotifier  = "clair_http_notificationv1"
	groupDiscovery = "clair_http_discovery"
	groupPatches   = "oriel_http_patchesv1"
	groupOther     = "oriel_http_other"
)

// groupOf returns the group of a route's path.
func groupOf(path string) string {
	for _, g := range []struct{ prefix, group string }{
		{api.Indexer + "/", groupIndexer}, {api.Matcher + "/", groupMatcher}, {api.Notifier + "/", groupNotifier},
		{api.PathOpenAPI, groupDiscovery}, {"/patches", groupPatches},
	} {
		if strings.HasPrefix(path, g.prefix) {
			return g.group
		}
	}
	return groupOther
}

// handlerOf returns the handler label of a route: its path with the placeholder
// that Clair's label has. All paths without a route share one label, because
// clients can make up any number of them.
func handlerOf(path string) string {
	switch {
	case path == "" || path == "/*":
		return "none"
	case strings.HasSuffix(path, "_report/*"):
		return strings.TrimSuffix(path, "*") + ":digest"
	case strings.HasSuffix(path, "/*"):
		return strings.TrimSuffix(path, "*") + ":id"
	}
	return path
}

func newMetrics(others []prometheus.Collector) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), groups: map[string]*requestMetrics{},
		refused:  counterVec("oriel_auth_refused_total", "Requests refused because their token was missing or invalid, or its role insufficient.", "reason"),
		limited:  counterVec("oriel_http_limited_total", "Requests refused because of the rate limit of a client or the limit on concurrent work.", "limit"),
		busy:     counterVec("clair_http_concurrencylimited_total", "Requests refused because the maximum number of manifests was being indexed.", "endpoint", "method"),
		failures: counterVec("oriel_enricher_failures_total", "Reports sent without the data of this enricher.", "enricher"),
		skipped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "oriel_match_skipped_total", Help: "Pairs of versions that could not be compared while making reports."}),
	}
	m.registry.MustRegister(m.refused, m.limited, m.busy, m.failures, m.skipped,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, g := range []string{groupIndexer, groupMatcher, groupNotifier, groupDiscovery, groupPatches, groupOther} {
		m.groups[g] = m.newGroup(g)
	}
	m.registry.MustRegister(others...)
	// Counters exist with value 0 before their first event, so that an alert on
	// an increase notices the first one.
	for _, reason := range []string{refusedMissing, refusedInvalid, refusedRole} {
		m.refused.WithLabelValues(reason)
	}
	for _, limit := range []string{limitRate, limitHeavy, limitStreams} {
		m.limited.WithLabelValues(limit)
	}
	m.busy.WithLabelValues(api.PathIndexReport, "post")
	return m
}

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (m *metrics) newGroup(prefix string) *requestMetrics {
	labels := []string{"handler", "code", "method"}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	sizes := prometheus.ExponentialBuckets(256, 16, 6) // 256 B to 256 MiB
	g := &requestMetrics{
		total:         counterVec(prefix+"_request_total", "Requests answered.", labels...),
		requestBytes:  histogram("_request_size_bytes", "Content-Length of requests.", sizes),
		responseBytes: histogram("_response_size_bytes", "Length of response bodies before compression.", sizes),
		duration: histogram("_request_duration_seconds", "Time from the headers of a request to the end of its response.",
			[]float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 300}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "_in_flight_requests", Help: "Requests being answered."}, []string{"handler"}),
	}
	m.registry.MustRegister(g.total, g.inFlight)
	return g
}

// measure records a request and its response.
func (m *metrics) measure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		g, handler := m.groups[groupOf(c.Path())], handlerOf(c.Path())
		inFlight := g.inFlight.WithLabelValues(handler)
		inFlight.Inc()
		defer inFlight.Dec()
		err := next(c)
		res := c.Response()
		labels := []string{handler, strconv.Itoa(res.Status), methodLabel(c.Request().Method)}
		g.total.WithLabelValues(labels...).Inc()
		g.requestBytes.WithLabelValues(labels...).Observe(float64(max(0, c.Request().ContentLength)))
		g.responseBytes.WithLabelValues(labels...).Observe(float64(res.Size))
		g.duration.WithLabelValues(labels...).Observe(time.Since(start).Seconds())
		return err
	}
}

// methodLabel returns a method in the spelling of Clair's labels. Unusual
// methods share a label, because clients can make up any number of them.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
		return strings.ToLower(method)
	}
	return "unknown"
}

// maxScrapes is the number of requests for metrics answered at once; further
// ones wait.
const maxScrapes = 4

// getMetrics returns the handler of /metrics. A collector that fails does not
// affect the others.
func (s *Server) getMetrics() echo.HandlerFunc {
	scrapes := make(chan struct{}, maxScrapes)
	handler := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{
		ErrorHandling:      promhttp.ContinueOnError,
		DisableCompression: true, // the server's middleware compresses
		Registry:           s.metrics.registry,
	})
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		select {
		case scrapes <- struct{}{}:
			defer func() { <-scrapes }()
		case <-ctx.Done():
			return ctx.Err()
		}
		handler.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}
