package distro_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/distro"
)

// TestCorpus_Release finds the release of every system in the corpus.
func TestCorpus_Release(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t), "corpus", "inventories")
	t.Run("hosts", func(t *testing.T) {
		for _, name := range glob(t, dir, "hosts", "*.tsv.gz") {
			header := strings.Fields(strings.SplitN(read(t, name), "\n", 2)[0])
			family := strings.TrimPrefix(header[1], "family=")
			release := strings.TrimPrefix(header[2], "release=")
			r, ok := distro.ReleaseByName(family + ":" + release)
			require.True(t, ok, "%s: %v", name, header)
			t.Log(filepath.Base(name), header[1:3], r.Platform)
		}
	})
	t.Run("index_reports", func(t *testing.T) {
		for _, name := range glob(t, dir, "index-reports", "*.json.gz") {
			// Some of these reports are of images that had no digest yet.
			var report struct {
				Distributions map[string]*clair.Distribution
				Repositories  map[string]*clair.Repository `json:"repository"`
			}
			require.NoError(t, json.Unmarshal([]byte(read(t, name)), &report))
			for _, d := range report.Distributions {
				r, ok := distro.ReleaseOf(d)
				require.True(t, ok, "%+v", d)
				t.Log(filepath.Base(name), r.Platform)
			}
			for _, repo := range report.Repositories {
				if repo.Key == "rhel-cpe-repository" {
					r, ok := distro.ReleaseByCPE(repo.Name)
					require.True(t, ok, "%+v", repo)
					require.Equal(t, "rhel:8", r.Platform)
				}
			}
		}
	})
	t.Run("sboms", func(t *testing.T) {
		qualified := regexp.MustCompile(`pkg:(?:deb|rpm|apk)/([^/"]+)/[^"<\s]*[?&;]distro=([^&"<\s]+)`)
		found := map[string]string{}
		for _, name := range glob(t, dir, "sbom", "*") {
			for _, m := range qualified.FindAllStringSubmatch(read(t, name), -1) {
				text, err := url.QueryUnescape(m[2])
				require.NoError(t, err)
				r, ok := distro.ReleaseByPURL(m[1], text)
				require.True(t, ok, m[0])
				found[text] = r.Platform
			}
		}
		require.Equal(t, map[string]string{"alpine-3.17.2": "alpine:3.17", "debian-9": "debian:9", "debian-10.2": "debian:10", "fedora-44": "fedora:44",
			"rhel-9.6": "rhel:9", "centos-7.6.1810": "centos:7"}, found)
	})
}

func glob(t *testing.T, parts ...string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(parts...))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

// read returns a file of the corpus, decompressed.
func read(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if strings.HasSuffix(name, ".gz") {
		r, err = gzip.NewReader(r)
		require.NoError(t, err)
	}
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(b)
}
