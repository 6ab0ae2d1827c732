// Package storetest opens stores for tests: a real SQLite file each, in a
// temporary directory, with the schema of the repository.
package storetest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/store"
)

// Open opens a new database that is closed when the test ends.
func Open(t testing.TB) *store.DB {
	t.Helper()
	return OpenAt(t, filepath.Join(t.TempDir(), "oriel.db"))
}

// OpenAt opens the database at path, making it if it does not exist, and
// closes it when the test ends.
func OpenAt(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{Schema: Schema(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// Schema returns the text of schema.sql.
func Schema(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "schema.sql"))
	require.NoError(t, err)
	return string(text)
}
