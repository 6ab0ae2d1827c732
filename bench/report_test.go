package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
	"oriel/server"
	"oriel/store"
)

const (
	reportPackages   = 400
	reportVulnerable = 96
	reportFindings   = 758
)

// inventory returns an index report of 400 packages of Debian 10, of which 96
// have 758 vulnerabilities in the feed.
func inventory(f rowSource) *clair.IndexReport {
	const hash = clair.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	r := &clair.IndexReport{
		Hash: hash, State: clair.StateIndexFinished, Success: true, Repositories: map[string]*clair.Repository{},
		Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{"1": {ID: "1", DID: "debian", Name: "Debian GNU/Linux", VersionID: "10", Version: "10", PrettyName: "Debian GNU/Linux 10"}},
	}
	add := func(name string) {
		id := fmt.Sprint(len(r.Packages) + 1)
		r.Packages[id] = &clair.Package{
			ID: id, Name: name + "-bin", Version: "0", Kind: clair.Binary, Arch: "amd64",
			Source: &clair.Package{Name: name, Version: "0", Kind: clair.Source},
		}
		r.Environments[id] = []clair.Environment{{PackageDB: "var/lib/dpkg/status", IntroducedIn: hash, DistributionID: "1"}}
	}
	for _, name := range pick(f) {
		add(name)
	}
	for i := len(r.Packages); i < reportPackages; i++ {
		add(fmt.Sprintf("clean-%d", i))
	}
	return r
}

// pick returns the vulnerable packages. At each step it picks the one whose
// number of rows is the average that the remaining ones need, or the next
// smaller one.
func pick(f rowSource) []string {
	counts := map[string]int{}
	for v := range f.all() {
		if v.Dist.VersionID == "10" {
			counts[v.Package.Name]++
		}
	}
	byCount := map[int][]string{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		byCount[counts[name]] = append(byCount[counts[name]], name)
	}
	var out []string
	for left := reportFindings; len(out) < reportVulnerable; {
		n := left / (reportVulnerable - len(out))
		for len(byCount[n]) == 0 {
			n--
		}
		out = append(out, byCount[n][0])
		byCount[n] = byCount[n][1:]
		left -= n
	}
	return out
}

type matcher struct{ db *store.DB }

func (m matcher) Initialized(ctx context.Context) (bool, error) { return m.db.Initialized(ctx) }
func (m matcher) Report(ctx context.Context, r *clair.IndexReport) (*match.Result, error) {
	return match.Report(ctx, m.db, r)
}

// BenchmarkReport makes the report of one manifest, cold and warm, in process
// and over HTTP.
func BenchmarkReport(b *testing.B) {
	for _, rows := range sizes(b) {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			for range b.N {
				reportOnce(b, rowSource{rows: rows, packages: 20000})
			}
		})
	}
}

func reportOnce(b *testing.B, f rowSource) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the daemon does
	ctx := b.Context()
	path := filepath.Join(b.TempDir(), "oriel.db")
	db := open(b, path)
	_, err := db.UpdateVulnerabilities(ctx, "bench", "1", f.all())
	require.NoError(b, err)
	index := inventory(f)
	_, err = db.PutIndexReport(ctx, index)
	require.NoError(b, err)
	require.NoError(b, db.Close())

	db = open(b, path)
	defer db.Close()
	inProcess := func() {
		res, err := match.Report(ctx, db, index)
		require.NoError(b, err)
		require.Len(b, res.Report.Vulnerabilities, reportFindings)
		require.Len(b, res.Report.PackageVulnerabilities, reportVulnerable)
	}
	times(b, "process", inProcess)
	coverer := match.Coverer{Holdings: db, Feeds: func(context.Context) (clair.Feeds, error) {
		return clair.Feeds{{UpdateStatus: clair.UpdateStatus{Updater: "bench", LastSuccess: time.Now()}, Configured: true, Enabled: true}}, nil
	}}
	times(b, "coverage", func() {
		c, err := coverer.Coverage(ctx, index)
		require.NoError(b, err)
		require.Empty(b, c.NotCovered())
	})
	srv := httptest.NewServer(server.New(server.Options{Manifests: db, Updates: db, Matcher: matcher{db}, Log: slog.New(slog.DiscardHandler)}))
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	times(b, "http", func() {
		res, err := client.Get(srv.URL + "/matcher/api/v1/vulnerability_report/" + string(index.Hash))
		require.NoError(b, err)
		defer res.Body.Close()
		require.Equal(b, http.StatusOK, res.StatusCode)
		n, err := io.Copy(io.Discard, res.Body)
		require.NoError(b, err)
		require.Greater(b, n, int64(100_000))
	})
}

// times reports the time of the first of some runs, the median of the others,
// and the processor time of one, on which other processes have less effect.
func times(b *testing.B, name string, f func()) {
	var all []time.Duration
	const runs = 201
	busy := processorTime(b)
	for range runs {
		start := time.Now()
		f()
		all = append(all, time.Since(start))
	}
	b.ReportMetric(float64(all[0].Microseconds())/1000, name+"-first-ms")
	b.ReportMetric(float64((processorTime(b)-busy).Microseconds())/1000/runs, name+"-cpu-ms")
	all = all[1:]
	slices.Sort(all)
	b.ReportMetric(at(all, .5), name+"-p50-ms")
	b.ReportMetric(at(all, .95), name+"-p95-ms")
}

// processorTime returns the processor time that this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
