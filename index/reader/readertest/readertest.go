// Package readertest runs a reader on bytes, for tests of readers.
package readertest

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/internal/corpus"
)

// Read returns the packages that a reader finds in a file of these bytes.
func Read(t testing.TB, r reader.Reader, path string, b []byte) ([]clair.Package, error) {
	t.Helper()
	out := &reader.Found{Owned: func(string) {}, Private: func(_, _ string) {}}
	err := r.Run(t.Context(), &reader.File{Path: path, Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}, out)
	return out.Packages, err
}

// Corpus reads a file of the corpus and decompresses it if its name ends in
// .gz. The test is skipped if there is no corpus.
func Corpus(t testing.TB, elem ...string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(append([]string{corpus.Dir(t), "corpus"}, elem...)...))
	require.NoError(t, err)
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(f.Name()) == ".gz" {
		r, err = gzip.NewReader(f)
		require.NoError(t, err)
	}
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}
