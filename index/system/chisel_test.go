package system

import (
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
)

func TestChisel(t *testing.T) {
	const manifest = `{"jsonwall":"1.0","schema":"1.0","count":4}
{"kind":"package","name":"libc6","version":"2.39-0ubuntu8","sha256":"x","arch":"amd64"}
{"kind":"path","path":"/usr/lib/libc.so.6","slices":["libc6_libs"]}
{"kind":"slice","name":"libc6_libs"}
`
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	packed := string(w.EncodeAll([]byte(manifest), nil))
	require.NoError(t, w.Close())
	for name, c := range map[string]struct {
		text    string
		want    int
		invalid bool
	}{
		"packed": {packed, 1, false}, "plain": {manifest, 1, false}, "cut": {packed[:len(packed)/2], 0, true}, "text": {"wall", 0, true}, "empty": {"", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			out := &reader.Found{}
			r := chiselReader()
			err := r.Run(t.Context(), &reader.File{Path: chiselManifest, Size: int64(len(c.text)), ReaderAt: strings.NewReader(c.text)}, out)
			if c.invalid {
				require.ErrorIs(t, err, clair.ErrInvalid)
			} else if c.want > 0 {
				require.NoError(t, err)
			}
			require.Len(t, out.Unmatched, c.want)
		})
	}
}
