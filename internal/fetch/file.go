package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"oriel/clair"
)

// File is the result of Get: a file's bytes, in order or at any offset, or a
// directory. The caller of Get closes it. Read is for one goroutine at a time.
type File struct {
	f    *os.File // nil for a directory
	dir  fs.FS
	size int64
	temp bool
	read atomic.Int64
}

// Read reads the next bytes. For a directory it returns an ErrInvalid.
func (f *File) Read(p []byte) (int, error) {
	if f.f == nil {
		return 0, errDirectory
	}
	n, err := f.f.Read(p)
	f.read.Add(int64(n))
	return n, err
}

// ReadAt reads at an offset. It does not affect Read.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.f == nil {
		return 0, errDirectory
	}
	n, err := f.f.ReadAt(p, off)
	f.read.Add(int64(n))
	return n, err
}

var errDirectory = fmt.Errorf("%w: it is a directory", clair.ErrInvalid)

// Size returns the number of bytes; for a directory, of all its files.
func (f *File) Size() int64 { return f.size }

// Dir returns the directory's files, or nil for a file.
func (f *File) Dir() fs.FS { return f.dir }

// Progress returns how many of how many bytes have been read. It may be called
// from any goroutine.
func (f *File) Progress() (done, total int64) { return min(f.read.Load(), f.size), f.size }

// Close closes the file, and removes it if it was a temporary one.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	if f.temp {
		err = errors.Join(err, os.Remove(f.f.Name()))
	}
	return err
}

// Spool copies a stream of at most limit bytes to a temporary file in dir, so
// that it can be read at any offset; "" is the system's folder. A longer
// stream is an ErrTooLarge.
func Spool(r io.Reader, dir string, limit int64) (*File, error) {
	tmp, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	f := &File{f: tmp, temp: true}
	f.size, err = io.Copy(tmp, Limit(r, limit))
	if err == nil {
		_, err = tmp.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write a temporary file: %w", err), f.Close())
	}
	return f, nil
}

const tempPattern = "oriel-fetch-*"

// openLocal opens a file or directory in place, unless its checksum is that of
// last.
func openLocal(ctx context.Context, path string, last validators, limit int64) (*File, clair.Fingerprint, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("%w: %w", clair.ErrNotFound, err)
	case err != nil:
		return nil, "", err
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, "", fmt.Errorf("%w: %s is neither a file nor a directory", clair.ErrInvalid, path)
	}
	var f *File
	var sum string
	if info.IsDir() {
		f = &File{dir: os.DirFS(path)}
		sum, f.size, err = sumDir(ctx, f.dir, limit)
	} else {
		f, sum, err = openFile(ctx, path, limit)
	}
	if err != nil {
		return nil, "", err
	}
	if sum == last.sha256 {
		return nil, "", errors.Join(clair.ErrUnchanged, f.Close())
	}
	return f, validators{sha256: sum}.fingerprint(), nil
}

// openFile opens one file and computes its checksum.
func openFile(ctx context.Context, path string, limit int64) (*File, string, error) {
	o, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	f := &File{f: o}
	h := sha256.New()
	f.size, err = io.Copy(h, Limit(withContext(ctx, o), limit))
	if err == nil {
		_, err = o.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return f, hex.EncodeToString(h.Sum(nil)), nil
}

// Files yields the regular files of a directory in the order of their names,
// except those whose names begin with a dot: they belong to the tools that
// maintain the directory, and are not part of a feed.
func Files(dir fs.FS, visit func(name string) error) error {
	return fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != "." && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := fs.Stat(dir, name) // of the target if it is a link
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		return visit(name)
	})
}

// sumDir computes the checksum of the names and contents of a directory's
// files.
func sumDir(ctx context.Context, dir fs.FS, limit int64) (sum string, size int64, err error) {
	h := sha256.New()
	err = Files(dir, func(name string) error {
		f, err := dir.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		one := sha256.New()
		n, err := io.Copy(one, Limit(withContext(ctx, f), limit-size))
		size += n
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		fmt.Fprintf(h, "%d %s %x\n", len(name), name, one.Sum(nil))
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), size, err
}

// Limit returns a reader of at most n bytes of r. If r has more, the error is
// an ErrTooLarge, so that a truncated stream never looks complete.
func Limit(r io.Reader, n int64) io.Reader { return &limited{r: r, left: n, limit: n} }

type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:max(l.left+1, 1)]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		n, l.left = int(max(l.left, 0)), 0
		return n, fmt.Errorf("%w: more than %d bytes", clair.ErrTooLarge, l.limit)
	}
	l.left -= int64(n)
	return n, err
}

// withContext makes reads fail once ctx is done.
func withContext(ctx context.Context, r io.Reader) io.Reader { return &ctxReader{ctx.Err, r} }

type ctxReader struct {
	done func() error
	r    io.Reader
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
