package match_test

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
	"oriel/store"
	"oriel/store/storetest"
)

// newStore is a database with the rows as one feed's operation.
func newStore(t testing.TB, rows ...*clair.Vulnerability) *store.DB {
	t.Helper()
	db := storetest.Open(t)
	_, err := db.UpdateVulnerabilities(t.Context(), "feed", "", func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range rows {
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	return db
}

// found returns the names of a report's findings by package.
func found(res *match.Result) map[string][]string {
	out := map[string][]string{}
	for id, list := range res.Report.PackageVulnerabilities {
		for _, v := range list {
			out[id] = append(out[id], res.Report.Vulnerabilities[v].Name)
		}
	}
	return out
}

func debianRow(id, pkg, kind, fixed string, severity clair.Severity) *clair.Vulnerability {
	return &clair.Vulnerability{
		Name: "CVE-" + id, NormalizedSeverity: severity,
		Package: &clair.Package{Name: pkg, Kind: kind}, Dist: &debian12, FixedInVersion: fixed,
	}
}

func debianIndex(packages map[string]*clair.Package) *clair.IndexReport {
	r := &clair.IndexReport{
		Packages: packages, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{"1": &debian12},
		Repositories:  map[string]*clair.Repository{"1": {Name: "main"}, "2": {Name: "pypi"}},
	}
	for id := range packages {
		r.Environments[id] = []clair.Environment{{DistributionID: "1"}, {DistributionID: "1", RepositoryIDs: []string{"1"}}}
	}
	return r
}

// A package is found by its own name and by its source's, once for all its
// places; the source's version counts if there is one.
func TestReport_BinaryAndSource(t *testing.T) {
	src := newStore(t,
		debianRow("1", "openssl", clair.Source, "3.0.11-1", clair.High),
		debianRow("2", "libssl3", clair.Binary, "3.0.11-1", clair.Critical),
		debianRow("3", "openssl", clair.Source, "3.0.9-1", clair.High),
		debianRow("4", "openssl", clair.Binary, "9", clair.High), // no binary of that name
		debianRow("5", "linux", clair.Source, "6.1.50-1", clair.Low),
		debianRow("6", "linux", clair.Source, "6.1.38-1", clair.Low),
	)
	index := debianIndex(map[string]*clair.Package{
		"10": {Name: "libssl3", Version: "3.0.9-1", Kind: clair.Binary, Source: &clair.Package{Name: "openssl"}},
		"11": {Name: "linux-image-amd64", Version: "6.1.99-1", Source: &clair.Package{Name: "linux", Version: "6.1.38-1", Kind: clair.Source}},
	})
	res, err := match.Report(t.Context(), src, index)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"10": {"CVE-2", "CVE-1"}, "11": {"CVE-5"}}, found(res), "the most severe first")
	require.Len(t, res.Report.Vulnerabilities, 3)
	require.Equal(t, match.Why{
		Advisory: "CVE-5", Updater: "feed", Rule: "debian-matcher", Matched: "source",
		Package: "linux", Version: "6.1.38-1", Affected: "before 6.1.50-1",
	}, res.Why["11"][res.Report.PackageVulnerabilities["11"][0]])
	require.Empty(t, res.Incomparable)
}

// A Python package on Debian is Python's alone.
func TestReport_LanguagePackageOnADistribution(t *testing.T) {
	src := newStore(t, debianRow("1", "requests", clair.Binary, "9", clair.High), debianRow("2", "requests", clair.Source, "9", clair.High))
	index := debianIndex(map[string]*clair.Package{"1": {Name: "requests", Version: "2.0", Kind: clair.Binary}})
	index.Environments["1"] = []clair.Environment{{DistributionID: "1", RepositoryIDs: []string{"2"}}}
	res, err := match.Report(t.Context(), src, index)
	require.NoError(t, err)
	require.Empty(t, res.Report.PackageVulnerabilities)
}

