package feed_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/feed/feedtest"
	"oriel/internal/fetch"
)

// TestWhole_Stream is the smallest format there can be: a name on each line.
func TestWhole_Stream(t *testing.T) {
	lines := func(_ context.Context, r io.Reader) feed.Rows {
		return func(yield func(*clair.Vulnerability, error) bool) {
			s := bufio.NewScanner(r)
			for s.Scan() {
				if !yield(&clair.Vulnerability{Name: s.Text(), Package: &clair.Package{Name: "p"}}, nil) {
					return
				}
			}
			if s.Err() != nil {
				yield(nil, s.Err())
			}
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("V-1\nV-2\nV-3\n"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	path := filepath.Join(t.TempDir(), "feed")
	parse := func(text []byte) feedtest.Parsed {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		u := &feed.File{Feed: feed.Feed{Name: "lines", URL: path}, Client: fetch.New(fetch.Config{}), Read: feed.Stream(lines)}
		return feedtest.ParseAll(t, u)
	}
	p := parse(packed.Bytes())
	require.NoError(t, p.Err)
	require.Len(t, p.Rows, 3)
	p = parse([]byte("V-1\n"))
	require.NoError(t, p.Err)
	require.Len(t, p.Rows, 1)
	p = parse(packed.Bytes()[:packed.Len()-6])
	require.ErrorIs(t, p.Err, io.ErrUnexpectedEOF)

	u := &feed.File{Feed: feed.Feed{Name: "lines", URL: path}, Client: fetch.New(fetch.Config{}), Read: feed.Stream(lines)}
	for v, err := range u.Parse(t.Context(), io.NopCloser(bytes.NewReader(packed.Bytes()))) {
		require.NoError(t, err)
		require.Equal(t, "V-1", v.Name)
		break // and the copy is gone all the same
	}
}
