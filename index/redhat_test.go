package index

import (
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// TestCoalesce_RedHat checks that the packages of an image of Red Hat have the
// repositories that a layer names, above or below.
func TestCoalesce_RedHat(t *testing.T) {
	const release = "ID=rhel\nNAME=\"Red Hat Enterprise Linux\"\nVERSION_ID=\"8.6\"\n"
	sets := file("root/buildinfo/content_manifests/a.json", `{"content_sets":["rhel-8-for-x86_64-baseos-eus-rpms__8_DOT_6"]}`)
	rpm := Database{Path: "var/lib/rpm/rpmdb.sqlite", Packages: pkgs("bash 4.4-1")}
	layer := func(n int, entries ...entry) *LayerResult {
		r, err := scan(t, makeTar(t, entries...), defaultLimits())
		require.NoError(t, err)
		return layerOf(n, *r)
	}
	os := layer(1, file("etc/os-release", release))
	os.Databases = []Database{rpm}
	for name, layers := range map[string][]*LayerResult{
		"above": {os, layer(2, sets)}, "below": {layer(2, sets), os},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Coalesce("sha256:"+clair.Digest(os.Layer[7:]), layers)
			require.NoError(t, err)
			checkReport(t, r)
			require.Len(t, r.Repositories, 1)
			for _, repo := range r.Repositories {
				require.Equal(t, "cpe:/o:redhat:rhel_eus:8.6::baseos", repo.Name)
				require.Equal(t, clair.RHELKey, repo.Key)
			}
			for id := range r.Packages {
				require.Len(t, r.Environments[id][0].RepositoryIDs, 1)
			}
		})
	}
	// Another distribution's packages have none.
	debian := layer(1, file("etc/os-release", debianRelease), sets)
	debian.Databases = []Database{rpm}
	r, err := Coalesce(debian.Layer, []*LayerResult{debian})
	require.NoError(t, err)
	require.Empty(t, r.Repositories)
}
