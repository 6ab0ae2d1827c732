package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/server"
)

// gathered returns the metrics of a registry by name, with the samples of
// each.
func gathered(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return families
}

// value returns the sample of a gauge or counter with these label values.
func value(t *testing.T, f *dto.MetricFamily, labels ...string) float64 {
	t.Helper()
	require.NotNil(t, f)
	for _, m := range f.Metric {
		var got []string
		for _, l := range m.Label {
			got = append(got, l.GetValue())
		}
		if slices.Equal(got, labels) {
			if m.Gauge != nil {
				return m.Gauge.GetValue()
			}
			return m.Counter.GetValue()
		}
	}
	require.Fail(t, "no such sample", "%s %v", f.GetName(), labels)
	return 0
}

// scrape returns the output of a collector.
func scrape(t *testing.T, g prometheus.Gatherer) (map[string]*dto.MetricFamily, error) {
	t.Helper()
	list, err := g.Gather()
	families := map[string]*dto.MetricFamily{}
	for _, f := range list {
		families[f.GetName()] = f
	}
	return families, err
}

// gaugeSource is a source with a value for everything.
type gaugeSource struct {
	feeds  func(context.Context) (clair.Feeds, error)
	status server.StatusSource
	asked  int // how often the feeds were asked
}

func newGaugeSource() *gaugeSource {
	s := &gaugeSource{}
	s.feeds = func(context.Context) (clair.Feeds, error) {
		s.asked++
		return clair.Feeds{
			{Configured: true, Enabled: true, StaleAfter: time.Hour, UpdateStatus: clair.UpdateStatus{
				Updater: "osv/Go", Kind: clair.KindVulnerability, LastAttempt: time.Unix(200, 0), LastSuccess: time.Unix(100, 0),
				Error: "gone", Records: 7, Skipped: 2, Took: 3 * time.Second, NextRun: time.Unix(300, 0),
			}, Running: true},
			{UpdateStatus: clair.UpdateStatus{Updater: "never"}},
			{UpdateStatus: clair.UpdateStatus{Updater: "off"}, Configured: true},
		}, nil
	}
	s.status = server.StatusSource{
		NotCovered: func(context.Context) ([]clair.Place, error) {
			places := []clair.Place{{Name: "alpine:3.23", Packages: 12}}
			for i := range 64 {
				places = append(places, clair.Place{Name: fmt.Sprint("made-up:", i), Packages: 2})
			}
			return places, nil
		},
		Database: func(context.Context) (api.Database, error) {
			return api.Database{Operations: map[clair.Kind]int64{clair.KindVulnerability: 4}, Manifests: 5, Size: 6, WAL: 7, Free: 8}, nil
		},
		Findings: func() *api.Findings {
			return &api.Findings{BySeverity: map[string]int64{"Low": 17, "High": 0, "Critical": 18}, Manifests: 19, CountedAt: time.Unix(400, 0)}
		},
		Notifications: func(context.Context) (map[string]int64, error) { return map[string]int64{"delivered": 9}, nil },
		Sessions: func() api.Sessions {
			return api.Sessions{Active: 10, Queued: 11, MemoryUsed: 12, MemoryLimit: 13}
		},
		Memory: func() api.Memory {
			return api.Memory{Limit: 14, GoLimit: 15, SQLiteLimit: 16, Go: 17, Resident: 18}
		},
	}
	return s
}

func (s *gaugeSource) gauges() prometheus.Collector { return server.NewGauges(s.feeds, s.status) }

// describedNames are the names of the metrics that a collector describes.
func describedNames(c prometheus.Collector) (out []string) {
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		out = append(out, name.FindStringSubmatch(d.String())[1])
	}
	return out
}

func TestGauges(t *testing.T) { synctest.Test(t, testGauges) }

