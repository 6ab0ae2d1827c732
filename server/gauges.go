package server

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"oriel/clair"
)

// gauges collects the state of feeds and of other parts of the process when it is
// scraped. It keeps the metrics for scrapeEvery, so that frequent scrapes are
// cheap.
type gauges struct {
	feeds  func(context.Context) (clair.Feeds, error)
	status StatusSource
	now    func() time.Time
	descs  map[string]*prometheus.Desc

	// mu guards the fields below, and is held while metrics are collected.
	mu   sync.Mutex
	at   time.Time
	last []prometheus.Metric
}

const (
	// scrapeEvery is how long metrics are kept.
	scrapeEvery = 5 * time.Second
	// scrapeTime bounds the time of collecting all metrics.
	scrapeTime = 2 * time.Second
)

// gaugeHelp lists all gauges, by name and label.
var gaugeHelp = map[string]string{
	"oriel_feed_last_attempt_timestamp_seconds feed": "Time of the feed's last attempt, 0 if never.",
	"oriel_feed_last_success_timestamp_seconds feed": "Time when the feed was last read or found unchanged, 0 if never.",
	"oriel_feed_next_run_timestamp_seconds feed":     "Time of the feed's next run, 0 if none is planned.",
	"oriel_feed_failed feed":                         "1 if the last attempt failed; the data of the last success are still served.",
	"oriel_feed_held_back feed":                      "1 if a much smaller state of the feed is held back; the previous data are still served.",
	"oriel_feed_stale feed":                          "1 if the last success is older than stale_after.",
	"oriel_feed_running feed":                        "1 if a run of the feed is in progress or queued.",
	"oriel_feed_records feed":                        "Number of rows in the feed's current operation.",
	"oriel_feed_skipped_records feed":                "Number of records that could not be used.",
	"oriel_feed_run_duration_seconds feed":           "Duration of the last attempt.",
	"oriel_update_operations kind":                   "Number of update operations that are kept.",
	"oriel_findings severity":                        "Number of findings in all manifests, as last counted.",
	"oriel_findings_manifests":                       "Number of manifests when findings were last counted.",
	"oriel_findings_counted_timestamp_seconds":       "Time when findings were last counted.",
	"oriel_packages_not_covered place":               "Packages of all manifests in a place that no feed covers, as last counted.",
	"oriel_manifests":                                "Number of stored manifests.",
	"oriel_database_size_bytes":                      "Size of the database file.",
	"oriel_database_free_bytes":                      "Free space in the database file.",
	"oriel_database_wal_size_bytes":                  "Size of the write-ahead log.",
	"oriel_receipts state":                           "Number of notifications by the state of their receipt.",
	"oriel_window_sessions state":                    "Number of scanner sessions by state.",
	"oriel_window_memory_bytes":                      "Memory of the window's panes and answers.",
	"oriel_window_memory_limit_bytes":                "Their limit: window.memory.",
	"oriel_memory_limit_bytes":                       "Limit of the process's memory: memory.limit.",
	"oriel_memory_resident_bytes":                    "Resident memory of the process.",
	"oriel_memory_go_bytes":                          "Memory of Go's runtime, including its heap.",
	"oriel_memory_go_limit_bytes":                    "Soft limit of Go's memory.",
	"oriel_memory_sqlite_cache_limit_bytes":          "Limit of SQLite's page caches, which are outside Go's memory.",
}

// NewGauges returns a collector of the state of feeds and of other parts of the
// process. Functions that are nil are left out.
func NewGauges(feeds func(context.Context) (clair.Feeds, error), status StatusSource) prometheus.Collector {
	return newGauges(feeds, status, time.Now)
}

func newGauges(feeds func(context.Context) (clair.Feeds, error), status StatusSource, now func() time.Time) *gauges {
	g := &gauges{feeds: feeds, status: status, now: now, descs: map[string]*prometheus.Desc{}}
	for key, help := range gaugeHelp {
		name, label, labelled := strings.Cut(key, " ")
		var labels []string
		if labelled {
			labels = []string{label}
		}
		g.descs[name] = prometheus.NewDesc(name, help, labels, nil)
	}
	return g
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.now(); g.last == nil || now.Sub(g.at) >= scrapeEvery {
		g.last, g.at = nil, now
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTime) // a scrape brings no context
		defer cancel()
		g.askFeeds(ctx)
		g.askStore(ctx)
		g.askFindings()
		g.askCoverage(ctx)
		g.askReceipts(ctx)
		g.askWindow()
		g.askMemory()
	}
	for _, m := range g.last {
		ch <- m
	}
}

func (g *gauges) set(name string, v float64, labels ...string) {
	g.last = append(g.last, prometheus.MustNewConstMetric(g.descs[name], prometheus.GaugeValue, v, labels...))
}

// failed adds an error to the scrape: the rest is still served, and
// promhttp_metric_handler_errors_total is incremented.
func (g *gauges) failed(name string, err error) {
	g.last = append(g.last, prometheus.NewInvalidMetric(g.descs[name], err))
}

