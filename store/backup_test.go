package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func TestDB_Backup(t *testing.T) {
	dir := t.TempDir()
	path, copyOf := filepath.Join(dir, "oriel.db"), filepath.Join(dir, "backup.db")
	db := openAt(t, path)
	defer db.Close()
	update(t, db, "u", "A", "B")
	reader, err := Open(t.Context(), path, Options{ReadOnly: true}) // as beside a daemon
	require.NoError(t, err)
	defer reader.Close()
	size, err := reader.Backup(t.Context(), copyOf)
	require.NoError(t, err)
	info, err := os.Stat(copyOf)
	require.NoError(t, err)
	require.Equal(t, info.Size(), size)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	// What is written afterwards is not in it, and the next takes its place.
	update(t, db, "u", "A", "B", "C")
	require.Equal(t, []string{"A", "B"}, currentOf(t, copyOf, "u"))
	_, err = db.Backup(t.Context(), copyOf)
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B", "C"}, currentOf(t, copyOf, "u"))

	// It is a database to go on with, one that can give space back, too.
	restored := openAt(t, copyOf)
	update(t, restored, "u", "D")
	require.Equal(t, shape(t, db.read), shape(t, restored.read))
	require.Equal(t, []string{"2"}, list(t, restored.read, `SELECT auto_vacuum FROM pragma_auto_vacuum`))
	require.NoError(t, restored.Close())

	for _, bad := range []string{path, path + "-wal", filepath.Join(dir, "nowhere", "b.db"), filepath.Join(dir, ".", "oriel.db")} {
		_, err := reader.Backup(t.Context(), bad)
		require.Error(t, err, bad)
	}
	require.NoError(t, os.Symlink(path, filepath.Join(dir, "link")))
	_, err = reader.Backup(t.Context(), filepath.Join(dir, "link"))
	require.ErrorIs(t, err, clair.ErrInvalid)
	left, err := filepath.Glob(filepath.Join(dir, "*.partial*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// currentOf lists the rows of an updater in the database at path.
func currentOf(t *testing.T, path, updater string) []string {
	t.Helper()
	db, err := Open(t.Context(), path, Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	return names(t, s.Vulnerabilities(t.Context(), updater))
}
