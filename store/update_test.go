package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func TestDB_UpdateVulnerabilities_KeepsEverything(t *testing.T) {
	db := openNew(t)
	long := strings.Repeat("A long description that is worth compressing. ", 40)
	want := vuln("A1")
	want.Description, want.Dist = long, &clair.Distribution{
		DID:        "debian",
		Name:       "Debian GNU/Linux",
		VersionID:  "12",
		PrettyName: "Debian 12",
	}
	want.ArchOperation, want.Package.Arch, want.Package.Module = clair.ArchPattern, "x86_64|aarch64", "nodejs:18"
	want.Package.Version = "1.0"
	want.Range = &clair.Range{Lower: "semver:0.0.0.0.0.0.0.0.0.0", Upper: "semver:0.1.2.3.0.0.0.0.0.0"}
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", func(yield func(*clair.Vulnerability, error) bool) {
		_ = yield(want, nil) && yield(&clair.Vulnerability{Name: "no package"}, nil) && yield(&clair.Vulnerability{Package: &clair.Package{}}, nil)
	})
	require.NoError(t, err)
	s, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	defer s.Close()
	n := 0
	for got, err := range s.Vulnerabilities(t.Context(), "u") {
		require.NoError(t, err)
		n++
		got.ID, want.Updater, want.Aliases = "", "u", nil
		require.Equal(t, want, got)
	}
	require.Equal(t, 1, n)
	require.Equal(t, []string{"CVE-2024-A1"}, list(t, db.Read, `SELECT alias FROM advisory_alias`))
	require.Equal(t, []string{"A1 debian Debian 12 go 1"},
		list(t, db.Read, `SELECT format('%s %s %s %s %s', name, dist_id, dist_pretty_name, repo_name, active) FROM vuln`))
}

func TestDB_UpdateVulnerabilities_SharesAdvisories(t *testing.T) {
	db := openNew(t)
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", func(yield func(*clair.Vulnerability, error) bool) {
		for i := range 2500 {
			v := vuln("A1")
			v.Package = &clair.Package{Name: fmt.Sprintf("p%d", i), Kind: clair.Binary}
			if !yield(v, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, []string{"2500 1"}, list(t, db.Read, `SELECT (SELECT count(*) FROM vuln_row) || ' ' || count(*) FROM advisory`))
}

func TestDB_SecondImportAtOnce(t *testing.T) {
	db := openNew(t)
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", func(yield func(*clair.Vulnerability, error) bool) {
		_, err := db.UpdateVulnerabilities(t.Context(), "u", "", feedOf(nil, "A1"))
		require.ErrorIs(t, err, clair.ErrConflict)
		_, err = db.UpdateVulnerabilities(t.Context(), "other", "", feedOf(nil, "A1"))
		require.NoError(t, err)
		yield(vuln("A1"), nil)
	})
	require.NoError(t, err)
}

func TestDB_GetUpdateDiff_Refuses(t *testing.T) {
	db := openNew(t)
	a, b := update(t, db, "a", "A1"), update(t, db, "b", "A1")
	e, err := db.UpdateEnrichments(t.Context(), "e", "", records("CVE-1"))
	require.NoError(t, err)
	for _, c := range []struct {
		name      string
		prev, cur uuid.UUID
		is        error
	}{
		{"unknown_cur", a.Ref, uuid.New(), clair.ErrNotFound},
		{"nil_cur", a.Ref, uuid.Nil, clair.ErrNotFound},
		{"unknown_prev", uuid.New(), a.Ref, clair.ErrNotFound},
		{"two_updaters", a.Ref, b.Ref, clair.ErrInvalid},
		{"enrichment_cur", uuid.Nil, e.Ref, clair.ErrInvalid},
		{"enrichment_prev", e.Ref, a.Ref, clair.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := db.GetUpdateDiff(t.Context(), c.prev, c.cur)
			require.ErrorIs(t, err, c.is)
		})
	}
}