func testGauges(t *testing.T) {
	source := newGaugeSource()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(source.gauges())
	f, err := scrape(t, registry)
	require.NoError(t, err)
	for _, name := range describedNames(source.gauges()) {
		require.NotEmpty(t, f[name].GetMetric(), "%s is never set", name)
		require.NotEmpty(t, f[name].GetHelp())
	}
	require.EqualValues(t, 200, value(t, f["oriel_feed_last_attempt_timestamp_seconds"], "osv/Go"))
	require.EqualValues(t, 100, value(t, f["oriel_feed_last_success_timestamp_seconds"], "osv/Go"))
	require.EqualValues(t, 0, value(t, f["oriel_feed_last_success_timestamp_seconds"], "never"), "an alert can tell")
	require.EqualValues(t, 300, value(t, f["oriel_feed_next_run_timestamp_seconds"], "osv/Go"))
	require.EqualValues(t, 1, value(t, f["oriel_feed_stale"], "osv/Go"))
	require.EqualValues(t, 0, value(t, f["oriel_feed_stale"], "never"))
	require.Len(t, f["oriel_feed_stale"].GetMetric(), 2, "nobody waits for what is off")
	require.EqualValues(t, 1, value(t, f["oriel_feed_failed"], "osv/Go"))
	require.EqualValues(t, 0, value(t, f["oriel_feed_failed"], "never"))
	require.EqualValues(t, 1, value(t, f["oriel_feed_running"], "osv/Go"))
	require.EqualValues(t, 7, value(t, f["oriel_feed_records"], "osv/Go"))
	require.EqualValues(t, 2, value(t, f["oriel_feed_skipped_records"], "osv/Go"))
	require.EqualValues(t, 3, value(t, f["oriel_feed_run_duration_seconds"], "osv/Go"))
	require.EqualValues(t, 4, value(t, f["oriel_update_operations"], "vulnerability"))
	require.EqualValues(t, 12, value(t, f["oriel_packages_not_covered"], "alpine:3.23"))
	require.Len(t, f["oriel_packages_not_covered"].GetMetric(), 51, "fifty places and the others")
	require.EqualValues(t, 30, value(t, f["oriel_packages_not_covered"], "other"))
	require.EqualValues(t, 17, value(t, f["oriel_findings"], "Low"))
	require.EqualValues(t, 18, value(t, f["oriel_findings"], "Critical"))
	require.EqualValues(t, 0, value(t, f["oriel_findings"], "High"))
	require.EqualValues(t, 19, value(t, f["oriel_findings_manifests"]))
	require.EqualValues(t, 400, value(t, f["oriel_findings_counted_timestamp_seconds"]))
	require.EqualValues(t, 9, value(t, f["oriel_receipts"], "delivered"))
	require.EqualValues(t, 10, value(t, f["oriel_window_sessions"], "active"))
	require.EqualValues(t, 11, value(t, f["oriel_window_sessions"], "queued"))
	for name, want := range map[string]float64{
		"oriel_manifests": 5, "oriel_database_size_bytes": 6, "oriel_database_wal_size_bytes": 7, "oriel_database_free_bytes": 8,
		"oriel_window_memory_bytes": 12, "oriel_window_memory_limit_bytes": 13, "oriel_memory_limit_bytes": 14,
		"oriel_memory_go_limit_bytes": 15, "oriel_memory_sqlite_cache_limit_bytes": 16,
		"oriel_memory_go_bytes": 17, "oriel_memory_resident_bytes": 18,
	} {
		require.EqualValues(t, want, value(t, f[name]), name)
	}

	for range 3 {
		_, err = scrape(t, registry)
		require.NoError(t, err)
	}
	require.Equal(t, 1, source.asked, "answers are kept for a while")
	time.Sleep(time.Minute) // the bubble's clock
	_, err = scrape(t, registry)
	require.NoError(t, err)
	require.Equal(t, 2, source.asked)
}

// A metric that was not counted yet is missing, not zero.
func TestGauges_NotCounted(t *testing.T) {
	s := newGaugeSource()
	s.status.Findings = func() *api.Findings { return nil }
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.gauges())
	f, err := scrape(t, registry)
	require.NoError(t, err)
	require.Empty(t, f["oriel_findings"].GetMetric())
	require.EqualValues(t, 5, value(t, f["oriel_manifests"]))
}

// A failing source is reported and leaves the others as they are.
func TestGauges_Failing(t *testing.T) {
	s := newGaugeSource()
	s.feeds = func(context.Context) (clair.Feeds, error) { return nil, errors.New("no feeds") }
	s.status.Notifications = func(context.Context) (map[string]int64, error) { return nil, errors.New("no receipts") }
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.gauges())
	f, err := scrape(t, registry)
	require.ErrorContains(t, err, "no feeds")
	require.ErrorContains(t, err, "no receipts")
	require.EqualValues(t, 5, value(t, f["oriel_manifests"]))
	require.Empty(t, f["oriel_feed_failed"].GetMetric())
}

// served returns the output of /metrics after something of each kind has
// happened.
func served(t *testing.T) string {
	t.Helper()
	var text string
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	// The enricher has no time, so it fails.
	config := "[matcher]\nenrichers = ['kev']\n[matcher.kev]\ntimeout = '1ns'\n" + demoFeed(t, "demo", "osv", "osv") +
		demoFeed(t, "demo/kev", "kev", "enrich/known_exploited_vulnerabilities.json") +
		"[[feed]]\nname = 'dead'\nformat = 'osv'\nurl = '" + upstream.URL + "/all.zip'\n"
	serving(t, config, func(ctx context.Context, a *App) {
		_, err := a.updates.Update(ctx)
		require.Error(t, err, "one feed is dead")
		report, err := sampleReport(assets(t))
		require.NoError(t, err)
		_, err = a.db.PutIndexReport(ctx, report)
		require.NoError(t, err)
		for _, path := range []string{"/indexer/api/v1/index_state", "/matcher/api/v1/vulnerability_report/" + string(report.Hash), "/openapi/v1", "/nowhere"} {
			res, err := http.Get(a.URL() + path)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, res.Body) // to its end, which comes once it is counted
			require.NoError(t, err)
			res.Body.Close()
		}
		res, err := http.Get(a.URL() + "/metrics")
		require.NoError(t, err)
		defer res.Body.Close()
		require.Equal(t, http.StatusOK, res.StatusCode)
		b, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		text = string(b)
	})
	return text
}

