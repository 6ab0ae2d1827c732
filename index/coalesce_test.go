package index

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func layerOf(n int, l LayerResult) *LayerResult {
	l.Layer = clair.Digest("sha256:" + strings.Repeat(fmt.Sprint(n), 64))
	return &l
}

func pkgs(names ...string) []clair.Package {
	var out []clair.Package
	for _, n := range names {
		name, ver, _ := strings.Cut(n, " ")
		out = append(out, clair.Package{Name: name, Version: ver, Kind: clair.Binary})
	}
	return out
}

func TestCoalesce(t *testing.T) {
	const db = "lib/apk/db/installed"
	alpine := func(v string) *clair.Distribution {
		return &clair.Distribution{DID: "alpine", Name: "Alpine Linux", VersionID: v}
	}
	layers := []*LayerResult{
		layerOf(1, LayerResult{Distribution: alpine("3.17"), Databases: []Database{{Path: db, Packages: pkgs("busybox 1", "musl 1", "old 1")}},
			Files: []PackageFile{
				{Path: "app/a/METADATA", Repository: "pypi", Packages: pkgs("gone 1")}, {Path: "opt/x/METADATA", Repository: "pypi", Packages: pkgs("hidden 1")},
				{Path: "opt/y", Repository: "go", Packages: pkgs("replaced 1")}, {Path: "srv/z", Repository: "go", Packages: pkgs("stays 1")},
				{Path: "usr/owned", Repository: "pypi", Packages: pkgs("owned 1"), Owned: true},
			}}),
		layerOf(2, LayerResult{Databases: []Database{{Path: db, Packages: pkgs("busybox 2", "musl 1", "new 1")}},
			Whiteouts: []string{"app/a"}, Opaque: []string{"opt"}, Replaced: []string{"opt/y"},
			Files: []PackageFile{{Path: "opt/z", Repository: "go", Packages: pkgs("stays 1")}}}),
		layerOf(3, LayerResult{Distribution: alpine("3.18")}),
	}
	r, err := Coalesce("sha256:"+clair.Digest(strings.Repeat("a", 64)), layers)
	require.NoError(t, err)
	checkReport(t, r)
	var got []string
	for id, p := range r.Packages {
		for _, e := range r.Environments[id] {
			d := r.Distributions[e.DistributionID]
			version := ""
			if d != nil {
				version = d.VersionID
			}
			got = append(got, fmt.Sprintf("%s %s %s %c %s", p.Name, p.Version, e.PackageDB, e.IntroducedIn[7], version))
		}
	}
	require.ElementsMatch(t, []string{
		"busybox 2 lib/apk/db/installed 2 3.17", "musl 1 lib/apk/db/installed 1 3.17", "new 1 lib/apk/db/installed 2 3.17",
		"stays 1 srv/z 1 ", "stays 1 opt/z 2 ",
	}, got)
}

// TestCoalesce_DamagedDatabase checks that a database that cannot be read is
// an error only if it counts.
func TestCoalesce_DamagedDatabase(t *testing.T) {
	const db = "lib/apk/db/installed"
	good := layerOf(1, LayerResult{
		Distribution: &clair.Distribution{DID: "alpine", VersionID: "3.17"},
		Databases:    []Database{{Path: db, Packages: pkgs("busybox 1")}},
	})
	bad := layerOf(2, LayerResult{Databases: []Database{{Path: db, Err: "damaged"}}})
	for name, c := range map[string]struct {
		layers []*LayerResult
		err    string
	}{
		"on_top":   {[]*LayerResult{good, bad}, "damaged"},
		"below":    {[]*LayerResult{bad, good}, ""},
		"deleted":  {[]*LayerResult{good, bad, layerOf(3, LayerResult{Whiteouts: []string{"lib"}})}, ""},
		"replaced": {[]*LayerResult{bad, layerOf(3, LayerResult{Replaced: []string{db}})}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Coalesce(good.Layer, c.layers)
			if c.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, clair.ErrInvalid)
			require.ErrorContains(t, err, c.err)
		})
	}
}
