package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/enrich"
	"oriel/internal/bundle"
	"oriel/internal/corpus"
	feedtoolkit "oriel/internal/feed"
	"oriel/internal/fetch"
	"oriel/store"
	"oriel/store/storetest"
	"oriel/updater"
)

func openStore(t *testing.T) (*store.DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oriel.db")
	db, err := store.Open(context.Background(), path, store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, path
}

// sums are, for each state, the number of its rows and the sum of their hashes,
// over all that a row has.
func sums(t *testing.T, db *store.DB) map[string]string {
	t.Helper()
	l, err := db.Latest(t.Context())
	require.NoError(t, err)
	defer l.Close()
	out := map[string]string{}
	for c, err := range l.Contents(t.Context()) {
		require.NoError(t, err)
		n, sum := 0, [32]byte{}
		add := func(format string, args ...any) {
			n++
			for i, b := range sha256.Sum256(fmt.Appendf(nil, format, args...)) {
				sum[i] += b // the order is another's
			}
		}
		if c.Kind == clair.KindEnrichment {
			for r, err := range c.Enrichments {
				require.NoError(t, err)
				add("%q %s", r.Tags, r.Enrichment)
			}
		} else {
			for v, err := range c.Vulnerabilities {
				require.NoError(t, err)
				pkg, dist, repo, rng := *v.Package, v.Dist, v.Repo, v.Range
				row := *v
				row.ID, row.Package, row.Dist, row.Repo, row.Range = "", nil, nil, nil, nil
				add("%#v %#v %v %v %v", row, pkg, dist, repo, rng)
			}
		}
		out[fmt.Sprint(c.Updater, c.Kind, c.Format, c.Fingerprint, c.Checked)] = fmt.Sprintf("%d rows %x", n, sum)
	}
	return out
}

// Real feeds of many kinds are the same on the other side.
func TestBundle_Corpus(t *testing.T) {
	feeds := filepath.Join(corpus.Dir(t), "corpus", "feeds")
	client := fetch.New(fetch.Config{})
	all := updater.Formats()
	var updaters []clair.Updater
	formats := map[string]string{}
	for _, f := range [][2]string{
		{"osv", "osv/Go/all.zip"}, {"osv", "osv/PyPI/all.zip"}, {"osv", "osv/AlmaLinux-9/all.zip"}, {"alpine", "alpine/v3.10/main.json.gz"},
		{"debian", "debian/tracker.json.gz"}, {"oval", "oval/com.vmware.phsa-photon3.xml.gz"},
	} {
		feed, err := all.ParseFeed(map[string]any{"name": f[1], "format": f[0], "url": filepath.Join(feeds, f[1])}, "feed", "")
		require.NoError(t, err)
		u, err := all.New(feed, client)
		require.NoError(t, err)
		updaters, formats[f[1]] = append(updaters, u), f[0]
	}
	for _, e := range enrich.All() {
		name := map[string]string{"epss": "epss/epss_scores-2026-08-16.csv.gz", "kev": "kev/known_exploited_vulnerabilities.json.gz", "nvd": "nvd/nvd-cve-2.0-page.json.gz"}[e.Format]
		updaters, formats[name] = append(updaters, e.NewFeed(feedtoolkit.Feed{Name: name, URL: filepath.Join(feeds, name)}, client)), e.Format
	}
	near, path := openStore(t)
	m, err := updater.NewManager(updater.Default(), updater.Options{
		Store:    near,
		Updaters: updaters,
		Formats:  formats,
	})
	require.NoError(t, err)
	_, err = m.Update(t.Context())
	require.NoError(t, err)
	l, err := near.Latest(t.Context())
	require.NoError(t, err)
	defer l.Close()
	var b bytes.Buffer
	w, err := bundle.Write(t.Context(), &b, l, bundle.Options{})
	require.NoError(t, err)

	far, _ := openStore(t)
	m, err = updater.NewManager(updater.Default(), updater.Options{Store: far})
	require.NoError(t, err)
	bu, err := bundle.Open(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	res, err := m.ImportContents(t.Context(), bu)
	require.NoError(t, err)
	require.Len(t, res, len(updaters))
	require.Equal(t, sums(t, near), sums(t, far))
	info, err := os.Stat(path)
	require.NoError(t, err)
	t.Logf("%d feeds, %d rows: %.1f MB in the bundle, %.1f MB in the database", len(w.Feeds), w.Rows, float64(w.Bytes)/1e6, float64(info.Size())/1e6)
}
