package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store/migrate"
	"oriel/store/sqlitedb"
)

// shape describes every table, view and index column by column. ALTER TABLE
// rewrites the stored text, so texts cannot be compared.
func shape(t *testing.T, db *sql.DB) string {
	t.Helper()
	var out []string
	for _, o := range list(t, db, `SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'`) {
		kind, name, _ := strings.Cut(o, " ")
		q := `SELECT format('%s %s %s %s %s %s', cid, name, type, "notnull", dflt_value, pk) FROM pragma_table_xinfo(?)`
		if kind == "index" {
			q = `SELECT format('%s %s %s %s', seqno, name, "desc", key) FROM pragma_index_xinfo(?)`
		}
		out = append(out, o+": "+strings.Join(list(t, db, q, name), "; "))
		if kind == "table" {
			out = append(out, o+" refers: "+strings.Join(list(t, db, `SELECT format('%s %s %s %s', "table", "from", "to", on_delete) FROM pragma_foreign_key_list(?)`, name), "; "))
			out = append(out, o+" is: "+strings.Join(list(t, db, `SELECT format('%s %s', wr, strict) FROM pragma_table_list(?)`, name), "; "))
			out = append(out, o+" indexes: "+strings.Join(list(t, db, `SELECT format('%s %s %s %s', name, "unique", origin, partial) FROM pragma_index_list(?) ORDER BY name`, name), "; "))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

func list(t *testing.T, db *sql.DB, query string, args ...any) (out []string) {
	t.Helper()
	rows, err := db.Query(query, args...)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		out = append(out, s)
	}
	require.NoError(t, rows.Err())
	return out
}

// rawDB opens a file without Oriel's help.
func rawDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db := sql.OpenDB(sqlitedb.Connector(path, "rwc", 1<<20, true))
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestOpen_MigratingGivesTheSchema(t *testing.T) {
	fresh := openNew(t)
	path := filepath.Join(t.TempDir(), "old.db")
	migrated, err := Open(t.Context(), path, Options{}) // no schema: every step is taken
	require.NoError(t, err)
	defer migrated.Close()
	require.Equal(t, shape(t, fresh.Read), shape(t, migrated.Read))
	require.Contains(t, shape(t, fresh.Read), "kind TEXT 1 'vulnerability'")
}

// oldDB makes a database as the first version made it, with rows.
func oldDB(t *testing.T, path string) {
	t.Helper()
	text, err := migrate.Steps.ReadFile("001_vulnerabilities.sql")
	require.NoError(t, err)
	db := sql.OpenDB(sqlitedb.Connector(path, "rwc", 1<<20, true))
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		string(text), fmt.Sprintf("PRAGMA user_version = 1; PRAGMA application_id = %d", migrate.ApplicationID),
		`INSERT INTO updater (id, name, last_seq) VALUES (1, 'old', 1)`,
		`INSERT INTO update_operation (ref, updater, seq, fingerprint, date)
			VALUES ('6b2ff4a7-2a9f-4e2a-9e0b-9f9d3ed2a0a1', 'old', 1, 'etag', 1700000000000)`,
		`INSERT INTO advisory (id, name, description, links, severity, normalized_severity) VALUES (1, 'ADV-1', '', '', '', 0)`,
		`INSERT INTO vuln_row (id, updater_id, hash, added, advisory_id, package_name, package_version, package_kind, package_module,
			package_arch, dist_id, repo_id, fixed_in_version, arch_op, returned)
			VALUES (1, 1, x'00', 1, 1, 'p', '', 'binary', '', '', 0, 0, '', '', 0)`,
		`INSERT INTO vuln_open (updater_id, hash, row_id) VALUES (1, x'00', 1)`,
	} {
		_, err := db.Exec(q)
		require.NoError(t, err)
	}
}

func TestOpen_DatabaseFromBeforeEnrichment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	oldDB(t, path)

	_, err := Open(t.Context(), path, Options{ReadOnly: true})
	require.ErrorIs(t, err, clair.ErrConflict)
	require.ErrorContains(t, err, "wants migrating")

	db := openAt(t, path)
	defer db.Close()
	ops, err := db.GetUpdateOperations(t.Context(), clair.KindVulnerability)
	require.NoError(t, err)
	require.Len(t, ops["old"], 1)
	require.Equal(t, clair.KindVulnerability, ops["old"][0].Kind)
	_, more, err := db.NextOperation(t.Context())
	require.NoError(t, err)
	require.False(t, more, "what is there already counts as told")
	require.Equal(t, []string{"old 1"}, list(t, db.Read, `SELECT updater || ' ' || seq FROM pin WHERE owner = 'notifier'`))
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, []string{"ADV-1"}, names(t, s.Vulnerabilities(t.Context(), "old")))
}

