package notify_test

import (
	"archive/zip"
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/fetch"
	"oriel/updater"
)

// restore makes the database of a dump in place of the world's.
func (w *world) restore(dump string) {
	w.Helper()
	require.NoError(w, w.db.Close())
	require.NoError(w, os.Remove(w.path))
	text, err := os.ReadFile(dump)
	require.NoError(w, err)
	db, err := sql.Open("sqlite", w.path)
	require.NoError(w, err)
	_, err = db.Exec(string(text))
	require.NoError(w, err)
	require.NoError(w, db.Close())
	w.open()
}

// fetchOSV imports the advisories of a file of format osv as the feed of the
// dump, and returns its newest operation.
func (w *world) fetchOSV(path string) clair.UpdateOperation {
	w.Helper()
	client := fetch.New(fetch.Config{})
	defer client.CloseIdleConnections()
	feeds, err := updater.Formats().ParseFeeds([]map[string]any{{"name": "osv/PyPI", "format": "osv", "url": path}}, ".")
	require.NoError(w, err)
	u, err := updater.Formats().New(feeds[0], client)
	require.NoError(w, err)
	m, err := updater.NewManager(updater.Default(), updater.Options{Store: w.db, Updaters: []clair.Updater{u}})
	require.NoError(w, err)
	_, err = m.Update(w.Context())
	require.NoError(w, err)
	return w.latest("osv/PyPI")
}

// latest returns the newest operation of an updater.
func (w *world) latest(updater string) clair.UpdateOperation {
	w.Helper()
	latest, err := w.db.GetLatestUpdateRefs(w.Context(), clair.KindVulnerability)
	require.NoError(w, err)
	require.NotEmpty(w, latest[updater])
	return latest[updater][0]
}

// withAdvisory copies an archive, with an advisory more.
func withAdvisory(t *testing.T, from, text string) string {
	t.Helper()
	in, err := zip.OpenReader(from)
	require.NoError(t, err)
	defer in.Close()
	path := filepath.Join(t.TempDir(), "next.zip")
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	out := zip.NewWriter(file)
	for _, f := range in.File {
		require.NoError(t, out.Copy(f))
	}
	one, err := out.Create("next.json")
	require.NoError(t, err)
	_, err = io.WriteString(one, text)
	require.NoError(t, err)
	require.NoError(t, out.Close())
	return path
}

// A database of version 10, whose manifest is indexed under names as they were
// found, is migrated, and reads the bytes of its feed again. Every row has
// another hash by now, and one has another fix: that package is listed among the
// changes, and nothing is notified but what changes in the feed afterwards.
func TestUpgrade(t *testing.T) {
	const feed = "testdata/upgrade.zip"
	inBubble(t, func(t *testing.T, w *world) {
		w.restore("testdata/version10.sql")
		w.start(full(), nil)
		w.planned()
		before := w.latest("osv/PyPI")
		again := w.fetchOSV(feed)
		require.NotEqual(t, before.Ref, again.Ref)
		w.planned()
		require.Empty(t, w.sets())
		require.Equal(t, []string{"reader  zope-interface@5.0 6e"}, w.changesSince(clair.UpdateResult{UpdateOperation: before}))
		diff, err := w.db.GetUpdateDiff(t.Context(), before.Ref, again.Ref)
		require.NoError(t, err)
		defer diff.Close()
		added := 0
		for _, err := range diff.Added {
			require.NoError(t, err)
			added++
		}
		require.Equal(t, 3, added, "the operation can be compared")

		next := w.fetchOSV(withAdvisory(t, feed, `{"id": "GHSA-next", "aliases": ["CVE-2024-3333"], "modified": "2024-02-01T00:00:00Z",
			"affected": [{"package": {"ecosystem": "PyPI", "name": "Zope.Interface"},
				"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.1"}]}]}]}`))
		w.planned()
		sets := w.sets()
		require.Len(t, sets, 1)
		require.Equal(t, next.Ref, sets[0].Operation)
		require.Equal(t, []string{"added GHSA-next zope-interface@5.0 6e"}, said(w.rows(sets[0].ID, "")))
	})
}
