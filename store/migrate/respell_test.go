package migrate_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store"
	"oriel/store/crashtest"
	"oriel/store/migrate"
	"oriel/store/sqlitedb"
	"oriel/store/storetest"
)

// unspelled is a database of version 11 in path: an advisory and two
// manifests, one of which names a package twice, under names as they were
// found. hashes are those of the manifests.
func unspelled(t *testing.T, path string) (hashes []clair.Digest) {
	t.Helper()
	made := path + ".made"
	db, err := store.Open(t.Context(), made, store.Options{Schema: storetest.Schema(t)})
	require.NoError(t, err)
	reports := []*clair.IndexReport{
		report(0, "pypi", "Zope.Interface", "zope_interface", "Django"),
		report(1, "go", "github.com/Azure/X"),
		report(2, "", "Libfoo"),
		signed(3),
		report(4, "npm", "JSONStream"),
	}
	for _, r := range reports {
		_, err := db.PutIndexReport(t.Context(), r)
		require.NoError(t, err)
		hashes = append(hashes, r.Hash)
	}
	_, err = db.UpdateVulnerabilities(t.Context(), "u", "", func(yield func(*clair.Vulnerability, error) bool) {
		_ = yield(vulnerability("V-1", "pypi", "Zope.Interface"), nil) &&
			yield(vulnerability("V-2", "go", "github.com/Azure/X"), nil) &&
			yield(vulnerability("V-3", "npm", "JSONStream"), nil)
	})
	require.NoError(t, errors.Join(err, db.Close()))
	old := openRaw(t, path)
	defer old.Close()
	takeSteps(t, old, 11)
	copyRows(t, old, made)
	unspell(t, old, reports)
	return hashes
}

func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db := sql.OpenDB(sqlitedb.Connector(path, "rwc", 1<<20, true))
	db.SetMaxOpenConns(1)
	return db
}

// takeSteps makes a database of an earlier version.
func takeSteps(t *testing.T, db *sql.DB, version int) {
	t.Helper()
	names, err := fs.Glob(migrate.Steps, "*.sql")
	require.NoError(t, err)
	for _, name := range names[:version] {
		text, err := migrate.Steps.ReadFile(name)
		require.NoError(t, err)
		_, err = db.Exec(string(text))
		require.NoError(t, err, name)
	}
	_, err = db.Exec(fmt.Sprintf(`PRAGMA user_version = %d; PRAGMA application_id = %d`, version, migrate.ApplicationID))
	require.NoError(t, err)
}

// copyRows copies the rows of another database, as far as this one has their
// tables and columns.
func copyRows(t *testing.T, db *sql.DB, from string) {
	t.Helper()
	const tables = `
		SELECT m.name, group_concat(c.name)
		FROM main.sqlite_schema AS m, pragma_table_info(m.name, 'main') AS c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
		GROUP BY m.name`
	_, err := db.Exec(`PRAGMA foreign_keys = 0; ATTACH ? AS made`, from)
	require.NoError(t, err)
	rows, err := db.Query(tables)
	columns, err := sqlitedb.ScanAll(rows, err, func(rows *sql.Rows) (c [2]string, err error) {
		err = rows.Scan(&c[0], &c[1])
		return c, err
	})
	require.NoError(t, err)
	for _, c := range columns {
		_, err := db.Exec(fmt.Sprintf(`INSERT INTO main.%s (%s) SELECT %s FROM made.%s`, c[0], c[1], c[1], c[0]))
		require.NoError(t, err, c[0])
	}
	_, err = db.Exec(`DETACH made`)
	require.NoError(t, err)
}

