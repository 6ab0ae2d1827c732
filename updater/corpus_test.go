package updater

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/feed/feedtest"
	"oriel/internal/fetch"
	"oriel/internal/version"
)

// naiveRows counts what a feed's rows must be, another way: it keeps the whole
// feed as maps and makes a set of strings.
func naiveRows(t *testing.T, path string) map[string]bool {
	t.Helper()
	z, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer z.Close()
	out := map[string]bool{}
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		var rec map[string]any
		require.NoError(t, json.Unmarshal(text, &rec))
		if rec["withdrawn"] != nil {
			continue
		}
		for _, a := range list(rec["affected"]) {
			naiveAffected(t, out, rec["id"].(string), a.(map[string]any))
		}
	}
	return out
}

func list(v any) []any { l, _ := v.([]any); return l }

func naiveAffected(t *testing.T, out map[string]bool, id string, a map[string]any) {
	t.Helper()
	pkg := a["package"].(map[string]any)
	e, ok := clair.EcosystemByOSV(pkg["ecosystem"].(string))
	require.True(t, ok)
	row := func(what string) { out[id+" "+e.PackageName(pkg["name"].(string))+" "+what] = true }
	var spans [][2]string
	for _, r := range list(a["ranges"]) {
		if r := r.(map[string]any); r["type"] != "GIT" {
			spans = append(spans, naiveSpans(t, e, r)...)
		}
	}
	for _, s := range spans {
		row(s[0] + " " + s[1])
	}
	for _, v := range list(a["versions"]) {
		inside := false
		for _, s := range spans {
			inside = inside || naiveLess(e, s[0], v.(string), true) && naiveLess(e, v.(string), s[1], strings.HasPrefix(s[1], "<="))
		}
		if !inside {
			row("listed")
		}
	}
}

// naiveSpans says without any order of events where intervals begin and end:
// one begins wherever it is introduced, unless an earlier one still goes on,
// and ends at the nearest event that ends it.
func naiveSpans(t *testing.T, e clair.Ecosystem, r map[string]any) [][2]string {
	t.Helper()
	var starts []string
	ends := map[string]bool{} // and whether the version is the last affected one
	for _, event := range list(r["events"]) {
		for key, v := range event.(map[string]any) {
			require.Contains(t, []string{"introduced", "fixed", "last_affected"}, key)
			if key == "introduced" {
				starts = append(starts, v.(string))
			} else {
				ends[v.(string)] = key == "last_affected"
			}
		}
	}
	// endOf returns the nearest end after a start.
	endOf := func(start string) (nearest string, found bool) {
		for v, last := range ends {
			if (naiveLess(e, start, v, last)) && (!found || naiveLess(e, v, nearest, false)) {
				nearest, found = v, true
			}
		}
		return nearest, found
	}
	var out [][2]string
	for _, start := range starts {
		goesOn := false
		for _, other := range starts {
			end, ended := endOf(other)
			goesOn = goesOn || other != start && naiveLess(e, other, start, false) && !naiveLess(e, start, other, false) &&
				(!ended || naiveLess(e, start, end, ends[end]))
		}
		if goesOn {
			continue
		}
		end, ended := endOf(start)
		switch {
		case !ended:
		case ends[end]:
			end = "<=" + end
		default:
			end = "<" + end
		}
		out = append(out, [2]string{start, end})
	}
	return out
}

func naiveLess(e clair.Ecosystem, a, b string, orEqual bool) bool {
	b = strings.TrimPrefix(strings.TrimPrefix(b, "<"), "=")
	switch {
	case b == "0":
		return orEqual && a == "0"
	case a == "0" || b == "":
		return true
	}
	x, ok1 := naiveParse(e, a)
	y, ok2 := naiveParse(e, b)
	if !ok1 || !ok2 {
		return false
	}
	c, err := x.Compare(y)
	return err == nil && (c < 0 || c == 0 && orEqual)
}

// naiveParsed remembers every version ever seen, which is the naive way.
var naiveParsed = map[string]version.Version{}

func naiveParse(e clair.Ecosystem, text string) (version.Version, bool) {
	key := e.Repository + " " + text
	v, ok := naiveParsed[key]
	if !ok {
		var err error
		if v, err = version.Parse(version.Scheme(e.Repository), text); err != nil {
			return v, false
		}
		naiveParsed[key] = v
	}
	return v, true
}

// rowKey describes a row as naiveRows does.
func rowKey(t *testing.T, v *clair.Vulnerability) string {
	t.Helper()
	b, err := clair.ParseBounds(v.FixedInVersion)
	if v.FixedInVersion == "" {
		b, err = clair.Bounds{}, nil
	}
	require.NoError(t, err)
	from := b.Introduced
	if from == "" {
		from = "0"
	}
	what := from + " "
	switch {
	case len(b.Versions) > 0:
		what = "listed"
	case b.Fixed != "":
		what += "<" + b.Fixed
	case b.LastAffected != "":
		what += "<=" + b.LastAffected
	}
	return v.Name + " " + v.Package.Name + " " + what
}

