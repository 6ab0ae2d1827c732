package system

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/index/reader/readertest"
)

// TestReaders_RealDatabases counts, the slow and simple way, what real
// databases hold.
func TestReaders_RealDatabases(t *testing.T) {
	for _, name := range []string{"dpkg/debian12-devhost.status.gz", "dpkg/debian11-server-modelled.status.gz", "dpkg/debian12-server-modelled.status.gz",
		"dpkg/debian13-server-modelled.status.gz", "dpkg/postgresql.status", "dpkg/ubuntu1804-texlive.status.gz", "dpkg/debian-only.status"} {
		b := readertest.Corpus(t, append([]string{"inventories"}, strings.Split(name, "/")...)...)
		got, err := readertest.Read(t, Dpkg(), "var/lib/dpkg/status", b)
		require.NoError(t, err, name)
		var want, have []string
		for paragraph := range strings.SplitSeq(string(b), "\n\n") {
			f := map[string]string{}
			for line := range strings.SplitSeq(paragraph, "\n") {
				if k, v, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(k, " ") {
					f[k] = v
				}
			}
			if f["Package"] != "" && (f["Status"] == "" || strings.HasSuffix(f["Status"], " installed")) {
				want = append(want, f["Package"]+" "+f["Version"]+" "+f["Architecture"])
			}
		}
		for _, p := range got {
			have = append(have, p.Name+" "+p.Version+" "+p.Arch)
			require.NotNil(t, p.Source)
		}
		require.NotEmpty(t, want)
		require.Equal(t, slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(have)), name)
	}
	for _, name := range []string{"alpine-3.10.4.installed", "alpine-3.11.5.installed"} {
		b := readertest.Corpus(t, "inventories", "apk", name)
		got, err := readertest.Read(t, Apk(), apkPaths[0], b)
		require.NoError(t, err)
		require.Len(t, got, 14)
		require.Equal(t, strings.Count("\n"+string(b), "\nP:"), len(got))
	}
}
