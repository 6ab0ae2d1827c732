package match_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/distro"
	"oriel/internal/fetch"
	"oriel/match"
	"oriel/store"
	"oriel/store/storetest"
	"oriel/updater"
)

// The tests of expected_*_test.go compare whole reports with published
// results: feeds and inventories are read as they are, and the complete set of
// findings must result. Missing findings fail, and so do extra ones.

// openStore opens a new database.
func openStore(t testing.TB) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	return db
}

// rowsOf streams rows.
func rowsOf(list []*clair.Vulnerability) iter.Seq2[*clair.Vulnerability, error] {
	return func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// storeRows makes a feed of rows current.
func storeRows(t testing.TB, db *store.DB, name string, list []*clair.Vulnerability) {
	t.Helper()
	_, err := db.UpdateVulnerabilities(t.Context(), name, "", rowsOf(list))
	require.NoError(t, err)
}

// feed is a feed by its path, which is relative to the corpus and is its name.
// release is the one it is of, where it does not say so itself.
type feed struct{ format, path, release string }

// importFeeds runs the feeds' own updaters, and returns the rows that they
// made. Records that cannot be used are left out, as the manager does.
func importFeeds(t testing.TB, db *store.DB, feeds ...feed) (all []*clair.Vulnerability) {
	t.Helper()
	client := fetch.New(fetch.Config{TempDir: t.TempDir()})
	for _, f := range feeds {
		options := map[string]any{"name": f.path, "format": f.format, "url": f.path}
		if f.release != "" {
			options["release"] = f.release
		}
		parsed, err := updater.Formats().ParseFeed(options, "feed", corpusFile(t))
		require.NoError(t, err)
		u, err := updater.Formats().New(parsed, client)
		require.NoError(t, err)
		in, _, err := u.Fetch(t.Context(), "")
		require.NoError(t, err)
		before, skipped := len(all), 0
		for v, err := range u.Parse(t.Context(), in) {
			if _, ok := errors.AsType[*clair.RecordError](err); ok {
				skipped++
				continue
			}
			require.NoError(t, err, f.path)
			all = append(all, v)
		}
		require.NoError(t, in.Close())
		require.Less(t, 20*skipped, len(all)-before, "%s: %d records skipped", f.path, skipped)
		storeRows(t, db, f.path, all[before:])
	}
	return all
}

func corpusFile(t testing.TB, path ...string) string {
	t.Helper()
	return filepath.Join(append([]string{corpus.Dir(t), "corpus"}, path...)...)
}

// corpusFiles are those that a pattern finds.
func corpusFiles(t testing.TB, pattern ...string) []string {
	t.Helper()
	names, err := filepath.Glob(corpusFile(t, pattern...))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

// readFile reads a file of the corpus, unpacked.
func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(corpusFile(t, path...))
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return b
	}
	b, err = io.ReadAll(z)
	require.NoError(t, err)
	return b
}

// table reads a TSV whose comments begin with "#".
func table(t testing.TB, b []byte) [][]string {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(b))
	r.Comma, r.Comment, r.LazyQuotes, r.FieldsPerRecord = '\t', '#', true, -1
	rows, err := r.ReadAll()
	require.NoError(t, err)
	return rows
}

// item is a package of an inventory.
type item struct {
	name, version, arch, module string
	source, sourceVersion       string
	repo                        string
}

const anyDigest = clair.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")

// inventory makes an index report of packages, on a distribution if there is
// one. The ids of the packages are their places in the list.
func inventory(dist *clair.Distribution, items ...item) *clair.IndexReport {
	r := &clair.IndexReport{
		Hash: anyDigest, State: clair.StateIndexFinished, Success: true,
		Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{}, Repositories: map[string]*clair.Repository{},
	}
	if dist != nil {
		r.Distributions["d"] = dist
	}
	for i, it := range items {
		id := fmt.Sprint(i)
		p := &clair.Package{ID: id, Name: it.name, Version: it.version, Kind: clair.Binary, Arch: it.arch, Module: it.module}
		if it.source != "" {
			p.Source = &clair.Package{Name: it.source, Version: it.sourceVersion, Kind: clair.Source}
		}
		env := clair.Environment{PackageDB: "db", IntroducedIn: anyDigest}
		if it.repo == "" && dist != nil {
			env.DistributionID = "d"
		}
		if it.repo != "" {
			env.RepositoryIDs = []string{it.repo}
			r.Repositories[it.repo] = &clair.Repository{ID: it.repo, Name: it.repo}
		}
		r.Packages[id], r.Environments[id] = p, []clair.Environment{env}
	}
	return r
}

// finding is one line of a report.
type finding struct{ pkg, version, vuln, fixed string }

func (f finding) String() string {
	return strings.TrimSpace(strings.Join([]string{f.pkg, f.version, f.vuln, f.fixed}, " "))
}

func compareFindings(a, b finding) int { return strings.Compare(a.String(), b.String()) }

// reportOf matches an inventory.
func reportOf(t testing.TB, db *store.DB, index *clair.IndexReport) *match.Result {
	t.Helper()
	r, err := match.Report(t.Context(), db, index)
	require.NoError(t, err)
	return r
}

// findingsOf are the distinct lines of a report, sorted.
func findingsOf(r *match.Result) []finding {
	var out []finding
	for id, vulns := range r.Report.PackageVulnerabilities {
		p := r.Report.Packages[id]
		for _, v := range vulns {
			found := r.Report.Vulnerabilities[v]
			fixed := found.FixedInVersion
			if found.Repo != nil && found.Repo.Key == "" {
				// Clair's form of the fixed version of three ecosystems.
				b, err := clair.ParseBounds(fixed)
				if err == nil {
					fixed = b.Fixed
				}
			}
			out = append(out, finding{p.Name, p.Version, found.Name, fixed})
		}
	}
	slices.SortFunc(out, compareFindings)
	return slices.Compact(out)
}

// aliasesOf are the aliases of advisories by their names.
func aliasesOf(rows []*clair.Vulnerability) map[string][]string {
	out := map[string][]string{}
	for _, v := range rows {
		out[v.Name] = v.Aliases
	}
	return out
}

// idsOf are the names of all that a report found.
func idsOf(r *match.Result) (ids []string) {
	for _, v := range r.Report.Vulnerabilities {
		ids = append(ids, v.Name)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// release is a distribution by its name.
func release(t testing.TB, name string) *clair.Distribution {
	t.Helper()
	r, ok := distro.ReleaseByName(name)
	require.True(t, ok, name)
	return r.Distribution()
}

// archive reads a txtar: files, each after a line "-- NAME --".
func archive(b []byte) map[string][]byte {
	files, name := map[string][]byte{}, ""
	for line := range bytes.Lines(b) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "-- "); ok && strings.HasSuffix(n, " --") {
			name = strings.TrimSuffix(n, " --")
			continue
		}
		files[name] = append(files[name], line...)
	}
	return files
}
