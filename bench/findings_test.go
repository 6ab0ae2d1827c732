package bench

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/match"
)

// BenchmarkFindings counts the findings of all manifests by severity.
func BenchmarkFindings(b *testing.B) {
	ctx := b.Context()
	db := open(b, filepath.Join(b.TempDir(), "oriel.db"))
	defer db.Close()
	rows := slices.Max(sizes(b))
	_, err := db.UpdateVulnerabilities(ctx, "synthetic", "fp", rowSource{rows: rows, packages: ownedPackages}.all())
	require.NoError(b, err)
	n := manifests(b)
	for i := range n {
		_, err := db.PutIndexReport(ctx, manifest(i))
		require.NoError(b, err)
	}
	packages, findings := int64(0), int64(0)
	for range db.InstalledPackages(ctx) {
		packages++
	}
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			start := time.Now()
			counts, err := match.Count(ctx, db, db.InstalledPackages(ctx))
			require.NoError(b, err)
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "count-ms")
			findings = 0
			for s := range counts {
				findings += counts[s]
			}
		}
		b.ReportMetric(float64(n), "manifests")
		b.ReportMetric(float64(packages), "packages")
		b.ReportMetric(float64(findings), "findings")
		b.ReportMetric(peakRSS(b), "peak-MB")
		require.NotZero(b, findings)
	})
}
