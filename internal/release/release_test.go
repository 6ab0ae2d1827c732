package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/index"
	"oriel/index/sbom"
)

// TestBillOfMaterials makes the document of this test's own program, and reads
// it as Oriel reads any SBOM.
func TestBillOfMaterials(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	document, version, err := billOfMaterials(self, time.Unix(1_700_000_000, 0).UTC())
	require.NoError(t, err)
	require.NotEmpty(t, version)
	again, _, err := billOfMaterials(self, time.Unix(1_700_000_000, 0).UTC())
	require.NoError(t, err)
	require.Equal(t, string(document), string(again))

	format, ok := sbom.FormatOf("application/vnd.cyclonedx+json")
	require.True(t, ok)
	report, err := index.ReadSBOM(format, document, index.SBOMOptions{})
	require.NoError(t, err)
	found := map[string]string{}
	for _, p := range report.Packages {
		found[p.Name] = p.Version
	}
	require.NotEmpty(t, found["stdlib"])
	require.NotEmpty(t, found["github.com/CycloneDX/cyclonedx-go"])

	_, _, err = billOfMaterials("main.go", time.Time{})
	require.ErrorContains(t, err, "main.go")
}

// TestPack reads both kinds of archives back.
func TestPack(t *testing.T) {
	t.Chdir("../..")
	binary := filepath.Join(t.TempDir(), "oriel")
	require.NoError(t, os.WriteFile(binary, []byte("program"), 0o600))
	made := time.Unix(1_700_000_000, 0).UTC()
	want := []string{"oriel-1/CHANGELOG.md", "oriel-1/LICENSE", "oriel-1/README.md", "oriel-1/config.example.toml", "oriel-1/oriel"}

	out := t.TempDir()
	name, err := platform{"linux", "amd64"}.pack(out, "oriel-1", binary, nil, made)
	require.NoError(t, err)
	require.Equal(t, want, tarNames(t, filepath.Join(out, name)))
	first, err := os.ReadFile(filepath.Join(out, name))
	require.NoError(t, err)
	_, err = platform{"linux", "amd64"}.pack(out, "oriel-1", binary, nil, made)
	require.NoError(t, err)
	second, err := os.ReadFile(filepath.Join(out, name))
	require.NoError(t, err)
	require.Equal(t, first, second, "the same members make the same archive")

	name, err = platform{"windows", "amd64"}.pack(out, "oriel-1", binary, nil, made)
	require.NoError(t, err)
	zipped, err := zip.OpenReader(filepath.Join(out, name))
	require.NoError(t, err)
	defer zipped.Close()
	var names []string
	for _, f := range zipped.File {
		names = append(names, f.Name)
	}
	require.Equal(t, want, names)
	require.Equal(t, os.FileMode(0o755), zipped.File[4].Mode().Perm())

	require.NoError(t, writeSums(out, []string{name}))
	sums, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{64}  oriel-1\.zip\n$`, string(sums))
}

// tarNames lists the members of a compressed tar.
func tarNames(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	require.NoError(t, err)
	var names []string
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err)
		names = append(names, h.Name)
	}
}

// TestWriteDocuments checks that every command has a manual page, and that the
// completions are there.
func TestWriteDocuments(t *testing.T) {
	members, err := writeDocuments(t.TempDir(), time.Unix(1_700_000_000, 0).UTC())
	require.NoError(t, err)
	var names []string
	for _, m := range members {
		names = append(names, m.name)
		info, err := os.Stat(m.file)
		require.NoError(t, err)
		require.NotZero(t, info.Size(), m.name)
	}
	require.Subset(t, names, []string{
		"man/oriel.1", "man/oriel-serve.1", "man/oriel-report.1", "man/oriel-scan.1",
		"completions/oriel.bash", "completions/oriel.zsh", "completions/oriel.fish", "completions/oriel.ps1",
	})
}
