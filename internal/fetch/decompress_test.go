package fetch

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"oriel/clair"
)

// bzip2Hello is "hello, hello, hello\n" as bzip2 compresses it; Go has no
// compressor.
const bzip2Hello = "425a6839314159265359cb52e5670000055100001040040244a00021243108602f1844c715178bb9229c284865a972b380"

// packed returns a text in every supported form.
func packed(t testing.TB, text []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	pack := func(name string, open func(io.Writer) (io.WriteCloser, error)) {
		var b bytes.Buffer
		w, err := open(&b)
		require.NoError(t, err)
		_, err = w.Write(text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		out[name] = b.Bytes()
	}
	pack("gzip", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
	pack("zstd", func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
	pack("xz", func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
	return out
}

func decompress(b []byte) ([]byte, error) {
	r, err := Decompress(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestDecompress(t *testing.T) {
	text := bytes.Repeat([]byte("a feed of vulnerabilities\n"), 10000)
	for name, b := range packed(t, text) {
		got, err := decompress(b)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(text, got), name)
		for _, n := range []int{len(b) - 1, len(b) / 2, 20, 7} {
			got, err := decompress(b[:n])
			require.Error(t, err, "%s of %d bytes: %d came", name, n, len(got))
		}
		b[len(b)/2] ^= 0x55
		_, err = decompress(b)
		require.Error(t, err, "%s, damaged", name)
	}
	for _, plain := range []string{"", "x", "{}", "BZ", "BZh", "PK\x03\x04"} {
		got, err := decompress([]byte(plain))
		require.NoError(t, err)
		require.Equal(t, plain, string(got))
	}
}

func TestDecompress_Bzip2(t *testing.T) {
	b, err := hex.DecodeString(bzip2Hello)
	require.NoError(t, err)
	got, err := decompress(b)
	require.NoError(t, err)
	require.Equal(t, "hello, hello, hello\n", string(got))
	for n := 4; n < len(b); n++ {
		_, err := decompress(b[:n])
		require.Error(t, err, "%d bytes", n)
	}
}

func TestDecompress_BoundsMemory(t *testing.T) {
	text := content(100<<10, 1)
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	require.NoError(t, err)
	_, err = io.Copy(w, io.LimitReader(zeros{}, 65<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = decompress(b.Bytes())
	require.ErrorIs(t, err, clair.ErrTooLarge, "zstd")

	b.Reset()
	x, err := xz.WriterConfig{DictCap: 64 << 20}.NewWriter(&b)
	require.NoError(t, err)
	_, err = x.Write(text)
	require.NoError(t, err)
	require.NoError(t, x.Close())
	_, err = decompress(b.Bytes())
	require.ErrorIs(t, err, clair.ErrTooLarge, "xz")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// zipOf packs files, every other one without compression.
func zipOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, text := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d.json", i), Method: uint16(8 * (i % 2)), Comment: "a comment"})
		require.NoError(t, err)
		_, err = f.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.SetComment("PK"))
	require.NoError(t, w.Close())
	return b.Bytes()
}

// unzip reads all entries.
func unzip(b []byte, limit int64) (map[string]string, error) {
	z, err := OpenZip(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	var buf []byte
	for e, err := range z.Entries() {
		if err != nil {
			return out, err
		}
		if buf, err = z.Read(e, buf, limit); err != nil {
			return out, fmt.Errorf("%s: %w", e.Name, err)
		}
		out[e.Name] = string(buf)
	}
	return out, nil
}

func TestZip(t *testing.T) {
	long := string(bytes.Repeat([]byte("long "), 100000))
	want := map[string]string{"0.json": "{}", "1.json": long, "2.json": "", "3.json": "x"}
	b := zipOf(t, "{}", long, "", "x")
	got, err := unzip(b, 1<<20)
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = unzip(append([]byte("something before it"), b...), 1<<20)
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = unzip(b, 1000)
	require.ErrorIs(t, err, clair.ErrTooLarge)
	for n := range len(b) {
		_, err := unzip(b[:n], 1<<20)
		require.Error(t, err, "cut after %d of %d bytes", n, len(b))
	}
	for _, junk := range []string{"", "PK", "not a zip at all, but rather longer than the end of one"} {
		_, err := unzip([]byte(junk), 1<<20)
		require.ErrorIs(t, err, clair.ErrInvalid)
	}
}

// TestZip_Large has more entries than fit the small format.
func TestZip_Large(t *testing.T) {
	const files = 70000
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range files {
		_, err := w.CreateHeader(&zip.FileHeader{Name: strconv.Itoa(i)})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	got, err := unzip(b.Bytes(), 10)
	require.NoError(t, err)
	require.Len(t, got, files)
}

// FuzzZip compares with the standard library: content that it reads completely
// must be the same, and nothing may panic.
func FuzzZip(f *testing.F) {
	f.Add(zipOf(f, "{}", "text text text text", ""))
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := unzip(b, 1<<20)
		if err != nil {
			return
		}
		std, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, e := range std.File {
			r, err := e.Open()
			if err != nil {
				continue
			}
			text, err := io.ReadAll(io.LimitReader(r, 2<<20))
			if _, twice := got[e.Name]; err == nil && twice && len(std.File) == len(got) && got[e.Name] != string(text) {
				t.Fatalf("%q: %q, the library reads %q", e.Name, got[e.Name], text)
			}
		}
	})
}

func FuzzDecompress(f *testing.F) {
	for _, b := range packed(f, []byte("text text text")) {
		f.Add(b)
	}
	b, err := hex.DecodeString(bzip2Hello)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) {
		r, err := Decompress(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer r.Close()
		io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	})
}
