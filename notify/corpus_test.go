package notify_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/corpus"
	"oriel/internal/distro"
	"oriel/internal/fetch"
	"oriel/internal/severity"
	"oriel/match"
	"oriel/store"
	"oriel/updater"
)

// corpusFeeds have a later version in the corpus: name, format, file.
var corpusFeeds = [][3]string{
	{"osv/Go", "osv", "osv/Go/all.zip"}, {"osv/PyPI", "osv", "osv/PyPI/all.zip"}, {"osv/AlmaLinux-9", "osv", "osv/AlmaLinux-9/all.zip"},
	{"debian", "debian", "debian/tracker.json.gz"},
	{"alpine/main", "alpine", "alpine/v3.10/main.json.gz"}, {"alpine/community", "alpine", "alpine/v3.10/community.json.gz"},
}

// corpusInputs are inventories of the corpus, with the release if they do not
// name it.
var corpusInputs = map[string]string{
	"apk/alpine-3.10.4.installed": "alpine:3.10", "images/alpine-3.10-docker-archive.tar.gz": "",
	"index-reports/docker.io-library-debian-10.index.json.gz": "", "index-reports/indexreport-buster-jackson-databind.json.gz": "",
	"sbom/spdx-go-hummingbird.spdx.json.gz": "", "sbom/trivy-fluentd-multiple-lockfiles-cyclonedx.json": "",
}

// reportFacts returns the findings of the vulnerability reports of all
// manifests, by advisory, package and manifest.
func reportFacts(t *testing.T, db *store.DB, manifests []clair.Digest) map[string]string {
	t.Helper()
	found := map[string][]*clair.Vulnerability{}
	for _, m := range manifests {
		r, err := db.IndexReport(t.Context(), m)
		require.NoError(t, err)
		res, err := match.Report(t.Context(), db, r)
		require.NoError(t, err)
		for _, list := range res.Why {
			for id, why := range list {
				key := fmt.Sprintf("%s %s@%s %s", why.Advisory, why.Package, why.Version, m)
				if v := res.Report.Vulnerabilities[id]; !slices.Contains(found[key], v) {
					found[key] = append(found[key], v)
				}
			}
		}
	}
	out := map[string]string{}
	for key, list := range found {
		var fixes []string
		for _, v := range list {
			fixes = append(fixes, v.Fix())
		}
		slices.Sort(fixes)
		out[key] = fmt.Sprint(severity.MostSevere(list).NormalizedSeverity, slices.Compact(fixes))
	}
	return out
}

// unpacked returns a file of the corpus before its compression.
func unpacked(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(from), ".gz"))
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	var r io.Reader = in
	if strings.HasSuffix(from, ".gz") {
		r, err = gzip.NewReader(in)
		require.NoError(t, err)
	}
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o600))
	return to
}

// On real feeds, their later versions and real inventories, notifications
// contain the differences of the vulnerability reports.
func TestNotify_Corpus(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t), "corpus")
	inBubble(t, func(t *testing.T, w *world) {
		client := fetch.New(fetch.Config{})
		defer client.CloseIdleConnections()
		update := func(from string) {
			var tables []map[string]any
			for _, f := range corpusFeeds {
				tables = append(tables, map[string]any{"name": f[0], "format": f[1], "url": filepath.Join(dir, from, f[2])})
			}
			feeds, err := updater.Formats().ParseFeeds(tables, ".")
			require.NoError(t, err)
			var all []clair.Updater
			for _, f := range feeds {
				u, err := updater.Formats().New(f, client)
				require.NoError(t, err)
				all = append(all, u)
			}
			m, err := updater.NewManager(updater.Default(), updater.Options{Store: w.db, Updaters: all})
			require.NoError(t, err)
			_, err = m.Update(t.Context())
			require.NoError(t, err)
		}
		update("feeds")
		var manifests []clair.Digest
		for name, release := range corpusInputs {
			var o index.InputOptions
			if r, ok := distro.ReleaseByName(release); ok {
				o.Release = &r
			}
			in, err := index.ReadInput(t.Context(), unpacked(t, filepath.Join(dir, "inventories", name)), o)
			require.NoError(t, err, name)
			_, err = w.db.PutIndexReport(t.Context(), in.Report)
			require.NoError(t, err, name)
			manifests = append(manifests, in.Report.Hash)
		}
		before := reportFacts(t, w.db, manifests)
		_, more, err := w.db.NextOperation(t.Context()) // marks the first operations
		require.NoError(t, err)
		require.False(t, more)
		update("feeds-next")
		after := reportFacts(t, w.db, manifests)
		want := []string{}
		for key, fact := range after {
			if was, known := before[key]; !known {
				want = append(want, "added "+key)
			} else if was != fact {
				want = append(want, "changed "+key)
			}
		}
		for key := range before {
			if _, still := after[key]; !still {
				want = append(want, "removed "+key)
			}
		}
		slices.Sort(want)

		w.start(full(), nil)
		w.planned()
		got, reasons := []string{}, map[string]int{}
		for _, s := range w.sets() {
			for _, n := range w.rows(s.ID, "") {
				reasons[s.Updater+" "+string(n.Reason)]++
				got = append(got, fmt.Sprintf("%s %s %s@%s %s", n.Reason, n.Vulnerability.Name, n.Vulnerability.Package.Name, n.Version, n.Manifest))
			}
		}
		slices.Sort(got)
		require.Equal(t, want, got)
		require.NotEmpty(t, got)
		t.Logf("%d findings before, %d after, %d notified: %v", len(before), len(after), len(got), reasons)
	})
}
