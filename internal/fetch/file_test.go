package fetch

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func TestLocal(t *testing.T) {
	for address, want := range map[string]string{
		"/a/b": "/a/b", "a b": "a b", "file:///a%20b": "/a b", "file:/a": "/a", "file:a/b": "a/b",
		"file://localhost/a": "/a", "FILE:a": "a", "a:b": "a:b", "https://h/": "-", "HTTP://h/": "-",
		"": "!", "ftp://h/": "!", "file:": "!", "file://host/a": "!", "file:///": "!", "file:%zz": "!",
	} {
		path, ok, err := Local(address)
		switch want {
		case "!":
			require.ErrorIs(t, err, clair.ErrInvalid, address)
		case "-":
			require.False(t, ok, address)
		default:
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, want, path, address)
		}
	}
}

func TestGet_File(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "feed.json")
	require.NoError(t, os.WriteFile(path, []byte("one"), 0o600))
	c := newClient(t)
	got, fp, err := get(t, c, Request{URL: "file://" + path})
	require.NoError(t, err)
	require.Equal(t, "one", string(got))
	_, _, err = get(t, c, Request{URL: path, Last: fp})
	require.ErrorIs(t, err, clair.ErrUnchanged)
	require.NoError(t, os.WriteFile(path, []byte("two"), 0o600))
	_, fp2, err := get(t, c, Request{URL: path, Last: fp})
	require.NoError(t, err)
	require.NotEqual(t, fp, fp2)
	require.FileExists(t, path)

	_, _, err = get(t, c, Request{URL: path, MaxSize: 2})
	require.ErrorIs(t, err, clair.ErrTooLarge)
	_, _, err = get(t, c, Request{URL: path + ".gone"})
	require.ErrorIs(t, err, clair.ErrNotFound)
	_, _, err = get(t, c, Request{URL: "/dev/null"})
	require.ErrorIs(t, err, clair.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = c.Get(ctx, Request{URL: path})
	require.ErrorIs(t, err, context.Canceled)
}

func TestGet_Directory(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("a.json", "{}")
	write("sub/b.json", "[]")
	c := newClient(t)
	f, fp, err := c.Get(t.Context(), Request{URL: dir})
	require.NoError(t, err)
	require.NotNil(t, f.Dir())
	require.Equal(t, int64(4), f.Size())
	_, err = f.Read(make([]byte, 1))
	require.ErrorIs(t, err, clair.ErrInvalid)
	_, err = f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, clair.ErrInvalid)
	require.NoError(t, f.Close())

	write(".git/HEAD", "not part of the feed")
	_, _, err = c.Get(t.Context(), Request{URL: dir, Last: fp})
	require.ErrorIs(t, err, clair.ErrUnchanged)
	write("sub/c.json", "")
	_, _, err = c.Get(t.Context(), Request{URL: dir, Last: fp})
	require.NoError(t, err, "a file came")
	_, _, err = c.Get(t.Context(), Request{URL: dir, MaxSize: 3})
	require.ErrorIs(t, err, clair.ErrTooLarge)
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	f, err := Spool(bytes.NewReader(content(1000, 1)), dir, 1000)
	require.NoError(t, err)
	p := make([]byte, 10)
	_, err = f.ReadAt(p, 990)
	require.NoError(t, err)
	require.Equal(t, content(1000, 1)[990:], p)
	require.NoError(t, f.Close())
	_, err = Spool(bytes.NewReader(content(1001, 1)), dir, 1000)
	require.ErrorIs(t, err, clair.ErrTooLarge)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
