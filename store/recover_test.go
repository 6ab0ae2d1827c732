package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"oriel/clair"
	"oriel/store"
	"oriel/store/storetest"
)

// A database whose writer died before it had a write-ahead log can be read.
func TestOpen_HotJournal(t *testing.T) {
	path, copied := filepath.Join(t.TempDir(), "oriel.db"), filepath.Join(t.TempDir(), "copy.db")
	db, err := store.Open(t.Context(), path, store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	require.NoError(t, db.Close())

	raw, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	raw.SetMaxOpenConns(1)
	defer raw.Close()
	for _, q := range []string{
		`PRAGMA journal_mode = delete`, `PRAGMA cache_size = 5`, `BEGIN`,
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
			INSERT INTO updater (name) SELECT 'updater ' || i FROM n`,
	} {
		_, err := raw.Exec(q)
		require.NoError(t, err)
	}
	for _, suffix := range []string{"", "-journal"} {
		text, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(copied+suffix, text, 0o600))
	}
	reader, err := store.Open(t.Context(), copied, store.Options{ReadOnly: true})
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, reader.Check(t.Context()))
	updaters, err := reader.UpdateStatuses(t.Context())
	require.NoError(t, err)
	require.Empty(t, updaters, "the transaction never ended")
}

// A file whose writer died before it made a table is not a database yet.
func TestOpen_WithoutTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	raw, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = raw.Exec(`PRAGMA journal_mode = wal; PRAGMA user_version = 0`)
	require.NoError(t, err)
	require.NoError(t, raw.Close())
	_, err = store.Open(t.Context(), path, store.Options{ReadOnly: true})
	require.ErrorIs(t, err, clair.ErrNotFound)
}
