package store

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// An import that would take more than store.max_db_size allows is refused,
// wherever it is; nothing of it is seen, and nothing of it stays.
func TestDB_MaxSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	const limit = 3 << 20
	db, err := Open(t.Context(), path, Options{Schema: schema(t), MaxSize: limit})
	require.NoError(t, err)
	defer db.Close()
	update(t, db, "small", "A", "B")
	update(t, db, "big", "C")
	many := make([]string, 15_000)
	for i := range many {
		many[i] = fmt.Sprintf("M-%d", i)
	}
	for range 2 {
		_, err = db.UpdateVulnerabilities(t.Context(), "big", "fp2", feedOf(nil, many...))
		require.ErrorIs(t, err, clair.ErrUnavailable)
		require.ErrorContains(t, err, "store.max_db_size is 3MiB")
		used, err := db.Used(t.Context())
		require.NoError(t, err)
		require.Less(t, used, int64(limit)*3/2, "it stopped in time")
		require.Equal(t, []string{"C"}, currentOf(t, path, "big"))

		// Garbage collection takes what the import left, and others go on.
		n, err := db.GC(t.Context(), 10)
		require.NoError(t, err)
		require.Greater(t, n, int64(1000))
		require.Equal(t, []string{"3"}, list(t, db.Read, `SELECT count(*) FROM vuln_row`))
		require.Equal(t, []string{"3"}, list(t, db.Read, `SELECT count(*) FROM advisory`))
		require.Equal(t, []string{"3"}, list(t, db.Read, `SELECT count(*) FROM vuln_open`))
		_, err = db.Vacuum(t.Context(), 10)
		require.NoError(t, err)
		update(t, db, "small", "A", "B")
	}
	// With room, the same import goes through from where the feed was.
	db.maxSize = 0
	res, err := db.UpdateVulnerabilities(t.Context(), "big", "fp2", feedOf(nil, append(many, "C")...))
	require.NoError(t, err)
	require.EqualValues(t, len(many), res.Added)
	require.EqualValues(t, 1, res.Unchanged)
	require.EqualValues(t, 0, res.Removed)
	// Then nothing more fits, and nothing is written.
	db.maxSize = limit
	_, err = db.UpdateVulnerabilities(t.Context(), "small", "fp", feedOf(nil, "A"))
	require.ErrorContains(t, err, "no room for an import")
	require.Equal(t, []string{"A", "B"}, currentOf(t, path, "small"))
}

func TestDB_MinFree(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "oriel.db"), Options{Schema: schema(t), MinFree: 1 << 62})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.UpdateVulnerabilities(t.Context(), "u", "fp", feedOf(nil, "A"))
	require.ErrorContains(t, err, "store.min_free is")
	_, err = db.PutIndexReport(t.Context(), &clair.IndexReport{Hash: digest("a"), State: clair.StateIndexFinished})
	require.NoError(t, err, "the rest goes on")
}

// Vacuum gives all free space back to the disk.
func TestDB_Vacuum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	db := openAt(t, path)
	defer db.Close()
	many := make([]string, 5_000)
	for i := range many {
		many[i] = fmt.Sprintf("M-%d", i)
	}
	update(t, db, "u", many...)
	update(t, db, "u", "A")
	before, err := db.Stats(t.Context())
	require.NoError(t, err)
	freed, err := db.Vacuum(t.Context(), 1)
	require.NoError(t, err)
	after, err := db.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, after.Free)
	require.Zero(t, after.WAL)
	require.Less(t, after.File, (before.File+before.WAL)/4)
	require.Equal(t, before.File+before.WAL-after.File, freed)
	require.NoError(t, db.Check(t.Context()))
	require.Equal(t, []string{"A"}, currentOf(t, path, "u"))
	freed, err = db.Vacuum(t.Context(), 1)
	require.NoError(t, err)
	require.Zero(t, freed)
}
