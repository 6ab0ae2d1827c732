package updater

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
	"oriel/internal/fetch"
)

// TestWhole_Stream is the smallest format there can be: a name on each line.
func TestWhole_Stream(t *testing.T) {
	lines := func(_ context.Context, r io.Reader) rows {
		return func(yield func(*clair.Vulnerability, error) bool) {
			s := bufio.NewScanner(r)
			for s.Scan() {
				if !yield(vuln(s.Text()), nil) {
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
	parse := func(text []byte) parsed {
		require.NoError(t, os.WriteFile(path, text, 0o600))
		u := &whole{feed: Feed{Name: "lines", URL: path}, client: fetch.New(fetch.Config{}), parse: stream(lines)}
		return parseAll(t, u)
	}
	p := parse(packed.Bytes())
	require.NoError(t, p.err)
	require.Len(t, p.rows, 3)
	p = parse([]byte("V-1\n"))
	require.NoError(t, p.err)
	require.Len(t, p.rows, 1)
	p = parse(packed.Bytes()[:packed.Len()-6])
	require.ErrorIs(t, p.err, io.ErrUnexpectedEOF)

	u := &whole{feed: Feed{Name: "lines", URL: path}, client: fetch.New(fetch.Config{}), parse: stream(lines)}
	for v, err := range u.Parse(t.Context(), io.NopCloser(bytes.NewReader(packed.Bytes()))) {
		require.NoError(t, err)
		require.Equal(t, "V-1", v.Name)
		break // and the copy is gone all the same
	}
}