// OPS-02: promtool has nothing to say about the metrics, and Clair's exist
// under their names.
func TestMetrics(t *testing.T) {
	text := served(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	f := gathered(t, text)
	for _, m := range f["clair_http_indexerv1_request_total"].GetMetric() {
		var labels []string
		for _, l := range m.Label {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		require.Equal(t, []string{"code=200", "handler=/indexer/api/v1/index_state", "method=get"}, labels)
	}
	require.EqualValues(t, 1, value(t, f["clair_http_matcherv1_request_total"], "200", "/matcher/api/v1/vulnerability_report/:digest", "get"))
	require.EqualValues(t, 1, value(t, f["clair_http_discovery_request_total"], "200", "/openapi/v1", "get"))
	require.EqualValues(t, 1, value(t, f["oriel_http_other_request_total"], "404", "none", "get"))
	for _, name := range []string{
		"clair_http_matcherv1_request_size_bytes", "clair_http_matcherv1_response_size_bytes",
		"clair_http_matcherv1_request_duration_seconds", "clair_http_matcherv1_in_flight_requests", "go_goroutines", "process_cpu_seconds_total",
	} {
		require.NotEmpty(t, f[name].GetMetric(), name)
	}
	require.EqualValues(t, 1, value(t, f["oriel_feed_failed"], "dead")) // UPD-08
	require.EqualValues(t, 0, value(t, f["oriel_feed_last_success_timestamp_seconds"], "dead"))
	require.EqualValues(t, 0, value(t, f["oriel_feed_failed"], "demo"))
	require.Greater(t, value(t, f["oriel_feed_last_success_timestamp_seconds"], "demo"), 1e9)
	require.EqualValues(t, 1, value(t, f["oriel_enricher_failures_total"], "clair.kev"))
	require.Greater(t, value(t, f["oriel_database_size_bytes"])+value(t, f["oriel_database_wal_size_bytes"]), 1e4)
}

// Every metric in the dashboard and the alerts exists, and every expression
// can be parsed.
func TestMetrics_Docs(t *testing.T) {
	f := gathered(t, served(t))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newGaugeSource().gauges())
	gauges, err := scrape(t, registry)
	require.NoError(t, err)
	spoken := map[string]bool{}
	for _, expr := range append(alertExpressions(t), dashboardExpressions(t)...) {
		parsed, err := metricsql.Parse(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
		require.NoError(t, err, expr)
		metricsql.VisitAll(parsed, func(e metricsql.Expr) {
			m, ok := e.(*metricsql.MetricExpr)
			if !ok {
				return
			}
			for _, filters := range m.LabelFilterss {
				for _, l := range filters {
					if l.Label != "__name__" {
						continue
					}
					name := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(l.Value, "")
					require.True(t, f[name] != nil || gauges[name] != nil, "%s is not a metric: %s", l.Value, expr)
					spoken[name] = true
				}
			}
		})
	}
	text, err := os.ReadFile("../../docs/metrics/README.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile("`(oriel_[a-z_]+[a-z])`").FindAllStringSubmatch(string(text), -1) {
		require.True(t, f[m[1]] != nil || gauges[m[1]] != nil, "%s is not a metric", m[1])
	}
	for name := range gauges {
		require.True(t, spoken[name], "%s is in no dashboard and no alert", name)
	}
}

func alertExpressions(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics/alerts.yaml")
	require.NoError(t, err)
	var doc struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &doc))
	for _, g := range doc.Groups {
		for _, r := range g.Rules {
			require.NotEmpty(t, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			_, err := model.ParseDuration(r.For)
			require.NoError(t, err, r.Alert)
			out = append(out, r.Expr)
		}
	}
	require.NotEmpty(t, out)
	return out
}

func dashboardExpressions(t *testing.T) (out []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics/grafana-dashboard.json")
	require.NoError(t, err)
	var doc struct {
		Panels []struct {
			ID      int
			Type    string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &doc))
	ids := map[int]bool{}
	for _, p := range doc.Panels {
		require.False(t, ids[p.ID], "two panels are %d", p.ID)
		ids[p.ID] = true
		require.Equal(t, p.Type == "row", len(p.Targets) == 0)
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	require.NotEmpty(t, out)
	return out
}
