package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
	"oriel/store"
)

const (
	manifestPackages = 300
	// ownedPackages is the number of packages; a manifest has each with a
	// probability that falls with its rank, as in the feed.
	ownedPackages = 20000
)

// manifest returns the i-th of many index reports, with packages of one Debian
// release in one of four versions each.
func manifest(i int) *clair.IndexReport {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	hash := clair.Digest(fmt.Sprintf("sha256:%064x", i+1))
	out := &clair.IndexReport{
		Hash: hash, State: clair.StateIndexFinished, Success: true, Repositories: map[string]*clair.Repository{},
		Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{"1": {ID: "1", DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", Version: "12", PrettyName: "Debian GNU/Linux 12"}},
	}
	for p := 0; len(out.Packages) < manifestPackages; p++ {
		n := int(ownedPackages * pow4(r.Float64()))
		id := strconv.Itoa(n)
		out.Packages[id] = &clair.Package{ID: id, Name: packageName(n), Version: fmt.Sprintf("%d.0-1", 1+r.IntN(4)), Kind: clair.Source, Arch: "amd64"}
		out.Environments[id] = []clair.Environment{{PackageDB: "db", IntroducedIn: hash, DistributionID: "1"}}
	}
	return out
}

// advisories returns vulnerabilities of packages that the manifests have.
func advisories(n int) []*clair.Vulnerability {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	d := &clair.Distribution{DID: "debian", Name: "Debian GNU/Linux", VersionID: "12"}
	var out []*clair.Vulnerability
	for i := range n {
		out = append(out, &clair.Vulnerability{
			ID: strconv.Itoa(i), Name: fmt.Sprintf("CVE-%d", i), Dist: d, FixedInVersion: fmt.Sprintf("%d.0-1", 2+r.IntN(4)),
			Package: &clair.Package{Name: packageName(int(ownedPackages * r.Float64())), Kind: clair.Source},
		})
	}
	return out
}

// BenchmarkAffected looks up the manifests that one, a hundred and a thousand
// vulnerabilities affect, among 10,000.
func BenchmarkAffected(b *testing.B) {
	ctx := b.Context()
	path := filepath.Join(b.TempDir(), "oriel.db")
	db := open(b, path)
	defer db.Close()
	manifests := manifests(b)
	start := time.Now()
	for i := range manifests {
		_, err := db.PutIndexReport(ctx, manifest(i))
		require.NoError(b, err)
	}
	took := time.Since(start)
	b.Run(strconv.Itoa(manifests), func(b *testing.B) {
		b.ReportMetric(float64(manifests)/took.Seconds(), "puts/s")
		b.ReportMetric(fileSize(b, path)/1e6, "db-MB")
		for _, n := range []int{1, 100, 1000} {
			pairs, times := 0, []time.Duration(nil)
			for i := range 31 {
				list := advisories(n + i)
				begin := time.Now()
				pairs += askAffected(b, ctx, db, list[i:])
				times = append(times, time.Since(begin))
			}
			slices.Sort(times)
			b.ReportMetric(at(times, .5), fmt.Sprintf("vulns-%d-ms", n))
			b.ReportMetric(float64(pairs)/31, fmt.Sprintf("vulns-%d-pairs", n))
		}
		b.ReportMetric(peakRSS(b), "peak-MB")
	})
}

// manifests is the number of manifests.
func manifests(b *testing.B) int {
	s := os.Getenv("ORIEL_BENCH_MANIFESTS")
	if s == "" {
		return 10_000
	}
	n, err := strconv.Atoi(s)
	require.NoError(b, err)
	return n
}

func askAffected(b *testing.B, ctx context.Context, db *store.DB, list []*clair.Vulnerability) (pairs int) {
	stream := func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
	for a, err := range db.AffectedManifests(ctx, stream, match.NewJudge().Certain) {
		require.NoError(b, err)
		pairs += len(a.Manifests)
	}
	return pairs
}