func (g *gauges) askFeeds(ctx context.Context) {
	if g.feeds == nil {
		return
	}
	all, err := g.feeds(ctx)
	if err != nil {
		g.failed("oriel_feed_failed", err)
		return
	}
	for _, f := range all {
		if c := f.Condition(g.at); c == clair.FeedOff || c == clair.FeedIdle {
			continue // it is not in use
		}
		g.set("oriel_feed_stale", oneIf(f.StaleAfter > 0 && !f.LastSuccess.IsZero() && g.at.Sub(f.LastSuccess) > f.StaleAfter), f.Updater)
		g.set("oriel_feed_last_attempt_timestamp_seconds", unixSeconds(f.LastAttempt), f.Updater)
		g.set("oriel_feed_last_success_timestamp_seconds", unixSeconds(f.LastSuccess), f.Updater)
		g.set("oriel_feed_next_run_timestamp_seconds", unixSeconds(f.NextRun), f.Updater)
		g.set("oriel_feed_held_back", oneIf(f.Held.Records > 0), f.Updater)
		g.set("oriel_feed_failed", oneIf(f.Error != ""), f.Updater)
		g.set("oriel_feed_running", oneIf(f.Running), f.Updater)
		g.set("oriel_feed_records", float64(f.Records), f.Updater)
		g.set("oriel_feed_skipped_records", float64(f.Skipped), f.Updater)
		g.set("oriel_feed_run_duration_seconds", f.Took.Seconds(), f.Updater)
	}
}

func (g *gauges) askStore(ctx context.Context) {
	if g.status.Database == nil {
		return
	}
	s, err := g.status.Database(ctx)
	if err != nil {
		g.failed("oriel_database_size_bytes", err)
		return
	}
	for kind, n := range s.Operations {
		g.set("oriel_update_operations", float64(n), string(kind))
	}
	g.set("oriel_manifests", float64(s.Manifests))
	g.set("oriel_database_size_bytes", float64(s.Size))
	g.set("oriel_database_free_bytes", float64(s.Free))
	g.set("oriel_database_wal_size_bytes", float64(s.WAL))
}

func (g *gauges) askFindings() {
	if g.status.Findings == nil {
		return
	}
	last := g.status.Findings()
	if last == nil {
		return // zeros would claim that there are no findings
	}
	for severity, n := range last.BySeverity {
		g.set("oriel_findings", float64(n), severity)
	}
	g.set("oriel_findings_manifests", float64(last.Manifests))
	g.set("oriel_findings_counted_timestamp_seconds", unixSeconds(last.CountedAt))
}

func (g *gauges) askReceipts(ctx context.Context) {
	if g.status.Notifications == nil {
		return
	}
	byState, err := g.status.Notifications(ctx)
	if err != nil {
		g.failed("oriel_receipts", err)
		return
	}
	for state, n := range byState {
		g.set("oriel_receipts", float64(n), state)
	}
}

func (g *gauges) askWindow() {
	if g.status.Sessions == nil {
		return
	}
	w := g.status.Sessions()
	g.set("oriel_window_sessions", float64(w.Active), "active")
	g.set("oriel_window_sessions", float64(w.Queued), "queued")
	g.set("oriel_window_memory_bytes", float64(w.MemoryUsed))
	g.set("oriel_window_memory_limit_bytes", float64(w.MemoryLimit))
}

// maxPlaces is the number of places with a metric each. Clients can make up any
// number of distributions.
const maxPlaces = 50

// askCoverage sets the metric of each place that is not covered, of the largest
// ones and of the others together, so that the metric exists if all is covered.
func (g *gauges) askCoverage(ctx context.Context) {
	if g.status.NotCovered == nil {
		return
	}
	places, err := g.status.NotCovered(ctx)
	if err != nil {
		g.failed("oriel_packages_not_covered", err)
		return
	}
	if places == nil {
		return // not counted yet
	}
	packages := map[string]int{}
	for _, p := range places {
		packages[p.Name] += p.Packages // a place may have two reasons
	}
	names := slices.SortedFunc(maps.Keys(packages), func(a, b string) int {
		return cmp.Or(cmp.Compare(packages[b], packages[a]), cmp.Compare(a, b))
	})
	others := 0
	for i, name := range names {
		if i < maxPlaces {
			g.set("oriel_packages_not_covered", float64(packages[name]), name)
		} else {
			others += packages[name]
		}
	}
	g.set("oriel_packages_not_covered", float64(others), "other")
}

func (g *gauges) askMemory() {
	if g.status.Memory == nil {
		return
	}
	m := g.status.Memory()
	g.set("oriel_memory_limit_bytes", float64(m.Limit))
	g.set("oriel_memory_go_limit_bytes", float64(m.GoLimit))
	g.set("oriel_memory_sqlite_cache_limit_bytes", float64(m.SQLiteLimit))
	g.set("oriel_memory_go_bytes", float64(m.Go))
	if m.Resident > 0 {
		g.set("oriel_memory_resident_bytes", float64(m.Resident))
	}
}

// unixSeconds returns a time in seconds since 1970; 0 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
