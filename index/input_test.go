package index

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/distro"
)

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, b, 0o644))
	return name
}

// dockerSave makes what docker save writes, layers after the list of them.
func dockerSave(t testing.TB, layers ...[]byte) []byte {
	var ids, names []string
	var entries []entry
	for i, l := range layers {
		ids = append(ids, `"`+string(digest(l))+`"`)
		names = append(names, fmt.Sprintf(`"%d/layer.tar"`, i))
	}
	entries = append(entries, entry{name: "manifest.json", body: `[{"Config":"c.json","RepoTags":["a:1"],"Layers":[` + strings.Join(names, ",") + `]}]`},
		entry{name: "c.json", body: `{"rootfs":{"type":"layers","diff_ids":[` + strings.Join(ids, ",") + `]}}`})
	for i, l := range layers {
		entries = append(entries, entry{name: fmt.Sprintf("%d/layer.tar", i), body: string(l)})
	}
	return makeTar(t, entries...)
}

// ociLayout makes the files of an OCI layout with compressed layers.
func ociLayout(t testing.TB, layers ...[]byte) []entry {
	var list []string
	out := []entry{{name: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}`}}
	for _, l := range layers {
		l = gzipped(t, l)
		list = append(list, fmt.Sprintf(`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}`, digest(l), len(l)))
		out = append(out, entry{name: blobName(digest(l)), body: string(l)})
	}
	manifest := `{"schemaVersion":2,"layers":[` + strings.Join(list, ",") + `]}`
	index := `{"manifests":[{"digest":"` + string(digest([]byte("x"))) + `","platform":{"os":"unknown"}},{"digest":"` + string(digest([]byte(manifest))) + `"}]}`
	return append(out, entry{name: blobName(digest([]byte(manifest))), body: manifest}, entry{name: "index.json", body: index})
}

// names lists a report's packages and their layers' places in the image.
func names(r *clair.IndexReport) []string {
	var out []string
	for _, p := range r.Packages {
		out = append(out, p.Name+" "+p.Version)
	}
	return sorted(out)
}

func TestReadInput(t *testing.T) {
	base := makeTar(t, entry{name: "usr/lib/os-release", body: debianRelease}, entry{name: "var/lib/dpkg/status", body: dpkgText})
	top := makeTar(t, entry{name: "app/node_modules/a/package.json", body: `{"name":"a","version":"1.0.0"}`})
	want := []string{"a 1.0.0", "libc6 2.36-9+deb12u1", "tzdata 2024a-0"}
	layout := ociLayout(t, base, top)
	dir, root := t.TempDir(), t.TempDir()
	for _, e := range layout {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, e.name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, e.name), []byte(e.body), 0o644))
	}
	for name, body := range map[string]string{"usr/lib/os-release": debianRelease, "var/lib/dpkg/status": dpkgText, "app/node_modules/a/package.json": `{"name":"a","version":"1.0.0"}`} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(body), 0o644))
	}
	require.NoError(t, os.Symlink("/etc", filepath.Join(root, "link")))
	oci, err := ReadInput(t.Context(), dir, InputOptions{})
	require.NoError(t, err)
	report, err := json.Marshal(oci.Report)
	require.NoError(t, err)
	saved := dockerSave(t, base, top)
	for kind, name := range map[string]string{
		"docker image": write(t, "a", saved), "docker image, packed": write(t, "a.gz", gzipped(t, saved)),
		"OCI image": write(t, "b", makeTar(t, layout...)), "OCI image, unpacked": dir,
		"root directory": root, "index report": write(t, "r", report),
		"tar of a root directory": write(t, "c", makeTar(t, entry{name: "usr/lib/os-release", body: debianRelease},
			entry{name: "var/lib/dpkg/status", body: dpkgText}, entry{name: "app/node_modules/a/package.json", body: `{"name":"a","version":"1.0.0"}`})),
	} {
		t.Run(kind, func(t *testing.T) {
			tmp := t.TempDir()
			in, err := ReadInput(t.Context(), name, InputOptions{TempDir: tmp})
			require.NoError(t, err)
			kind, _, _ := strings.Cut(kind, ",")
			require.Equal(t, kind, in.Kind)
			require.Equal(t, want, names(in.Report))
			checkReport(t, in.Report)
			again, err := ReadInput(t.Context(), name, InputOptions{})
			require.NoError(t, err)
			require.Equal(t, in, again)
			left, err := os.ReadDir(tmp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestReadInput_DatabasesAndDocuments(t *testing.T) {
	release, _ := distro.ReleaseByName("debian:12")
	for kind, b := range map[string][]byte{
		"dpkg database":              []byte(dpkgText),
		"apk database":               []byte("C:Q1\nP:musl\nV:1.2\no:musl\n\n"),
		"SPDX SBOM":                  []byte(tagValue),
		"CycloneDX SBOM":             []byte(` <?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component type="library"><purl>pkg:npm/a@1</purl></component></components></bom>`),
		"syft SBOM":                  []byte(`{"artifacts":[{"name":"a","version":"1","purl":"pkg:npm/a@1"}],"descriptor":{"name":"syft"},"schema":{}}`),
		"GitHub dependency snapshot": []byte(`{"detector":{},"manifests":{"m":{"resolved":{"a":{"package_url":"pkg:npm/a@1"}}}}}`),
	} {
		t.Run(kind, func(t *testing.T) {
			in, err := ReadInput(t.Context(), write(t, "x", b), InputOptions{Release: &release})
			require.NoError(t, err)
			require.Equal(t, kind, in.Kind)
			require.NotEmpty(t, in.Report.Packages)
			require.Equal(t, DigestOf(b), in.Report.Hash)
		})
	}
}

func TestReadInput_Invalid(t *testing.T) {
	blob := entry{name: blobName(digest(nil)), body: "{}"}
	for name, c := range map[string]struct{ text, reason string }{
		"empty":               {"", "unrecognized"},
		"text":                {"hello", "unrecognized"},
		"mark_alone":          {"\ufeff", "unrecognized"},
		"utf16_mark_alone":    {"\xff\xfe", "unrecognized"},
		"cut_utf16":           {"\xff\xfe{\x00}", "cut off"},
		"empty_json":          {"{}", "unrecognized JSON"},
		"cut_json":            {"{", "invalid"},
		"html":                {"<html/>", "expected element"},
		"database_alone":      {dpkgText, "does not name its distribution"},
		"cut_image":           {string(dockerSave(t))[:600], "no file"},
		"image_list_empty":    {string(makeTar(t, file("manifest.json", "[]"))), "0 images"},
		"image_out_of_root":   {string(makeTar(t, file("manifest.json", `[{"Config":"../c","Layers":["../../etc/passwd"]}]`))), "no file"},
		"manifest_is_a_link":  {string(makeTar(t, symlink("manifest.json", "manifest.json"))), "no file"},
		"manifest_of_another": {string(makeTar(t, file("oci-layout", ""), file("index.json", `{"manifests":[{"digest":"`+string(digest(nil))+`"}]}`), blob)), "another digest"},
		"large_manifest":      {string(makeTar(t, file("oci-layout", ""), file("index.json", `{"manifests":[],"x":"`+strings.Repeat("x", 1<<20)+`"}`))), "holds no image"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadInput(t.Context(), write(t, "x", []byte(c.text)), InputOptions{})
			require.ErrorIs(t, err, clair.ErrInvalid)
			require.ErrorContains(t, err, c.reason)
		})
	}
	_, err := ReadInput(t.Context(), filepath.Join(t.TempDir(), "none"), InputOptions{})
	require.ErrorIs(t, err, clair.ErrNotFound)
	for name, input := range map[string]string{"empty_directory": t.TempDir(), "device": os.DevNull} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadInput(t.Context(), input, InputOptions{})
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
}

// TestReadInput_RealImage reads a real image and, from the corpus, the database
// that others extracted from it.
func TestReadInput_RealImage(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t), "corpus", "inventories")
	in, err := ReadInput(t.Context(), filepath.Join(dir, "images", "alpine-3.10-docker-archive.tar.gz"), InputOptions{})
	require.NoError(t, err)
	checkReport(t, in.Report)
	release, _ := distro.ReleaseByName("alpine:3.10")
	alone, err := ReadInput(t.Context(), filepath.Join(dir, "apk", "alpine-3.10.4.installed"), InputOptions{Release: &release})
	require.NoError(t, err)
	require.Equal(t, "docker image", in.Kind)
	require.Equal(t, names(alone.Report), names(in.Report))
	require.Len(t, in.Report.Packages, 14)
	for _, d := range in.Report.Distributions {
		r, ok := distro.ReleaseOf(d)
		require.True(t, ok)
		require.Equal(t, release, r)
	}
}