// TestCorpus_OSV imports real feeds and then their next versions.
func TestCorpus_OSV(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t), "corpus")
	for _, ecosystem := range []string{"Go", "PyPI"} {
		t.Run(ecosystem, func(t *testing.T) {
			first := filepath.Join(dir, "feeds", "osv", ecosystem, "all.zip")
			next := filepath.Join(dir, "feeds-next", "osv", ecosystem, "all.zip")
			var counts []int
			for _, path := range []string{first, next} {
				want := naiveRows(t, path)
				counts = append(counts, len(want))
				p := feedtest.ParseAll(t, newUpdater(t, map[string]any{"name": "osv/test", "format": "osv", "url": path}))
				require.NoError(t, p.Err)
				got := map[string]bool{}
				for _, v := range p.Rows {
					got[rowKey(t, v)] = true // some records say the same twice
				}
				require.Equal(t, want, got)
				t.Logf("%s: %d rows, %d skipped: %v", path, len(p.Rows), len(p.Skipped), p.Skipped)
			}
			importTwice(t, []string{first, next}, counts)
		})
	}
}

// importTwice imports a feed and its next version, as one updater whose file
// is replaced, and compares counts.
func importTwice(t *testing.T, feeds []string, counts []int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all.zip")
	m, db := newManager(t, nil, newUpdater(t, map[string]any{"name": "osv/test", "format": "osv", "url": path}))
	for i, feed := range feeds {
		text, err := os.ReadFile(feed)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		results, err := m.Update(t.Context())
		require.NoError(t, err)
		require.Len(t, results[0].Operations, 1)
		op := results[0].Operations[0]
		require.Equal(t, int64(counts[i]), op.Added+op.Unchanged)
		require.Equal(t, int64(counts[i]), status(t, m, "osv/test").Records)
		ops, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability, "osv/test")
		require.NoError(t, err)
		require.Len(t, ops["osv/test"], i+1)
		t.Logf("%s: added %d, removed %d, unchanged %d, skipped %d", feed, op.Added, op.Removed, op.Unchanged, results[0].Skipped)
	}
	results, err := m.Update(t.Context())
	require.NoError(t, err)
	require.True(t, results[0].Unchanged())
}

// BenchmarkOSV compares reading a feed with only decoding its JSON. The rows
// are those of the whole way from the file.
func BenchmarkOSV(b *testing.B) {
	dir := filepath.Join(corpus.Dir(b), "corpus", "feeds", "osv")
	for _, ecosystem := range []string{"Go", "PyPI", "crates.io"} {
		path := filepath.Join(dir, ecosystem, "all.zip")
		b.Run(ecosystem+"/decode", func(b *testing.B) {
			n := 0
			for b.Loop() {
				n += decodeOnly(b, path)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
		b.Run(ecosystem+"/parse", func(b *testing.B) {
			b.ReportAllocs()
			rows, records := 0, 0
			u := newUpdater(b, map[string]any{"name": "osv/test", "format": "osv", "url": path})
			for b.Loop() {
				r, _, err := u.Fetch(b.Context(), "")
				require.NoError(b, err)
				name := ""
				for v, err := range u.Parse(b.Context(), r) {
					if err != nil {
						continue
					}
					rows++
					if v.Name != name {
						records++
						name = v.Name
					}
				}
				require.NoError(b, r.Close())
			}
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
		b.Run(ecosystem+"/import", func(b *testing.B) { benchmarkImport(b, path) })
	}
}

// decodeOnly unzips and decodes every record and does nothing with it.
func decodeOnly(b *testing.B, path string) (n int) {
	f, err := os.Open(path)
	require.NoError(b, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(b, err)
	z, err := fetch.OpenZip(f, info.Size())
	require.NoError(b, err)
	var buf []byte
	for e, err := range z.Entries() {
		require.NoError(b, err)
		buf, err = z.Read(e, buf, 16<<20)
		require.NoError(b, err)
		var r map[string]any
		require.NoError(b, json.Unmarshal(buf, &r))
		n++
	}
	return n
}

// benchmarkImport is the whole way from the file to the operation, first into
// an empty store and then, unchanged but for its fingerprint, again.
func benchmarkImport(b *testing.B, path string) {
	// As the program runs: within a limit of memory.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	var first, again, rows float64
	for b.Loop() {
		db := openStore(b)
		u := newUpdater(b, map[string]any{"name": "osv/test", "format": "osv", "url": path})
		for i := range 2 {
			m := manage(b, db, nil, reread{u, strconv.Itoa(i)})
			results, err := m.Update(context.Background())
			require.NoError(b, err)
			op := results[0].Operations[0]
			if i == 0 {
				first += results[0].Took.Seconds()
				rows += float64(op.Added)
			} else {
				again += results[0].Took.Seconds()
				require.Zero(b, op.Added+op.Removed)
			}
		}
		require.NoError(b, db.Close())
	}
	b.ReportMetric(rows/first, "first-rows/s")
	b.ReportMetric(rows/again, "again-rows/s")
	b.ReportMetric(float64(peakRSS(b))/(1<<20), "peak-MiB")
}

// reread is an updater under another revision, so that it reads again.
type reread struct {
	clair.Updater
	revision string
}

func (r reread) Revision() string { return r.revision }

// peakRSS is the greatest resident set of this process so far.
func peakRSS(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc here")
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	b.Fatal("no VmHWM")
	return 0
}