// unspell writes names as version 11 did: rows and packages by the names they
// were found under, and a place for the package that is never matched.
func unspell(t *testing.T, db *sql.DB, reports []*clair.IndexReport) {
	t.Helper()
	exec := func(query string, args ...any) {
		_, err := db.Exec(query, args...)
		require.NoError(t, err, query)
	}
	exec(`UPDATE vuln_row SET package_name = 'Zope.Interface' WHERE package_name = 'zope-interface'`)
	exec(`UPDATE vuln_row SET package_name = 'github.com/Azure/X' WHERE package_name = 'github.com/azure/x'`)
	exec(`DELETE FROM manifest_index_row`)
	exec(`DELETE FROM place`)
	exec(`DELETE FROM package`)
	add := func(hash clair.Digest, p *clair.Package, kind, version, did, repo string) {
		exec(`INSERT OR IGNORE INTO package (name, version, kind, module, arch, normalized_version) VALUES (?, ?, ?, '', ?, ?)`,
			p.Name, version, kind, "amd64", p.NormalizedVersion)
		exec(`INSERT OR IGNORE INTO place (package_id, dist_id, repo_id)
			SELECT p.id, ifnull((SELECT id FROM dist WHERE did = ?), 0), ifnull((SELECT id FROM repo WHERE name = ?), 0)
			FROM package AS p WHERE p.name = ? AND p.kind = ? AND p.version = ?`, did, repo, p.Name, kind, version)
		exec(`INSERT OR IGNORE INTO manifest_index_row (place_id, manifest_id)
			SELECT l.id, m.id FROM package AS p JOIN place AS l ON l.package_id = p.id JOIN manifest AS m ON m.hash = ?
			WHERE p.name = ? AND p.kind = ? AND p.version = ?`, string(hash), p.Name, kind, version)
	}
	for _, r := range reports {
		for _, p := range r.Packages {
			did, repo := "", ""
			for _, d := range r.Distributions {
				did = d.DID
			}
			for _, p := range r.Repositories {
				repo = p.Name
			}
			add(r.Hash, p, clair.Binary, p.Version, did, repo)
			if p.Source != nil {
				add(r.Hash, p.Source, clair.Source, p.Source.Version, did, repo)
			}
		}
	}
}

func hash(n int) clair.Digest { return clair.Digest(fmt.Sprintf("sha256:%064x", n)) }

func report(n int, repo string, names ...string) *clair.IndexReport {
	r := &clair.IndexReport{
		Hash:          hash(n),
		State:         clair.StateIndexFinished,
		Success:       true,
		Packages:      map[string]*clair.Package{},
		Distributions: map[string]*clair.Distribution{},
		Repositories:  map[string]*clair.Repository{},
		Environments:  map[string][]clair.Environment{},
	}
	var ids []string
	if repo != "" {
		r.Repositories["1"] = &clair.Repository{ID: "1", Name: repo}
		ids = []string{"1"}
	}
	for _, name := range names {
		r.Packages[name] = &clair.Package{
			ID:      name,
			Name:    name,
			Version: "1",
			Kind:    clair.Binary,
			Arch:    "amd64",
		}
		r.Environments[name] = []clair.Environment{{PackageDB: "db", RepositoryIDs: ids}}
	}
	return r
}

// signed is a report of Debian's signed kernel, and of a package that is never
// matched.
func signed(n int) *clair.IndexReport {
	r := report(n, "", "linux-image-6.1.0-17-amd64", "layer")
	r.Distributions["1"] = &clair.Distribution{
		ID:        "1",
		DID:       "debian",
		VersionID: "12",
	}
	for id := range r.Environments {
		r.Environments[id][0].DistributionID = "1"
	}
	kernel := r.Packages["linux-image-6.1.0-17-amd64"]
	kernel.Version = "6.1.69-1"
	kernel.Source = &clair.Package{
		Name:    "linux-signed-amd64",
		Version: "6.1.69+1",
		Kind:    clair.Source,
	}
	r.Packages["layer"].NormalizedVersion = clair.Unmatchable
	return r
}

func vulnerability(name, repo, pkg string) *clair.Vulnerability {
	return &clair.Vulnerability{
		Name:           name,
		Package:        &clair.Package{Name: pkg, Kind: clair.Binary},
		Repo:           &clair.Repository{Name: repo},
		FixedInVersion: "2",
	}
}

