// Package feedtest has helpers that tests of several formats share: fixtures,
// archives in memory, and rows in one line each.
package feedtest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"oriel/clair"
	"oriel/internal/corpus"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// brief returns a row in one line, for comparing whole feeds.
func brief(v *clair.Vulnerability) string {
	var b strings.Builder
	if v.Dist != nil {
		r, ok := distro.ReleaseOf(v.Dist)
		if !ok {
			return fmt.Sprintf("%s: %+v is of no release", v.Name, v.Dist)
		}
		b.WriteString(r.Platform)
	}
	if v.Repo != nil {
		fmt.Fprintf(&b, "[%s %s]", v.Repo.Key, v.Repo.Name)
	}
	fmt.Fprintf(&b, " %s %s:%s", v.Name, v.Package.Kind, v.Package.Name)
	if v.FixedInVersion != "" {
		b.WriteString(" <" + v.FixedInVersion)
	}
	if v.Package.Version != "" {
		b.WriteString(" <=" + v.Package.Version)
	}
	if v.ArchOperation != "" {
		fmt.Fprintf(&b, " %s(%s)", v.ArchOperation, v.Package.Arch)
	}
	if v.Package.Module != "" {
		b.WriteString(" module " + v.Package.Module)
	}
	fmt.Fprintf(&b, " %s", v.NormalizedSeverity)
	if len(v.Aliases) > 0 {
		fmt.Fprintf(&b, " %v", v.Aliases)
	}
	return b.String()
}

// Collect reads rows to their end. It returns the rows in brief and in order,
// the skipped ones, and the error that ended them.
func Collect(in feed.Rows) (found, skipped []string, err error) {
	for v, e := range in {
		var record *clair.RecordError
		switch {
		case errors.As(e, &record):
			skipped = append(skipped, record.Error())
		case e != nil:
			err = e
		default:
			found = append(found, brief(v))
		}
	}
	slices.Sort(found)
	slices.Sort(skipped)
	return found, skipped, err
}

// Fixture reads a file of updater/testdata.
func Fixture(t testing.TB, parts ...string) []byte {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	testdata := filepath.Join(filepath.Dir(file), "..", "..", "..", "updater", "testdata")
	b, err := os.ReadFile(filepath.Join(append([]string{testdata}, parts...)...))
	require.NoError(t, err)
	return b
}

// Opener returns a function that opens the bytes again for each pass.
func Opener(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// Platform returns the release of a platform.
func Platform(t testing.TB, name string) distro.Release {
	t.Helper()
	r, ok := distro.ReleaseByName(name)
	require.True(t, ok, name)
	return r
}

// Parsed is the result of parsing a feed.
type Parsed struct {
	Rows    []*clair.Vulnerability
	Skipped []*clair.RecordError
	Err     error
}

func ParseAll(t testing.TB, u clair.Updater) (p Parsed) {
	t.Helper()
	r, _, err := u.Fetch(t.Context(), "")
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	for v, err := range u.Parse(t.Context(), r) {
		require.NoError(t, p.Err, "something came after the last error")
		e, isSkip := errors.AsType[*clair.RecordError](err)
		switch {
		case err == nil:
			p.Rows = append(p.Rows, v)
		case isSkip:
			p.Skipped = append(p.Skipped, e)
		default:
			p.Err = err
		}
	}
	return p
}

func ZipOf(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, r := range records {
		f, err := w.Create(fmt.Sprintf("%d.json", i))
		require.NoError(t, err)
		_, err = f.Write([]byte(r))
		require.NoError(t, err)
	}
	f, err := w.Create("README.md")
	require.NoError(t, err)
	_, err = f.Write([]byte("no record"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TarOf(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, r := range records {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("osv/%d.json", i), Mode: 0o600, Size: int64(len(r)), Format: tar.FormatPAX}))
		_, err := w.Write([]byte(r))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// CorpusFiles returns the feeds of the corpus that match a pattern under
// feeds/ and feeds-next/.
func CorpusFiles(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(corpus.Dir(t), "corpus", "feeds*", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

// Unzipped returns a function that opens a gzipped file for each pass.
func Unzipped(name string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{z, f}, nil
	}
}

func Slurp(t testing.TB, name string) []byte {
	t.Helper()
	r, err := Unzipped(name)()
	require.NoError(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

// MaxHeap is the memory that a parser may use for any feed of the corpus.
const MaxHeap = 24 << 20

// ArchiveOf returns an archive of names and bodies.
func ArchiveOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{
			Name: files[i], Mode: 0o600, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}))
		_, err := w.Write([]byte(files[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func SHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Count reads rows to their end, and measures the live heap at every
// thousandth of them.
func Count(t testing.TB, in feed.Rows) (n, skipped int, heap uint64, err error) {
	t.Helper()
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	for v, e := range in {
		var record *clair.RecordError
		switch {
		case e == nil:
			n++
			require.NotEmpty(t, v.Name)
			require.NotEmpty(t, v.Package.Name)
		case asRecord(e, &record):
			skipped++
			if skipped < 4 {
				t.Log(record)
			}
		default:
			err = e
		}
		if n%1000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if now.HeapAlloc > before.HeapAlloc {
				heap = max(heap, now.HeapAlloc-before.HeapAlloc)
			}
		}
	}
	return n, skipped, heap, err
}

// asRecord reports whether an error is about one record.
func asRecord(err error, record **clair.RecordError) bool { return errors.As(err, record) }

// These are facts of two real advisories, in our own words.
const (
	GoRecord = `{"schema_version":"1.3.1","id":"GO-2023-1988","modified":"2024-05-20T16:03:47Z","published":"2023-08-02T15:09:42Z",
		"aliases":["CVE-2023-3978","GHSA-2wrh-6pvc-2jm9","GO-2023-1988"],"summary":"Cross-site scripting in golang.org/x/net/html",
		"details":"Text nodes outside of the HTML namespace are rendered without being escaped.",
		"affected":[{"package":{"name":"golang.org/x/net","ecosystem":"Go"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.13.0"}]}],
			"ecosystem_specific":{"imports":[{"path":"golang.org/x/net/html","symbols":["Render"]}]}}],
		"references":[{"type":"REPORT","url":"https://go.dev/issue/61615"},{"type":"FIX","url":"https://go.dev/cl/514896"},{"url":"https://go.dev/issue/61615"}]}`
	PyRecord = `{"id":"PYSEC-2023-175","modified":"2023-09-20T00:00:00Z","published":"2023-09-15T00:00:00Z","aliases":["CVE-2023-4863"],
		"details":"Pillow bundled a libwebp with a heap overflow.",
		"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":"PyPI","name":"Pillow"},
			"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"10.0.1"}]},{"type":"GIT","repo":"https://example.test/p","events":[{"introduced":"0"}]}],
			"versions":["1.0","9.5.0","10.0.0"]}]}`
)
