package match_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
	"oriel/store/storetest"
)

// Count comes to what asking about each package of each manifest and each
// vulnerability by itself comes to.
func TestCount(t *testing.T) {
	db := storetest.Open(t)
	r := rand.New(rand.NewPCG(1, 2))
	debian := &clair.Distribution{ID: "1", DID: "debian", Name: "Debian GNU/Linux", VersionID: "12", Version: "12 (bookworm)", PrettyName: "Debian GNU/Linux 12 (bookworm)"}
	npm := &clair.Repository{ID: "1", Name: "npm"}
	var vulns []*clair.Vulnerability
	for i := range 300 {
		v := &clair.Vulnerability{
			Name: fmt.Sprint("CVE-2024-", i), NormalizedSeverity: clair.Severity(r.IntN(6)),
			Package: &clair.Package{Name: fmt.Sprint("p", r.IntN(40)), Kind: clair.Source}, Dist: debian, FixedInVersion: fmt.Sprint(r.IntN(6)),
		}
		if i%3 == 0 {
			v.Package.Kind, v.Dist, v.Repo, v.FixedInVersion = clair.Binary, nil, npm, fmt.Sprintf("fixed=%d.0.0", r.IntN(6))
		}
		vulns = append(vulns, v)
	}
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "fp", func(yield func(*clair.Vulnerability, error) bool) {
		for _, v := range vulns {
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)

	var want match.Counts
	for m := range 20 {
		hash := clair.Digest(fmt.Sprintf("sha256:%064x", m+1))
		rep := &clair.IndexReport{
			Hash: hash, State: clair.StateIndexFinished, Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
			Distributions: map[string]*clair.Distribution{"1": debian}, Repositories: map[string]*clair.Repository{"1": npm},
		}
		for i := range 30 {
			id, env := fmt.Sprint(i), clair.Environment{PackageDB: "db", IntroducedIn: hash, DistributionID: "1"}
			p := &clair.Package{ID: id, Name: fmt.Sprint("b", i), Version: fmt.Sprint(r.IntN(6)), Source: &clair.Package{Name: fmt.Sprint("p", r.IntN(40)), Kind: clair.Source}}
			if i%2 == 0 {
				p = &clair.Package{ID: id, Name: fmt.Sprint("p", r.IntN(40)), Version: fmt.Sprintf("%d.0.0", r.IntN(6))}
				env = clair.Environment{PackageDB: "db", IntroducedIn: hash, RepositoryIDs: []string{"1"}}
			}
			rep.Packages[id], rep.Environments[id] = p, []clair.Environment{env}
		}
		_, err := db.PutIndexReport(t.Context(), rep)
		require.NoError(t, err)
		places := map[string]bool{} // binaries of one source in one version are one
		for _, record := range rep.Records() {
			p := record.Package
			key := fmt.Sprint(p.Name, "/", p.Version, "/", p.Kind, "/", record.Repo != nil)
			if places[key] {
				continue
			}
			places[key] = true
			for _, v := range vulns {
				ok, err := match.NewJudge().Affects(v, record)
				require.NoError(t, err)
				if ok {
					want[v.NormalizedSeverity]++
				}
			}
		}
	}
	got, err := match.Count(t.Context(), db, db.InstalledPackages(t.Context()))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Greater(t, got[clair.High], int64(20))
}

// The advisories of one vulnerability of a package count once, with the highest
// severity.
func TestCount_OneVulnerability(t *testing.T) {
	db := storetest.Open(t)
	pypi := &clair.Repository{ID: "1", Name: "pypi"}
	advisory := func(name string, severity clair.Severity, aliases ...string) *clair.Vulnerability {
		return &clair.Vulnerability{
			Name:               name,
			Aliases:            aliases,
			NormalizedSeverity: severity,
			Package:            &clair.Package{Name: "django", Kind: clair.Binary},
			Repo:               pypi,
		}
	}
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "fp", func(yield func(*clair.Vulnerability, error) bool) {
		_ = yield(advisory("GHSA-aaaa-bbbb-cccc", clair.High, "CVE-2024-1001"), nil) &&
			yield(advisory("PYSEC-2024-1", clair.Medium, "CVE-2024-1001"), nil) &&
			yield(advisory("PYSEC-2024-2", clair.Medium, "CVE-2024-1002"), nil)
	})
	require.NoError(t, err)
	for m := range 2 {
		hash := clair.Digest(fmt.Sprintf("sha256:%064x", m))
		_, err := db.PutIndexReport(t.Context(), &clair.IndexReport{
			Hash:         hash,
			State:        clair.StateIndexFinished,
			Packages:     map[string]*clair.Package{"1": {ID: "1", Name: "Django", Version: "3.2"}},
			Repositories: map[string]*clair.Repository{"1": pypi},
			Environments: map[string][]clair.Environment{"1": {{PackageDB: "db", RepositoryIDs: []string{"1"}}}},
		})
		require.NoError(t, err)
	}
	got, err := match.Count(t.Context(), db, db.InstalledPackages(t.Context()))
	require.NoError(t, err)
	var want match.Counts
	want[clair.High], want[clair.Medium] = 2, 2
	require.Equal(t, want, got)
}