func TestDB_GetUpdateDiff_SurvivesDeletion(t *testing.T) {
	db := openNew(t)
	first, second := update(t, db, "u", "A1", "A2"), update(t, db, "u", "A2", "A3")
	update(t, db, "u", "A4")
	d, err := db.GetUpdateDiff(t.Context(), first.Ref, second.Ref)
	require.NoError(t, err)
	_, err = db.DeleteUpdateOperations(t.Context(), first.Ref, second.Ref)
	require.NoError(t, err)
	n, err := db.GC(t.Context(), 1)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, []string{"A3"}, names(t, d.Added))
	require.Equal(t, []string{"A1"}, names(t, d.Removed))
	d.Close()
	n, err = db.GC(t.Context(), 1)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
}

func records(tags ...string) iter.Seq2[clair.EnrichmentRecord, error] {
	return func(yield func(clair.EnrichmentRecord, error) bool) {
		for _, tag := range tags {
			if !yield(clair.EnrichmentRecord{Tags: []string{tag}, Enrichment: json.RawMessage(`{"of":"` + tag + `"}`)}, nil) {
				return
			}
		}
	}
}

func TestDB_Enrichments(t *testing.T) {
	db := openNew(t)
	_, err := db.UpdateEnrichments(t.Context(), "epss", "1", records("CVE-1", "CVE-2", "CVE-1"))
	require.NoError(t, err)
	_, err = db.UpdateEnrichments(t.Context(), "kev", "1", records("CVE-9"))
	require.NoError(t, err)
	got, err := db.GetEnrichment(t.Context(), "epss", []string{"CVE-1", "CVE-9"})
	require.NoError(t, err)
	require.Equal(t, []clair.EnrichmentRecord{{Tags: []string{"CVE-1"}, Enrichment: json.RawMessage(`{"of":"CVE-1"}`)}}, got)

	res, err := db.UpdateEnrichments(t.Context(), "epss", "2", records("CVE-2", "CVE-3"))
	require.NoError(t, err)
	require.EqualValues(t, []int64{1, 1, 1}, []int64{res.Added, res.Removed, res.Unchanged})
	got, err = db.GetEnrichment(t.Context(), "epss", []string{"CVE-1"})
	require.NoError(t, err)
	require.Empty(t, got, "older operations are not visible")

	for kind, want := range map[clair.Kind]int{clair.KindEnrichment: 2, clair.KindVulnerability: 0, "": 2} {
		refs, err := db.GetLatestUpdateRefs(t.Context(), kind)
		require.NoError(t, err)
		require.Len(t, refs, want)
	}
	ref, err := db.GetLatestUpdateRef(t.Context(), clair.KindEnrichment)
	require.NoError(t, err)
	require.Equal(t, res.Ref, ref)
	ref, err = db.GetLatestUpdateRef(t.Context(), clair.KindVulnerability)
	require.NoError(t, err)
	require.Equal(t, uuid.Nil, ref)

	n, err := db.GC(t.Context(), 1)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, []string{"CVE-2", "CVE-3", "CVE-9"}, list(t, db.Read, `SELECT tag FROM enrichment_tag ORDER BY tag`))

	_, err = db.UpdateEnrichments(t.Context(), "epss", "3", func(yield func(clair.EnrichmentRecord, error) bool) {
		yield(clair.EnrichmentRecord{Tags: []string{"x"}, Enrichment: json.RawMessage(`{`)}, nil)
	})
	require.ErrorIs(t, err, clair.ErrInvalid)
}

func TestDB_Initialized(t *testing.T) {
	db := openNew(t)
	is := func() bool {
		ok, err := db.Initialized(t.Context())
		require.NoError(t, err)
		return ok
	}
	require.False(t, is())
	_, err := db.UpdateEnrichments(t.Context(), "e", "", records("CVE-1"))
	require.NoError(t, err)
	require.False(t, is(), "enrichments do not count")
	res := update(t, db, "u") // an empty operation is one
	require.True(t, is())
	require.NoError(t, db.SetUpdateStatus(t.Context(), clair.UpdateStatus{
		Updater:     "u",
		Kind:        clair.KindVulnerability,
		LastSuccess: db.now(),
	}))
	_, err = db.DeleteUpdateOperations(t.Context(), res.Ref)
	require.NoError(t, err)
	require.True(t, is(), "once true it stays so")
}

