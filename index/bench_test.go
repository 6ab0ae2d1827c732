package index

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// writeLargeLayer writes 500 MB that hardly compress: programs large and
// small, a database, packages of languages, and what nobody reads.
func writeLargeLayer(w io.Writer) error {
	t := tar.NewWriter(w)
	noise := rand.NewChaCha8([32]byte{1})
	put := func(name string, mode int64, head string, size int64) error {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: size, Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := io.WriteString(t, head); err != nil {
			return err
		}
		_, err := io.CopyN(t, noise, size-int64(len(head)))
		return err
	}
	var status strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&status, "Package: p%d\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.%d-1\n\n", i, i)
	}
	for _, err := range []error{
		put("etc/os-release", 0o644, debianRelease, int64(len(debianRelease))),
		put("var/lib/dpkg/status", 0o644, status.String(), int64(status.Len())),
		put("usr/share/data", 0o644, "", 200<<20), put("usr/bin/large", 0o755, "\x7fELF", 150<<20),
	} {
		if err != nil {
			return err
		}
	}
	for i := range 20000 {
		if err := put(fmt.Sprintf("usr/bin/p%d", i), 0o755, "#!/bin/sh", 4<<10); err != nil {
			return err
		}
		text := fmt.Sprintf(`{"name":"n%d","version":"1.0.%d"}`, i, i)
		if err := put(fmt.Sprintf("app/node_modules/n%d/package.json", i), 0o644, text, int64(len(text))); err != nil {
			return err
		}
	}
	if err := put("usr/share/more", 0o644, "", 70<<20); err != nil {
		return err
	}
	return t.Close()
}

// BenchmarkScan_LargeLayer fetches and reads a layer of 500 MB, and says how
// much memory the process had at most.
func BenchmarkScan_LargeLayer(b *testing.B) {
	sum := sha256.New()
	require.NoError(b, writeLargeLayer(sum))
	hash := clair.Digest(fmt.Sprintf("sha256:%x", sum.Sum(nil)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = writeLargeLayer(w) }))
	defer srv.Close()
	cfg := Default()
	cfg.AllowPrivate = true
	f := NewFetcher(cfg, b.TempDir())
	defer f.CloseIdleConnections()
	for b.Loop() {
		r, err := f.Scan(b.Context(), clair.Layer{Hash: hash, URI: srv.URL})
		require.NoError(b, err)
		require.Len(b, r.Files, 20000)
		report, err := Coalesce(hash, []*LayerResult{r})
		require.NoError(b, err)
		require.Len(b, report.Packages, 23000)
	}
	b.ReportMetric(float64(peakRSS(b))/1e6, "peak-MB")
}

// peakRSS is the most memory the process has had.
func peakRSS(tb testing.TB) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip("there is no /proc")
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib int64
	_, err = fmt.Sscan(rest, &kib)
	require.NoError(tb, err)
	return kib << 10
}