// TestReport_Incomparable lists a package whose version cannot be compared
// once, with the advisories, in a report and in a collection.
func TestReport_Incomparable(t *testing.T) {
	rows := []*clair.Vulnerability{
		debianRow("1", "a", clair.Binary, "a:1", clair.High), debianRow("2", "a", clair.Binary, "2", clair.High),
		debianRow("3", "b", clair.Binary, "1", clair.Low), debianRow("4", "b", clair.Source, "2", clair.Low),
		debianRow("5", "b", clair.Source, "", clair.Low),
	}
	index := debianIndex(map[string]*clair.Package{
		"1": {Name: "a", Version: "1", Kind: clair.Binary},
		"2": {Name: "b", Version: "b:2", Kind: clair.Binary, Source: &clair.Package{Name: "b", Version: "b:2", Kind: clair.Source}},
		"3": {Name: "b", Version: "b:2", Kind: clair.Binary},
	})
	want := []match.Incomparable{
		{Package: "a", Version: "1", Advisories: []string{"CVE-1"}, Reason: "the advisory's version is not a valid dpkg version"},
		{Package: "b", Version: "b:2", Advisories: []string{"CVE-3", "CVE-4"}, Reason: `"b:2" is not a valid dpkg version`},
	}
	check := func(t *testing.T, res *match.Result) {
		t.Helper()
		require.Equal(t, map[string][]string{"1": {"CVE-2"}, "2": {"CVE-5"}}, found(res))
		require.Equal(t, want, res.Incomparable)
		require.Equal(t, 3, match.Pairs(res.Incomparable))
	}
	t.Run("report", func(t *testing.T) {
		res, err := match.Report(t.Context(), newStore(t, rows...), index)
		require.NoError(t, err)
		check(t, res)
	})
	t.Run("collected", func(t *testing.T) {
		c, twice := match.NewCollector(index), match.NewCollector(index)
		for _, v := range rows {
			v.ID = v.Name
			c.Add(v)
			twice.Add(v)
		}
		check(t, match.Collected(index, c, twice))
		twice.Reset()
		check(t, match.Collected(index, c, twice))
	})
}

// failing is a source that breaks off.
type failing struct{ *store.DB }

var errBroken = errors.New("broken")

func (f failing) Candidates(ctx context.Context, l []clair.Lookup, keep func(clair.Candidate) bool) iter.Seq2[clair.Candidate, error] {
	return func(yield func(clair.Candidate, error) bool) {
		for c, err := range f.DB.Candidates(ctx, l, keep) {
			if !yield(c, err) {
				return
			}
		}
		yield(clair.Candidate{}, errBroken)
	}
}

// A report that could not be looked up whole is no report.
func TestReport_FailsWhole(t *testing.T) {
	src := failing{newStore(t, debianRow("1", "a", clair.Binary, "2", clair.High))}
	res, err := match.Report(t.Context(), src, debianIndex(map[string]*clair.Package{"1": {Name: "a", Version: "1", Kind: clair.Binary}}))
	require.ErrorIs(t, err, errBroken)
	require.Nil(t, res)
}

// A host or SBOM of Red Hat's names no repositories; those that every system
// has count, and products layered on top do not.
func TestReport_RedHatWithoutRepositories(t *testing.T) {
	row := func(id, cpe string) *clair.Vulnerability {
		return &clair.Vulnerability{
			Name: "CVE-" + id, Package: &clair.Package{Name: "p", Kind: clair.Binary}, FixedInVersion: "0:2-1.el9",
			Repo: &clair.Repository{Key: "rhel-cpe-repository", Name: cpe}, Dist: &clair.Distribution{DID: "rhel", VersionID: "9"},
		}
	}
	src := newStore(t,
		row("1", "cpe:/o:redhat:enterprise_linux:9::baseos"), row("2", "cpe:/a:redhat:enterprise_linux:9::appstream"),
		row("3", "cpe:/o:redhat:enterprise_linux:8::baseos"), row("4", "cpe:/a:redhat:openshift:4.13::el9"), row("5", "cpe:/o:redhat:enterprise_linux:9"),
	)
	for _, dist := range []clair.Distribution{
		{DID: "rhel", Name: "Red Hat Enterprise Linux", VersionID: "9.2"}, {DID: "centos", Name: "CentOS Stream", VersionID: "9"},
	} {
		index := debianIndex(map[string]*clair.Package{"1": {Name: "p", Version: "1-1.el9", Kind: clair.Binary}})
		index.Distributions["1"] = &dist
		res, err := match.Report(t.Context(), src, index)
		require.NoError(t, err)
		require.Equal(t, []string{"CVE-1", "CVE-2", "CVE-5"}, found(res)["1"], dist.DID)
	}
}
