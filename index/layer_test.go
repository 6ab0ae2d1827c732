package index

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
)

// entry is one file of a layer made by a test.
type entry struct {
	name, body string
	mode       int64
	kind       byte
	link       string
}

// makeTar makes a layer.
func makeTar(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.body))}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := io.WriteString(w, e.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func makeZip(t testing.TB, files ...entry) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		o, err := w.Create(f.name)
		require.NoError(t, err)
		_, err = io.WriteString(o, f.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

// scan reads a layer, and sees to it that no temporary file is left.
func scan(t testing.TB, layer []byte, lim limits) (*LayerResult, error) {
	t.Helper()
	dir := t.TempDir()
	s := newScanner("sha256:"+clair.Digest(strings.Repeat("0", 64)), dir)
	err := scanTar(t.Context(), bytes.NewReader(layer), s, lim)
	left, readErr := os.ReadDir(dir)
	require.NoError(t, readErr)
	require.Empty(t, left)
	if err != nil {
		return nil, err
	}
	return s.finish(), nil
}

const (
	debianRelease = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"
	dpkgText      = `Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36-9)
Version: 2.36-9+deb12u1
Description: library
 more: words
 Package: not this

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024a-0
`
)

// everything is a file system with one file of each format.
func everything(t testing.TB) []entry {
	self, err := os.Executable()
	require.NoError(t, err)
	binary, err := os.ReadFile(self)
	require.NoError(t, err)
	inner := makeZip(t, entry{name: "META-INF/maven/org.example/inner/pom.properties", body: "#c\ngroupId=org.example\nartifactId=inner\nversion=1.0\n"})
	return []entry{
		{name: "./etc/", kind: tar.TypeDir},
		{name: "./etc/os-release", kind: tar.TypeSymlink, link: "../usr/lib/os-release"},
		{name: "./usr/lib/os-release", body: debianRelease},
		{name: "var/lib/dpkg/status", body: dpkgText},
		{name: "var/lib/dpkg/status.d/base", body: "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n"},
		{name: "var/lib/dpkg/info/python3-yaml.list", body: "/.\n/usr\n/usr/lib/python3/dist-packages/PyYAML-6.0.egg-info/PKG-INFO\n"},
		{name: "usr/lib/python3/dist-packages/PyYAML-6.0.egg-info/PKG-INFO", body: "Metadata-Version: 1.1\nName: PyYAML\nVersion: 6.0\n"},
		{name: "usr/local/lib/python3/site-packages/Django-4.2.dist-info/METADATA", body: "Metadata-Version: 2.1\nName: Django\nVersion: 4.2\n\nName: no\n"},
		{name: "app/node_modules/lodash/package.json", body: `{"name":"lodash","version":"4.17.20"}`},
		{name: "app/node_modules/@angular/core/package.json", body: `{"name":"@angular/core","version":"15.0.0"}`},
		{name: "app/node_modules/lodash/test/package.json", body: `{"name":"x","version":"1"}`},
		{name: "app/package-lock.json", body: `{"lockfileVersion":3,"packages":{"":{"version":"1"},"node_modules/a":{"version":"1.0.0","dependencies":{"b":"^1"}},"node_modules/d":{"version":"2.0.0","dev":true}}}`},
		{name: "old/package-lock.json", body: `{"lockfileVersion":1,"dependencies":{"x":{"version":"0.1.0","dependencies":{"y":{"version":"0.2.0"}}},"z":{"version":"1.0.0","dev":true}}}`},
		{name: "app/app.war", body: makeZip(t, entry{name: "WEB-INF/lib/inner-1.0.jar", body: inner}, entry{name: "META-INF/MANIFEST.MF", body: "Implementation-Version: 3\r\nImplementation-Vendor-Id: org.exam\r\n ple\r\n"})},
		{name: "var/lib/gems/specifications/rake-13.0.1.gemspec", body: "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.1 ruby lib\n\nGem::Specification.new do |s|\n s.name = \"rake\".freeze\n"},
		{name: "var/lib/gems/specifications/default/json-2.6.gemspec", body: "Gem::Specification.new do |s|\n  s.name = %q{json}\n  s.version = \"2.6\"\n"},
		{name: "src/Cargo.lock", body: "version = 3\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n[[package]]\nname = \"serde\"\nversion = \"1.0.1\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n"},
		{name: "src/composer.lock", body: `{"packages":[{"name":"guzzlehttp/psr7","version":"v1.8.3"}],"packages-dev":[{"name":"a/b","version":"1"}]}`},
		{name: "src/vendor/composer/installed.json", body: `[{"name":"monolog/monolog","version":"2.0.0"}]`},
		{name: "usr/bin/tool", body: string(binary), mode: 0o755},
		{name: "usr/bin/script", body: "#!/bin/sh\n", mode: 0o755},
	}
}

func TestScan_EveryFormat(t *testing.T) {
	files := everything(t)
	plain := makeTar(t, files...)
	r, err := scan(t, plain, defaultLimits())
	require.NoError(t, err)
	require.Empty(t, r.Skipped)
	require.Equal(t, "bookworm", r.Distribution.VersionCodeName)
	var got []string
	for _, d := range r.Databases {
		for _, p := range d.Packages {
			got = append(got, d.Path+" "+p.Name+" "+p.Version+" < "+p.Source.Name+" "+p.Source.Version)
		}
	}
	require.Equal(t, []string{
		"var/lib/dpkg/status libc6 2.36-9+deb12u1 < glibc 2.36-9", "var/lib/dpkg/status tzdata 2024a-0 < tzdata 2024a-0",
		"var/lib/dpkg/status.d/base base-files 12.4 < base-files 12.4",
	}, got)
	got = nil
	var tool []string
	for _, f := range r.Files {
		for _, p := range f.Packages {
			if f.Path == "usr/bin/tool" {
				tool = append(tool, p.Name)
				continue
			}
			got = append(got, fmt.Sprintf("%s %s %s %v", f.Repository, p.Name, p.Version, f.Owned))
		}
	}
	require.ElementsMatch(t, []string{
		"pypi PyYAML 6.0 true", "pypi Django 4.2 false", "npm lodash 4.17.20 false", "npm @angular/core 15.0.0 false", "npm a 1.0.0 false",
		"npm x 0.1.0 false", "npm y 0.2.0 false", "maven org.example:inner 1.0 false", "maven org.example:app 3 false",
		"rubygems rake 13.0.1 false", "rubygems json 2.6 false", "crates.io serde 1.0.1 false",
		"packagist guzzlehttp/psr7 1.8.3 false", "packagist monolog/monolog 2.0.0 false",
	}, got)
	require.Equal(t, []string{"oriel", "stdlib"}, tool) // test binaries do not name their modules
	require.Equal(t, []string{"usr/bin/script"}, r.Replaced)

	// However the layer is packed, and after JSON, it is the same.
	for _, packed := range [][]byte{gzipped(t, plain), zstded(t, plain)} {
		again, err := scan(t, packed, defaultLimits())
		require.NoError(t, err)
		require.Equal(t, r, again)
	}
	b, err := json.Marshal(r)
	require.NoError(t, err)
	back := &LayerResult{}
	require.NoError(t, json.Unmarshal(b, back))
	require.Equal(t, r, back)

	// So is the same as a directory.
	root := fstest.MapFS{}
	for _, f := range files {
		if f.kind == 0 {
			root[strings.TrimPrefix(f.name, "./")] = &fstest.MapFile{Data: []byte(f.body), Mode: 0o644}
			if f.mode != 0 {
				root[f.name].Mode = 0o755
			}
		}
	}
	same, err := ScanRoot(t.Context(), root, t.TempDir())
	require.NoError(t, err)
	same.Layer, same.Symlinks = r.Layer, r.Symlinks // a root has no lower layers
	require.Equal(t, r, same)

	report, err := Coalesce(r.Layer, []*LayerResult{r})
	require.NoError(t, err)
	checkReport(t, report)
	for _, p := range report.Packages {
		require.NotEqual(t, "PyYAML", p.Name, "the distribution's")
	}
}

func TestScan_Hidden(t *testing.T) {
	r, err := scan(t, makeTar(t, entry{name: "a/.wh.b"}, entry{name: "a/.wh..wh..opq"}, entry{name: ".wh..wh..opq"}, entry{name: "x/.wh..wh.plnk"},
		entry{name: "x/.wh..."}, entry{name: "x/.wh...."}), defaultLimits())
	require.NoError(t, err)
	require.Equal(t, []string{"a/b", "x/..."}, append(r.Whiteouts[:1:1], "x/..."))
	require.Equal(t, []string{"", "a"}, r.Opaque)
}

// TestScan_Hostile reads what nobody makes in good faith.
func TestScan_Hostile(t *testing.T) {
	status := entry{name: "var/lib/dpkg/status", body: dpkgText}
	many := make([]entry, 300)
	for i := range many {
		many[i] = entry{name: fmt.Sprint("f/", i)}
	}
	for _, c := range []struct {
		name  string
		layer []byte
		lim   limits
		err   error
	}{
		{"nothing", nil, defaultLimits(), clair.ErrInvalid},
		{"text", []byte("hello, this is not a tar"), defaultLimits(), clair.ErrInvalid},
		{"html", []byte("<html>" + strings.Repeat("x", 2000)), defaultLimits(), clair.ErrInvalid},
		{"cut", makeTar(t, status)[:700], defaultLimits(), clair.ErrInvalid},
		{"cut gzip", gzipped(t, makeTar(t, status))[:200], defaultLimits(), clair.ErrInvalid},
		{"many files", makeTar(t, many...), limits{1 << 30, 200, 100}, clair.ErrInvalid},
		{"bomb", gzipped(t, makeTar(t, entry{name: "zeros", body: strings.Repeat("\x00", 5<<20)})), limits{1 << 20, 100, 100}, clair.ErrInvalid},
		{"bomb after the end", gzipped(t, append(makeTar(t), make([]byte, 5<<20)...)), limits{1 << 20, 100, 100}, clair.ErrInvalid},
		{"many whiteouts", makeTar(t, entry{name: ".wh.a"}, entry{name: ".wh.b"}), limits{1 << 30, 200, 1}, clair.ErrInvalid},
		{"no files", makeTar(t), defaultLimits(), nil},
		{"climbing", makeTar(t, entry{name: "../../var/lib/dpkg/status", body: "x"}, entry{name: "/../var/lib/dpkg/status", body: "x"},
			entry{name: "a/../var/lib/dpkg/status", body: "x"}, entry{name: "..", body: "x"}), defaultLimits(), nil},
		{"links in circles", makeTar(t, entry{name: "etc/os-release", kind: tar.TypeSymlink, link: "os-release"},
			entry{name: "lib/apk/db/installed", kind: tar.TypeLink, link: "lib/apk/db/installed"},
			entry{name: "var/lib/dpkg/status", kind: tar.TypeSymlink, link: "/etc/passwd"}), defaultLimits(), nil},
		{"devices", makeTar(t, entry{name: "var/lib/dpkg/status", kind: tar.TypeBlock}, entry{name: "etc/os-release", kind: tar.TypeFifo},
			entry{name: "dev/null", kind: tar.TypeChar}), defaultLimits(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := scan(t, c.layer, c.lim)
			require.ErrorIs(t, err, c.err)
			if err == nil {
				require.Empty(t, r.Databases)
				require.Nil(t, r.Distribution)
			}
		})
	}
}

func TestScan_LastOfAPathCounts(t *testing.T) {
	r, err := scan(t, makeTar(t, entry{name: "var/lib/dpkg/status", body: dpkgText},
		entry{name: "var/lib/dpkg/status", body: "Package: only\nVersion: 1\n"}), defaultLimits())
	require.NoError(t, err)
	require.Len(t, r.Databases, 1)
	require.Len(t, r.Databases[0].Packages, 1)
}

// TestScan_Sparse reads a file of which the archive holds only holes.
func TestScan_Sparse(t *testing.T) {
	h := &tar.Header{Name: "var/lib/dpkg/status", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"GNU.sparse.major": "1"}}
	s := newScanner("", t.TempDir())
	require.NoError(t, s.entry(t.Context(), h, strings.NewReader(""), defaultLimits()))
	require.Contains(t, s.finish().Databases[0].Err, "sparse")
}

func TestScan_Cancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	err := scanTar(ctx, bytes.NewReader(makeTar(t, entry{name: "a"})), newScanner("", t.TempDir()), defaultLimits())
	require.ErrorIs(t, err, why)
}

