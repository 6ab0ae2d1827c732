package server

import (
	"container/list"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"oriel/clair"
)

// maxReported bounds how many manifests findings are remembered of, about two
// megabytes. The one whose report was made the longest ago is forgotten first.
const maxReported = 10_000

// findings remembers what the last report of each manifest found, by severity.
// To match every manifest for each scrape would cost more than all the rest;
// this costs nothing, and says of how many manifests it speaks.
type findings struct {
	bySeverity, manifests *prometheus.Desc

	// mu guards what follows.
	mu    sync.Mutex
	known map[clair.Digest]*list.Element // each holds a *reported
	order *list.List                     // the newest report is in front
	sum   [clair.Critical + 1]int64
}

// reported is what one report found.
type reported struct {
	hash  clair.Digest
	count [clair.Critical + 1]int32
}

func newFindings() *findings {
	return &findings{
		bySeverity: prometheus.NewDesc("oriel_findings",
			"Findings in the last report of each manifest that a report was made of since the start.", []string{"severity"}, nil),
		manifests: prometheus.NewDesc("oriel_findings_manifests",
			"Manifests that oriel_findings speaks of.", nil, nil),
		known: map[clair.Digest]*list.Element{}, order: list.New(),
	}
}

// report remembers what a report found.
func (f *findings) report(r *clair.VulnerabilityReport) {
	found := &reported{hash: clair.Digest(strings.Clone(string(r.Hash)))} // not the whole path it may be a part of
	for _, ids := range r.PackageVulnerabilities {
		for _, id := range ids {
			found.count[min(r.Vulnerabilities[id].NormalizedSeverity, clair.Critical)]++
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(r.Hash)
	if f.order.Len() >= maxReported {
		f.drop(f.order.Back().Value.(*reported).hash)
	}
	f.known[found.hash] = f.order.PushFront(found)
	for s, n := range found.count {
		f.sum[s] += int64(n)
	}
}

// forget drops manifests that are no more.
func (f *findings) forget(hashes ...clair.Digest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hashes {
		f.drop(h)
	}
}

// drop is forget for those who hold mu.
func (f *findings) drop(hash clair.Digest) {
	e, ok := f.known[hash]
	if !ok {
		return
	}
	for s, n := range f.order.Remove(e).(*reported).count {
		f.sum[s] -= int64(n)
	}
	delete(f.known, hash)
}

// Describe is prometheus.Collector's.
func (f *findings) Describe(ch chan<- *prometheus.Desc) {
	ch <- f.bySeverity
	ch <- f.manifests
}

// Collect is prometheus.Collector's.
func (f *findings) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	sum, manifests := f.sum, f.order.Len()
	f.mu.Unlock()
	for s, n := range sum {
		ch <- prometheus.MustNewConstMetric(f.bySeverity, prometheus.GaugeValue, float64(n), clair.Severity(s).String())
	}
	ch <- prometheus.MustNewConstMetric(f.manifests, prometheus.GaugeValue, float64(manifests))
}
