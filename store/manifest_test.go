package store

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/store/crashtest"
)

// digest is a made-up digest of one repeated hexadecimal digit.
func digest(c string) clair.Digest { return clair.Digest("sha256:" + strings.Repeat(c, 64)) }

// report is an index report of Debian packages, each built from a source.
func report(hash clair.Digest, packages ...string) *clair.IndexReport {
	r := &clair.IndexReport{
		Hash:          hash,
		State:         clair.StateIndexFinished,
		Success:       true,
		Packages:      map[string]*clair.Package{},
		Distributions: map[string]*clair.Distribution{"1": {ID: "1", DID: "debian", VersionID: "12"}},
		Repositories:  map[string]*clair.Repository{"1": {ID: "1", Name: "main"}},
		Environments:  map[string][]clair.Environment{},
	}
	for _, p := range packages {
		r.Packages[p] = &clair.Package{
			ID:      p,
			Name:    p,
			Version: "1",
			Kind:    clair.Binary,
			Arch:    "amd64",
			Source:  &clair.Package{Name: p + "-src", Kind: clair.Source},
		}
		r.Environments[p] = []clair.Environment{{PackageDB: "db", IntroducedIn: hash, DistributionID: "1", RepositoryIDs: []string{"1"}}}
	}
	return r
}

const indexed1 = `SELECT substr(i.manifest_hash, 8, 1) || ' ' || p.name || ' ' || p.version || ' ' || d.did || ' ' || r.name
	FROM manifest_index AS i JOIN package AS p ON p.id = i.package_id JOIN dist AS d ON d.id = i.dist_id JOIN repo AS r ON r.id = i.repo_id
	ORDER BY 1`

func TestDB_PutIndexReport(t *testing.T) {
	db := openNew(t)
	created, err := db.PutIndexReport(t.Context(), report(digest("a"), "bash", "curl"))
	require.NoError(t, err)
	require.True(t, created)
	got, err := db.IndexReport(t.Context(), digest("a"))
	require.NoError(t, err)
	require.Equal(t, report(digest("a"), "bash", "curl"), got)
	require.Equal(t, []string{"a bash 1 debian main", "a bash-src 1 debian main", "a curl 1 debian main", "a curl-src 1 debian main"}, list(t, db.Read, indexed1))

	created, err = db.PutIndexReport(t.Context(), report(digest("a"), "curl", "dpkg"))
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, []string{"a curl 1 debian main", "a curl-src 1 debian main", "a dpkg 1 debian main", "a dpkg-src 1 debian main"}, list(t, db.Read, indexed1))
	require.Equal(t, []string{"curl", "curl-src", "dpkg", "dpkg-src"}, list(t, db.Read, `SELECT name FROM package ORDER BY 1`))
}

// A report need not say what its packages are; matching takes them so too.
func TestDB_PutIndexReport_KindsNotNamed(t *testing.T) {
	db := openNew(t)
	r := report(digest("a"), "bash")
	r.Packages["bash"].Kind, r.Packages["bash"].Source.Kind = "", ""
	_, err := db.PutIndexReport(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, []string{"bash binary", "bash-src source"}, list(t, db.Read, `SELECT name || ' ' || kind FROM package ORDER BY 1`))
}

func TestDB_DeleteManifests(t *testing.T) {
	db := openNew(t)
	for _, r := range []*clair.IndexReport{report(digest("a"), "bash", "curl"), report(digest("b"), "curl")} {
		_, err := db.PutIndexReport(t.Context(), r)
		require.NoError(t, err)
	}
	deleted, err := db.DeleteManifests(t.Context(), digest("a"), digest("c"), digest("a"))
	require.NoError(t, err)
	require.Equal(t, []clair.Digest{digest("a")}, deleted)
	_, err = db.IndexReport(t.Context(), digest("a"))
	require.ErrorIs(t, err, clair.ErrNotFound)
	require.Equal(t, []string{"b curl 1 debian main", "b curl-src 1 debian main"}, list(t, db.Read, indexed1))
	require.Equal(t, []string{"curl", "curl-src"}, list(t, db.Read, `SELECT name FROM package ORDER BY 1`))
	_, err = db.DeleteManifests(t.Context(), digest("b"))
	require.NoError(t, err)
	require.Equal(t, []string{"0 0 0 0"}, list(t, db.Read, `SELECT (SELECT count(*) FROM manifest) || ' ' || (SELECT count(*) FROM index_report)
		|| ' ' || (SELECT count(*) FROM package) || ' ' || (SELECT count(*) FROM manifest_index_row)`))
}

// A crash at any place of a put or a delete leaves either what was before, or
// a report that is not finished and can be put or deleted again, and never an
// index that names what no report does.
func TestDB_ManifestCrashes(t *testing.T) {
	db := openNew(t)
	for n := range 400 {
		ctx := crashtest.After(t.Context(), n)
		var err error
		if n%3 == 2 {
			_, err = db.DeleteManifests(ctx, digest("a"))
		} else {
			_, err = db.PutIndexReport(ctx, report(digest("a"), []string{"bash", "curl", "dpkg"}[n%3:]...))
		}
		ctx.Cancel()
		_ = err // whether it got to its end is not the question
		const stray = `SELECT count(*) FROM manifest_index_row AS i WHERE NOT EXISTS (SELECT 1 FROM index_report AS r WHERE r.manifest_id = i.manifest_id)`
		require.Equal(t, []string{"0"}, list(t, db.Read, stray))
		if got, err := db.IndexReport(t.Context(), digest("a")); err == nil && got.State == clair.StateIndexFinished {
			require.Len(t, list(t, db.Read, indexed1), 2*len(got.Packages))
		}
	}
	_, err := db.PutIndexReport(t.Context(), report(digest("a"), "bash"))
	require.NoError(t, err)
	require.Equal(t, []string{"a bash 1 debian main", "a bash-src 1 debian main"}, list(t, db.Read, indexed1))
}

func TestDB_PutIndexReport_AtOnce(t *testing.T) {
	db := openNew(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := db.PutIndexReport(t.Context(), report(digest("a"), []string{"bash", "curl"}[i%2]))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := db.IndexReport(t.Context(), digest("a"))
	require.NoError(t, err)
	require.Len(t, list(t, db.Read, indexed1), 2*len(got.Packages))
}
