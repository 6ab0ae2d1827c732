package updater

import (
	"bytes"
	"encoding/json"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/internal/corpus"
	"oriel/internal/distro"
	"oriel/internal/feed/feedtest"
	"oriel/updater/alpine"
	"oriel/updater/debian"
	"oriel/updater/oval"
	"oriel/updater/redhat"
)

func TestCorpus_Alpine(t *testing.T) {
	total, lost := 0, 0
	for _, name := range feedtest.CorpusFiles(t, "alpine/*/*.json.gz") {
		raw := feedtest.Slurp(t, name)
		// Naively: every id of a CVE, once for each entry, and every entry
		// that has none.
		var doc struct {
			Packages []struct {
				Pkg struct {
					Name     string              `json:"name"`
					Secfixes map[string][]string `json:"secfixes"`
				} `json:"pkg"`
			}
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
		n, skipped, _, err := feedtest.Count(t, alpine.Parse(bytes.NewReader(raw), distro.Release{}))
		require.NoError(t, err)
		require.Equal(t, want, n, name)
		total, lost = total+n, lost+skipped
	}
	t.Logf("%d rows, %d records skipped", total, lost)
	require.LessOrEqual(t, lost, 2, "heimdal 7.4.0-r0 of v3.6 fixes nothing, in both feeds")
}

func TestCorpus_Debian(t *testing.T) {
	for _, name := range feedtest.CorpusFiles(t, "debian/tracker.json.gz") {
		raw := feedtest.Slurp(t, name)
		want := strings.Count(string(raw), `"status":`) - strings.Count(string(raw), `"fixed_version":"0"`)
		n, skipped, heap, err := feedtest.Count(t, debian.Parse(bytes.NewReader(raw)))
		require.NoError(t, err)
		t.Logf("%s: %d rows, %d skipped, %d KiB held", name, n, skipped, heap>>10)
		require.Equal(t, want, n)
		require.Zero(t, skipped)
		require.Less(t, heap, uint64(feedtest.MaxHeap))
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
		name := feedtest.CorpusFiles(t, "oval/"+c.file)[0]
		release, _ := distro.ReleaseByName(c.release)
		n, skipped, heap, err := feedtest.Count(t, oval.Parse(feedtest.Unzipped(name), release))
		require.NoError(t, err)
		t.Logf("%s: %d rows, %d skipped, %d KiB held", c.file, n, skipped, heap>>10)
		require.Equal(t, c.rows(string(feedtest.Slurp(t, name))), n)
		require.Equal(t, c.skip, skipped)
		require.Less(t, heap, uint64(feedtest.MaxHeap))
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
	found, skipped, err := feedtest.Collect(oval.Parse(feedtest.Unzipped(feedtest.CorpusFiles(t, "oval/suse*.xml.gz")[0]), distro.Release{}))
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
	doc := feedtest.Slurp(t, filepath.Join(corpus.Dir(t), "corpus", "expected", "public", "vex-acceptance", "cve-2025-40907-perl.json.gz"))
	found, skipped, err := feedtest.Collect(redhat.ParseArchive(bytes.NewReader(feedtest.ArchiveOf(t, "2025/cve-2025-40907.json", string(doc)))))
	require.NoError(t, err)
	require.Empty(t, skipped)
	i := slices.IndexFunc(found, func(s string) bool {
		return strings.Contains(s, "binary:perl-FCGI <1:0.78-12.module+el8.10.0+23147+95b68fad ") && strings.Contains(s, "module perl-FCGI:0.78 ")
	})
	require.NotEqual(t, -1, i, "%q", found)
	require.True(t, strings.HasPrefix(found[i], "rhel:8["), found[i])
	require.Contains(t, found[i], "aarch64")
}