func rows(t *testing.T, db *store.DB, query string) (out []string) {
	t.Helper()
	out, err := sqlitedb.ReadPage(t.Context(), db.Read, query, func(rows *sql.Rows) (text string, err error) {
		err = rows.Scan(&text)
		return text, err
	})
	require.NoError(t, err)
	return out
}

const (
	spelled = `
		SELECT package_name
		FROM vuln_row
		ORDER BY id`
	indexed = `
		SELECT ltrim(substr(m.hash, 8), '0') || ' ' || p.kind || ' ' || p.name || ' ' || p.version
		FROM manifest_index_row AS i
		JOIN place AS l ON l.id = i.place_id
		JOIN package AS p ON p.id = l.package_id
		JOIN manifest AS m ON m.id = i.manifest_id
		ORDER BY m.id, p.kind, p.name`
	unused = `
		SELECT 'place ' || id FROM place WHERE id NOT IN (SELECT place_id FROM manifest_index_row)
		UNION ALL
		SELECT 'package ' || name FROM package WHERE id NOT IN (SELECT package_id FROM place)`
)

// checkSpelled checks a migrated database: names have one spelling, places
// that became the same are one, and the index has the records of the reports.
func checkSpelled(t *testing.T, db *store.DB) {
	t.Helper()
	require.ElementsMatch(t, []string{"zope-interface", "github.com/azure/x", "JSONStream"}, rows(t, db, spelled))
	require.Equal(t, []string{
		" binary django 1", " binary zope-interface 1",
		"1 binary github.com/azure/x 1",
		"2 binary Libfoo 1",
		"3 binary linux-image-6.1.0-17-amd64 6.1.69-1", "3 source linux 6.1.69-1", "3 source linux-signed-amd64 6.1.69+1",
		"4 binary JSONStream 1",
	}, rows(t, db, indexed))
	require.Empty(t, rows(t, db, unused))
	affects := func(*clair.Vulnerability, *clair.Package, *clair.Distribution, *clair.Repository) bool { return true }
	found := map[int][]clair.Digest{}
	for a, err := range db.AffectedManifests(t.Context(), func(yield func(*clair.Vulnerability, error) bool) {
		_ = yield(vulnerability("V-1", "pypi", "ZOPE.interface"), nil) && yield(vulnerability("V-2", "go", "github.com/azure/x"), nil)
	}, affects) {
		require.NoError(t, err)
		found[a.Vulnerability] = append(found[a.Vulnerability], a.Manifests...)
	}
	require.Equal(t, map[int][]clair.Digest{0: {hash(0)}, 1: {hash(1)}}, found)
}

func TestUp_Spelling(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	hashes := unspelled(t, path)
	db := storetest.OpenAt(t, path)
	checkSpelled(t, db)
	got, err := db.IndexReport(t.Context(), hash(0))
	require.NoError(t, err)
	require.Equal(t, []string{"Django", "Zope.Interface", "zope_interface"}, slices.Sorted(maps.Keys(got.Packages)), "reports stay as they are")

	deleted, err := db.DeleteManifests(t.Context(), hashes...)
	require.NoError(t, err)
	require.Equal(t, hashes, deleted)
	require.Empty(t, rows(t, db, indexed))
	require.Empty(t, rows(t, db, `SELECT name FROM package`), "no place is left behind")
}

// A migration that is killed, at any place and many times, goes on.
func TestUp_SpellingKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "oriel.db")
	unspelled(t, path)
	kills := 0
	for n := 0; ; n += 5 {
		db, err := store.Open(crashtest.After(t.Context(), n), path, store.Options{Schema: storetest.Schema(t)})
		if err == nil {
			require.NoError(t, db.Close())
			break
		}
		kills++
		require.Less(t, n, 5000)
	}
	require.Greater(t, kills, 20)
	checkSpelled(t, storetest.OpenAt(t, path))
}
