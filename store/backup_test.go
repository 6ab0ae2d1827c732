package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store/migrate"
)

func TestDB_Backup(t *testing.T) {
	dir := t.TempDir()
	path, copyOf := filepath.Join(dir, "oriel.db"), filepath.Join(dir, "backup.db")
	db := openAt(t, path)
	defer db.Close()
	update(t, db, "u", "A", "B")
	reader, err := Open(t.Context(), path, Options{ReadOnly: true}) // as next to a daemon
	require.NoError(t, err)
	defer reader.Close()
	size, err := reader.Backup(t.Context(), copyOf)
	require.NoError(t, err)
	info, err := os.Stat(copyOf)
	require.NoError(t, err)
	require.Equal(t, info.Size(), size)
	require.EqualValues(t, 0o600, info.Mode().Perm())

	// Later writes are not in it, and the next backup replaces it.
	update(t, db, "u", "A", "B", "C")
	require.Equal(t, []string{"A", "B"}, currentOf(t, copyOf, "u"))
	_, err = db.Backup(t.Context(), copyOf)
	require.NoError(t, err)
	require.Equal(t, []string{"A", "B", "C"}, currentOf(t, copyOf, "u"))

	// It is a database to go on with, one that can give space back, too.
	restored := openAt(t, copyOf)
	update(t, restored, "u", "D")
	require.Equal(t, shape(t, db.Read), shape(t, restored.Read))
	require.Equal(t, []string{"2"}, list(t, restored.Read, `SELECT auto_vacuum FROM pragma_auto_vacuum`))
	require.NoError(t, restored.Close())

	for _, bad := range []string{path, path + "-wal", filepath.Join(dir, "nowhere", "b.db"), filepath.Join(dir, ".", "oriel.db")} {
		_, err := reader.Backup(t.Context(), bad)
		require.Error(t, err, bad)
	}
	require.NoError(t, os.Symlink(path, filepath.Join(dir, "link")))
	_, err = reader.Backup(t.Context(), filepath.Join(dir, "link"))
	require.ErrorIs(t, err, clair.ErrInvalid)
	// A folder or device, or a link that leads to no name as /dev/stdout may, is
	// not replaced.
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, os.Symlink("nothing", filepath.Join(dir, "dangling")))
	for _, name := range []string{"folder", "dangling"} {
		_, err = reader.Backup(t.Context(), filepath.Join(dir, name))
		require.ErrorIs(t, err, clair.ErrInvalid, name)
	}
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

// The step that adds how far advisories reach fills it in for feeds that will
// not be read soon, because they are unchanged. Dates of the future are slips.
func TestMigrate_NewestAdvisory(t *testing.T) {
	db := openNew(t)
	ctx := t.Context()
	_, err := db.UpdateVulnerabilities(ctx, "u", "fp", func(yield func(*clair.Vulnerability, error) bool) {
		for i, issued := range []time.Time{time.Unix(1_700_000_000, 0), time.Unix(1_710_000_000, 0), time.Now().AddDate(70, 0, 0), {}} {
			v := vuln(fmt.Sprint("V-", i))
			v.Issued = issued
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	for _, u := range []string{"u", "none"} {
		require.NoError(t, db.SetUpdateStatus(ctx, clair.UpdateStatus{Updater: u, Kind: clair.KindVulnerability}))
	}
	text, err := migrate.Steps.ReadFile("008_feed_health.sql")
	require.NoError(t, err)
	require.NoError(t, db.Exec(ctx, `ALTER TABLE updater_status DROP COLUMN newest_advisory`))
	require.NoError(t, db.Exec(ctx, `ALTER TABLE updater_status DROP COLUMN next_run`))
	require.NoError(t, db.Exec(ctx, string(text)))
	all, err := db.UpdateStatuses(ctx)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Zero(t, all[0].NewestAdvisory)
	require.Equal(t, time.Unix(1_710_000_000, 0).UTC(), all[1].NewestAdvisory)

	next := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	require.NoError(t, db.SetNextRun(ctx, next, "u", "unknown"))
	require.NoError(t, db.SetUpdateStatus(ctx, all[1]))
	all, err = db.UpdateStatuses(ctx)
	require.NoError(t, err)
	require.Zero(t, all[0].NextRun)
	require.Equal(t, next, all[1].NextRun, "a run's outcome leaves it")
	require.NoError(t, db.SetNextRun(ctx, time.Time{}, "u"))
	all, err = db.UpdateStatuses(ctx)
	require.NoError(t, err)
	require.Zero(t, all[1].NextRun)
}

// A backup that is made while operations come and go is of one moment.
func TestDB_Backup_BesideWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "oriel.db")
	db := openAt(t, path)
	defer db.Close()
	sets := [2][]string{}
	for i := range 400 {
		sets[0], sets[1] = append(sets[0], fmt.Sprintf("A-%03d", i)), append(sets[1], fmt.Sprintf("B-%03d", i))
	}
	update(t, db, "u", sets[0]...)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 1; ctx.Err() == nil && err == nil; i++ {
			_, err = db.UpdateVulnerabilities(context.Background(), "u", "fp", feedOf(nil, sets[i%2]...))
			if err == nil {
				_, err = db.GC(context.Background(), 1)
			}
		}
		done <- err
	}()
	for i := range 5 {
		copyOf := filepath.Join(dir, fmt.Sprint(i, ".db"))
		_, err := db.Backup(t.Context(), copyOf)
		require.NoError(t, err)
		require.Contains(t, sets, currentOf(t, copyOf, "u"))
	}
	stop()
	require.NoError(t, <-done)
}
