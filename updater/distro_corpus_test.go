package updater

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/distro"
)

// corpusFiles are the feeds of the corpus that a pattern finds under feeds/
// and feeds-next/.
func corpusFiles(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(corpus.Dir(t), "corpus", "feeds*", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

// unzipped starts passes over a gzipped file.
func unzipped(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{z, f}, nil
	}
}

func slurp(t testing.TB, name string) []byte {
	t.Helper()
	r, err := unzipped(name)()
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

// count reads rows to their end, and the live heap at every thousandth of them.
func count(t testing.TB, in rows) (n, skipped int, heap uint64, err error) {
	t.Helper()
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	for v, e := range in {
		var record *clair.RecordError
		switch {
		case e == nil:
			n++
			require.NotEmpty(t, v.Name)
			require.NotEmpty(t, v.Package.Name)
		case asRecord(e, &record):
			skipped++
			if skipped < 4 {
				t.Log(record)
			}
		default:
			err = e
		}
		if n%1000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if now.HeapAlloc > before.HeapAlloc {
				heap = max(heap, now.HeapAlloc-before.HeapAlloc)
			}
		}
	}
	return n, skipped, heap, err
}

// maxHeap is what a parser may hold of any feed of the corpus.
const maxHeap = 24 << 20

func TestCorpus_Alpine(t *testing.T) {
	total, lost := 0, 0
	for _, name := range corpusFiles(t, "alpine/*/*.json.gz") {
		raw := slurp(t, name)
		// Naively: every id of a CVE, once for each entry, and every entry
		// that has none.
		var doc struct {
			Packages []alpinePackage
		}
		require.NoError(t, json.Unmarshal(raw, &doc))
		want := 0
		for _, p := range doc.Packages {
			for version, entries := range p.Pkg.Secfixes {
				for _, e := range entries {
					n := len(regexp.MustCompile(`CVE[- ][0-9]`).FindAllString(e, -1))
					if version != "0" {
						want += max(n, 1)
					}
				}
			}
		}
		n, skipped, _, err := count(t, parseAlpine(bytes.NewReader(raw), distro.Release{}))
		require.NoError(t, err)
		require.Equal(t, want, n, name)
		total, lost = total+n, lost+skipped
	}
	t.Logf("%d rows, %d records skipped", total, lost)
	require.LessOrEqual(t, lost, 2, "heimdal 7.4.0-r0 of v3.6 fixes nothing, in both feeds")
}

func TestCorpus_Debian(t *testing.T) {
	for _, name := range corpusFiles(t, "debian/tracker.json.gz") {
		raw := slurp(t, name)
		want := strings.Count(string(raw), `"status":`) - strings.Count(string(raw), `"fixed_version":"0"`)
		n, skipped, heap, err := count(t, parseDebian(bytes.NewReader(raw)))
		require.NoError(t, err)
		t.Logf("%s: %d rows, %d skipped, %d KiB held", name, n, skipped, heap>>10)
		require.Equal(t, want, n)
		require.Zero(t, skipped)
		require.Less(t, heap, uint64(maxHeap))
	}
}

func TestCorpus_OVAL(t *testing.T) {
	for _, c := range []struct {
		file, release string
		// rows is what the file has by an independent count of its tests.
		rows func(string) int
		skip int
	}{
		{"azurelinux-3.0-oval.xml.gz", "azurelinux:3", naiveMicrosoft, 0},
		{"cbl-mariner-1.0-oval.xml.gz", "mariner:1", naiveMicrosoft, 0},
		{"com.vmware.phsa-photon3.xml.gz", "", naivePhoton, 0},
	} {
		name := corpusFiles(t, "oval/"+c.file)[0]
		release, _ := distro.ReleaseByName(c.release)
		n, skipped, heap, err := count(t, parseOVAL(unzipped(name), release))
		require.NoError(t, err)
		t.Logf("%s: %d rows, %d skipped, %d KiB held", c.file, n, skipped, heap>>10)
		require.Equal(t, c.rows(string(slurp(t, name))), n)
		require.Equal(t, c.skip, skipped)
		require.Less(t, heap, uint64(maxHeap))
	}
}

// naiveMicrosoft counts one row a definition, for each has one criterion.
func naiveMicrosoft(doc string) int {
	return strings.Count(doc, "<criterion ")
}

// naivePhoton counts "is earlier than" times the CVEs of each definition.
func naivePhoton(doc string) int {
	n := 0
	for _, d := range strings.Split(doc, "<definition ")[1:] {
		d, _, _ = strings.Cut(d, "</definition>")
		cves := map[string]bool{}
		for _, m := range regexp.MustCompile(`<cve>([^<]*)</cve>`).FindAllStringSubmatch(d, -1) {
			cves[m[1]] = true
		}
		tests := map[string]bool{}
		for _, m := range regexp.MustCompile(`comment="([^"]*) is earlier than ([^"]*)"`).FindAllStringSubmatch(d, -1) {
			tests[m[1]+m[2]] = true
		}
		n += max(len(cves), 1) * len(tests)
	}
	return n
}

// TestCorpus_SUSE has SUSE's own forms, of which two definitions say only what
// is not affected.
func TestCorpus_SUSE(t *testing.T) {
	found, skipped, err := collect(parseOVAL(unzipped(corpusFiles(t, "oval/suse*.xml.gz")[0]), distro.Release{}))
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Len(t, found, 10)
	require.Equal(t, "sles:15 CVE-2010-1323 binary:krb5 <0:1.15.2-4.25 Medium", found[0])
	require.Equal(t, "sles:15.1 CVE-2021-29154 binary:kernel-default <0:4.12.14-197.89.2 pattern match(aarch64|ppc64le|s390x|x86_64) High", found[9])
}

// BenchmarkCorpus reads feeds of the corpus, in rows a second.
func BenchmarkCorpus(b *testing.B) {
	for _, c := range []struct{ format, file, release string }{
		{"alpine", "feeds-next/alpine/v3.11/main.json.gz", ""}, {"debian", "feeds-next/debian/tracker.json.gz", ""},
		{"oval", "feeds/oval/azurelinux-3.0-oval.xml.gz", "azurelinux:3"}, {"oval", "feeds/oval/com.vmware.phsa-photon3.xml.gz", ""},
		{"redhat-vex", "feeds/redhat-vex/csaf_vex_2026-03-25.tar.zst", ""}, {"osv", "feeds/ubuntu/osv-all.tar.bz2", ""},
		{"osv", "feeds-next/osv/AlmaLinux-9/all.zip", ""},
	} {
		b.Run(c.format+"/"+path.Base(c.file), func(b *testing.B) {
			table := map[string]any{"name": "bench", "format": c.format, "url": filepath.Join(corpus.Dir(b), "corpus", c.file)}
			if c.release != "" {
				table["release"] = c.release
			}
			u := newUpdater(b, table)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				r, _, err := u.Fetch(b.Context(), "")
				require.NoError(b, err)
				for _, err := range u.Parse(b.Context(), r) {
					require.NoError(b, err)
					n++
				}
				require.NoError(b, r.Close())
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// TestCorpus_VEXAcceptance has a document and a component that a scanner must
// report by it.
func TestCorpus_VEXAcceptance(t *testing.T) {
	doc := slurp(t, filepath.Join(corpus.Dir(t), "corpus", "expected", "public", "vex-acceptance", "cve-2025-40907-perl.json.gz"))
	found, skipped, err := collect(parseVEX(bytes.NewReader(archiveOf(t, "2025/cve-2025-40907.json", string(doc)))))
	require.NoError(t, err)
	require.Empty(t, skipped)
	i := slices.IndexFunc(found, func(s string) bool {
		return strings.Contains(s, "binary:perl-FCGI <1:0.78-12.module+el8.10.0+23147+95b68fad ") && strings.Contains(s, "module perl-FCGI:0.78 ")
	})
	require.NotEqual(t, -1, i, "%q", found)
	require.True(t, strings.HasPrefix(found[i], "rhel:8["), found[i])
	require.Contains(t, found[i], "aarch64")
}