func TestDB_Candidates(t *testing.T) {
	db := openNew(t)
	deb := func(name, pkg, kind, version string) *clair.Vulnerability {
		return &clair.Vulnerability{
			Name:    name,
			Package: &clair.Package{Name: pkg, Kind: kind},
			Dist: &clair.Distribution{
				DID:       "debian",
				Name:      "Debian GNU/Linux",
				VersionID: version,
			},
			FixedInVersion: "1",
		}
	}
	_, err := db.UpdateVulnerabilities(t.Context(), "debian", "", func(yield func(*clair.Vulnerability, error) bool) {
		_ = yield(deb("D1", "openssl", clair.Source, "12"), nil) && yield(deb("D2", "openssl", clair.Source, "11"), nil) &&
			yield(deb("D3", "openssl", clair.Binary, "12"), nil) && yield(deb("D4", "zlib", clair.Source, "12"), nil)
	})
	require.NoError(t, err)
	update(t, db, "go", "G1", "G2")
	update(t, db, "go", "G2")

	find := func(keep func(clair.Candidate) bool, lookups ...clair.Lookup) (out []string) {
		for c, err := range db.Candidates(t.Context(), lookups, keep) {
			require.NoError(t, err)
			out = append(out, fmt.Sprint(c.Lookup, " ", c.Vulnerability.Name))
		}
		slices.Sort(out)
		return out
	}
	debian12 := []clair.Constraint{{Field: clair.DistributionDID, Value: "debian"}, {Field: clair.DistributionVersionID, Value: "12"}}
	src := []clair.PackageKey{{Name: "openssl", Kind: clair.Source}, {Name: "zlib", Kind: clair.Source}, {Name: "none", Kind: clair.Source}}
	golang := clair.Lookup{Where: []clair.Constraint{{Field: clair.RepositoryName, Value: "go"}}, Packages: []clair.PackageKey{{Name: "pkg-1", Kind: clair.Binary}, {Name: "pkg-2", Kind: clair.Binary}}}

	require.Equal(t, []string{"0 D1", "0 D4"}, find(nil, clair.Lookup{Where: debian12, Packages: src}))
	require.Equal(t, []string{"0 D1", "0 D4", "1 G2"}, find(nil, clair.Lookup{Where: debian12, Packages: src}, golang))
	require.Equal(t, []string{"0 D3"}, find(nil, clair.Lookup{Where: debian12, Packages: []clair.PackageKey{{Name: "openssl", Kind: clair.Binary}}}))
	require.Empty(t, find(nil, clair.Lookup{Where: []clair.Constraint{{Field: clair.DistributionDID, Value: "ubuntu"}}, Packages: src}))
	require.Empty(t, find(nil, clair.Lookup{Where: []clair.Constraint{{Field: clair.PackageModule, Value: "m"}}, Packages: src}))
	require.Empty(t, find(func(clair.Candidate) bool { return false }, golang))
	require.Equal(t, []string{"0 G2"}, find(func(c clair.Candidate) bool {
		require.Equal(t, "go", c.Vulnerability.Updater)
		require.Equal(t, "go", c.Vulnerability.Repo.Name)
		require.Equal(t, "fixed=1.2.3", c.Vulnerability.FixedInVersion)
		return true
	}, golang))
}

func TestDB_FailedStream(t *testing.T) {
	db := openNew(t)
	boom := errors.New("boom")
	_, err := db.UpdateVulnerabilities(t.Context(), "u", "", feedOf(boom, "A1"))
	require.ErrorIs(t, err, boom)
	require.ErrorContains(t, err, "update u")
	ops, err := db.GetUpdateOperations(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, ops)
}