func TestOpen_Refuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		ro   bool
		is   error
		says string
	}{
		{name: "not_sqlite", make: func(t *testing.T, p string) {
			require.NoError(t, os.WriteFile(p, []byte("hello, this is text"), 0o600))
		},
			is: clair.ErrInvalid, says: "not an SQLite database"},
		{name: "another_program", make: func(t *testing.T, p string) {
			_, err := rawDB(t, p).Exec("CREATE TABLE bookmarks (url)")
			require.NoError(t, err)
		}, is: clair.ErrInvalid, says: "not Oriel's"},
		{name: "newer", make: func(t *testing.T, p string) {
			db := openAt(t, p)
			_, err := db.Write.Exec("PRAGMA user_version = 99")
			require.NoError(t, errors.Join(err, db.Close()))
		}, is: clair.ErrInvalid, says: "made by a newer Oriel"},
		{name: "in_use", make: func(t *testing.T, p string) {
			db := openAt(t, p)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
		}, is: clair.ErrConflict, says: "another Oriel process"},
		{name: "missing_to_read", make: func(*testing.T, string) {}, ro: true, is: clair.ErrNotFound, says: "no database yet"},
		{name: "a_directory", make: func(t *testing.T, p string) { require.NoError(t, os.Mkdir(p, 0o700)) }, says: "is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "oriel.db")
			c.make(t, path)
			before, _ := os.ReadFile(path)
			_, err := Open(t.Context(), path, Options{Schema: schema(t), ReadOnly: c.ro})
			require.Error(t, err)
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			after, _ := os.ReadFile(path)
			require.Equal(t, sha256.Sum256(before), sha256.Sum256(after), "the file is as it was")
		})
	}
}

func TestOpen_ReadOnlyBesideAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	owner := openAt(t, path)
	defer owner.Close()
	update(t, owner, "u", "A1")
	reader, err := Open(t.Context(), path, Options{ReadOnly: true})
	require.NoError(t, err)
	defer reader.Close()
	ops, err := reader.GetUpdateOperations(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, ops["u"], 1)
	_, err = reader.UpdateVulnerabilities(t.Context(), "u", "", feedOf(nil, "A1"))
	require.ErrorIs(t, err, clair.ErrConflict)
	require.ErrorIs(t, reader.SetUpdateStatus(t.Context(), clair.UpdateStatus{}), clair.ErrConflict)
}

func TestDB_FullDisk(t *testing.T) {
	db := openNew(t)
	update(t, db, "u", "A1")
	var pages int
	require.NoError(t, db.Read.QueryRow("PRAGMA page_count").Scan(&pages))
	_, err := db.Write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	require.NoError(t, err)
	big := func(yield func(*clair.Vulnerability, error) bool) {
		for i := range 3000 {
			if !yield(vuln(fmt.Sprintf("B%d", i)), nil) {
				return
			}
		}
	}
	_, err = db.UpdateVulnerabilities(t.Context(), "u", "", big)
	require.ErrorIs(t, err, clair.ErrUnavailable)
	require.ErrorContains(t, err, "disk is full")

	// The existing data are served, and the next import succeeds once there is
	// enough space.
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"A1"}, names(t, s.Vulnerabilities(t.Context(), "u")))
	s.Close()
	_, err = db.Write.Exec("PRAGMA max_page_count = 1000000")
	require.NoError(t, err)
	_, err = db.UpdateVulnerabilities(t.Context(), "u", "", big)
	require.NoError(t, err)
	require.NoError(t, db.Check(t.Context()))
}

func TestDB_Status(t *testing.T) {
	db := openNew(t)
	first := clair.UpdateStatus{
		Updater:       "u",
		Kind:          clair.KindVulnerability,
		LastAttempt:   db.now().UTC().Truncate(1e6),
		LastSuccess:   db.now().UTC().Truncate(1e6),
		Fingerprint:   "f",
		Records:       7,
		Skipped:       1,
		SkippedSample: "GO-1: bad",
		Added:         7,
		Took:          1e9,
	}
	require.NoError(t, db.SetUpdateStatus(t.Context(), first))
	failed := clair.UpdateStatus{
		Updater:     "u",
		Kind:        clair.KindVulnerability,
		LastAttempt: first.LastAttempt.Add(1e9),
		Error:       "no route",
	}
	require.NoError(t, db.SetUpdateStatus(t.Context(), failed))
	all, err := db.UpdateStatuses(t.Context())
	require.NoError(t, err)
	failed.LastSuccess = first.LastSuccess // a failure does not take it away
	require.Equal(t, []clair.UpdateStatus{failed}, all)
}

func TestDB_Closed(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "oriel.db"))
	require.NoError(t, db.Close())
	_, err := db.Snapshot(context.Background())
	require.Error(t, err)
}
