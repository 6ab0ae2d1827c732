package bench

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/enrich"
	"oriel/internal/corpus"
	"oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/match"
	"oriel/store"
)

// enrichmentOf returns the enrichment with a name.
func enrichmentOf(b *testing.B, name string) enrich.Enrichment {
	b.Helper()
	i := slices.IndexFunc(enrich.All(), func(e enrich.Enrichment) bool { return e.Name == name })
	require.GreaterOrEqual(b, i, 0)
	return enrich.All()[i]
}

// importEnrichment reads a file as a feed of the given enrichment.
func importEnrichment(b *testing.B, db *store.DB, name, path string, last clair.Fingerprint) (clair.UpdateResult, error) {
	b.Helper()
	u := enrichmentOf(b, name).NewFeed(feed.Feed{Name: name, URL: path}, fetch.New(fetch.Config{})).(clair.EnrichmentUpdater)
	r, fp, err := u.FetchEnrichment(b.Context(), last)
	if err != nil {
		return clair.UpdateResult{}, err
	}
	defer r.Close()
	return db.UpdateEnrichments(b.Context(), name, fp, usable(u.ParseEnrichment(b.Context(), r)))
}

// usable omits the records that could not be used, as the manager does.
func usable(records iter.Seq2[clair.EnrichmentRecord, error]) iter.Seq2[clair.EnrichmentRecord, error] {
	return func(yield func(clair.EnrichmentRecord, error) bool) {
		for r, err := range records {
			if _, skip := errors.AsType[*clair.RecordError](err); skip {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// nextDay writes a file of scores of which most differ.
func nextDay(b *testing.B, from, to string) {
	b.Helper()
	in, err := os.Open(from)
	require.NoError(b, err)
	defer in.Close()
	z, err := gzip.NewReader(in)
	require.NoError(b, err)
	out, err := os.Create(to)
	require.NoError(b, err)
	w := gzip.NewWriter(out)
	r := rand.New(rand.NewPCG(seed, 1))
	for lines := bufio.NewScanner(z); lines.Scan(); {
		line := lines.Text()
		if f := strings.Split(line, ","); strings.HasPrefix(line, "CVE-") && r.Float64() < .9 {
			line = fmt.Sprintf("%s,%.5f,%s", f[0], r.Float64(), f[2])
		}
		_, err := io.WriteString(w, strings.Replace(line, "score_date:2026-08-16", "score_date:2026-08-17", 1)+"\n")
		require.NoError(b, err)
	}
	require.NoError(b, w.Close())
	require.NoError(b, out.Close())
}

// BenchmarkEPSS imports the real scores, then those of the next day, then the
// same again.
func BenchmarkEPSS(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(corpus.Dir(b), "corpus/feeds/epss/*.csv.gz"))
	require.NoError(b, err)
	require.NotEmpty(b, files)
	next := filepath.Join(b.TempDir(), "next.csv.gz")
	nextDay(b, files[0], next)
	for range b.N {
		path := filepath.Join(b.TempDir(), "oriel.db")
		db := open(b, path)
		peakRSS(b)
		start := time.Now()
		first, err := importEnrichment(b, db, "epss", files[0], "")
		require.NoError(b, err)
		b.ReportMetric(float64(first.Added), "records")
		b.ReportMetric(time.Since(start).Seconds(), "first-s")
		b.ReportMetric(peakRSS(b), "first-peak-MB")
		size := fileSize(b, path)
		start = time.Now()
		second, err := importEnrichment(b, db, "epss", next, first.Fingerprint)
		require.NoError(b, err)
		b.ReportMetric(float64(second.Added), "changed")
		b.ReportMetric(time.Since(start).Seconds(), "next-day-s")
		b.ReportMetric(peakRSS(b), "next-day-peak-MB")
		b.ReportMetric(fileSize(b, path)/size, "two-days-times")
		_, err = importEnrichment(b, db, "epss", next, second.Fingerprint)
		require.ErrorIs(b, err, clair.ErrUnchanged)
		require.NoError(b, db.Close())
	}
}

// getter reads one updater's records.
type getter struct {
	db      *store.DB
	updater string
}

func (g getter) GetEnrichment(ctx context.Context, tags []string) ([]clair.EnrichmentRecord, error) {
	return g.db.GetEnrichment(ctx, g.updater, tags)
}

// BenchmarkEnrich makes the report of BenchmarkReport without and with three
// enrichers that have a record for each of its vulnerabilities.
func BenchmarkEnrich(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the daemon does
	ctx := b.Context()
	f := rowSource{rows: 100_000, packages: 20000, cves: true}
	path := filepath.Join(b.TempDir(), "oriel.db")
	db := open(b, path)
	defer db.Close()
	_, err := db.UpdateVulnerabilities(ctx, "bench", "1", f.all())
	require.NoError(b, err)
	var enrichers []match.Enriching
	for _, e := range enrich.All() {
		_, err := db.UpdateEnrichments(ctx, e.Name, "1", func(yield func(clair.EnrichmentRecord, error) bool) {
			for v := range f.all() {
				data := fmt.Sprintf(`{"cve":%q,"epss":0.5,"percentile":0.9,"baseScore":7.5,"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}`, v.Name)
				if !yield(clair.EnrichmentRecord{Tags: []string{v.Name}, Enrichment: []byte(data)}, nil) {
					return
				}
			}
		})
		require.NoError(b, err)
		enrichers = append(enrichers, match.Enriching{Enricher: e.Enricher, Records: getter{db, e.Name}})
	}
	index := inventory(f)
	plain, enriched := match.NewMatcher(db), match.NewMatcher(db, enrichers...)
	for range b.N {
		times(b, "plain", func() { reportWith(b, plain, index) })
		times(b, "enriched", func() {
			res := reportWith(b, enriched, index)
			require.Empty(b, res.Failures)
			require.Len(b, res.Report.Enrichments, 3)
		})
	}
}

func reportWith(b *testing.B, m *match.Matcher, index *clair.IndexReport) *match.Result {
	b.Helper()
	res, err := m.Report(b.Context(), index)
	require.NoError(b, err)
	require.Len(b, res.Report.Vulnerabilities, reportFindings)
	return res
}