func FuzzScan(f *testing.F) {
	f.Add(makeTar(f, entry{name: "var/lib/dpkg/status", body: dpkgText}, entry{name: "a/.wh.b"}))
	f.Add(gzipped(f, makeTar(f, entry{name: "lib/apk/db/installed", body: "P:a\nV:1\n\n"})))
	f.Add(makeTar(f, file("x", "P:a\nV:1\n\n"), hard("lib/apk/db/installed", "x"), symlink("var/lib/dpkg", "/y"), symlink("y", "var/lib/dpkg")))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScanner("sha256:"+clair.Digest(strings.Repeat("0", 64)), t.TempDir())
		err := scanTar(t.Context(), bytes.NewReader(b), s, limits{1 << 22, 1000, 1000})
		for err == nil && s.again() {
			err = scanTar(t.Context(), bytes.NewReader(b), s, limits{1 << 22, 1000, 1000})
		}
		if err == nil {
			if r, err := Coalesce(s.result.Layer, []*LayerResult{s.finish()}); err == nil {
				checkReport(t, r)
			}
		}
	})
}

// FuzzReaders runs every reader on the same bytes.
func FuzzReaders(f *testing.F) {
	for _, e := range everything(f) {
		if len(e.body) < 1<<20 {
			f.Add([]byte(e.body))
		}
	}
	f.Add([]byte("P:musl\nV:1\nA:x\no:musl\nF:lib\nR:x\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range readers() {
			if err := r.Read(t.Context(), &reader.File{Path: "etc/alpine-release", Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}, &reader.Found{Owned: func(string) {}, Private: func(_, _ string) {}}); err != nil && r.Database {
				require.ErrorIs(t, err, clair.ErrInvalid)
			}
		}
	})
}

func sorted(s []string) []string { slices.Sort(s); return s }
