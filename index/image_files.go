package index

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"oriel/clair"
	"oriel/index/reader"
)

// files are the parts of an image, in an archive or a directory.
type files interface {
	has(name string) bool
	// open opens a part; the error is errNoPart if there is none of the name.
	open(name string) (f *reader.File, done func(), err error)
}

// errNoPart is returned for a part that is not in the image.
var errNoPart = clair.Invalid("image", "a part is missing")

func noPart(name string) error {
	return fmt.Errorf("%w: it has no file %.200q", errNoPart, name)
}

// archive is a tar whose files are read in place.
type archive struct {
	f     *reader.File
	parts map[string]part
}

type part struct {
	at, size int64
	link     string // the target of a link to another file in the archive
}

// indexArchive records the offset of each file of a tar.
func indexArchive(ctx context.Context, f *reader.File) (*archive, error) {
	a := &archive{f, map[string]part{}}
	// The tar reader reads block by block, and skips by seeking, so that
	// after a header the offset is that of the file's content.
	in := f.Stream()
	t := tar.NewReader(in)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, notTar(err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		name, ok := cleanName(h.Name)
		if len(a.parts) >= maxLooked {
			continue // images have fewer parts, and those of a root are not looked up
		}
		switch {
		case !ok:
		case h.Typeflag == tar.TypeReg && h.PAXRecords["GNU.sparse.major"] == "":
			at, err := in.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			if h.Size > f.Size-at {
				return nil, clair.Invalid("archive", "%.100q is cut off", name)
			}
			a.parts[name] = part{at: at, size: h.Size}
		case h.Typeflag == tar.TypeSymlink:
			// Older versions of docker save linked layers that were the same.
			if to, ok := cleanName(path.Join(path.Dir(name), h.Linkname)); ok {
				a.parts[name] = part{link: to}
			}
		case h.Typeflag == tar.TypeLink:
			if to, ok := cleanName(h.Linkname); ok {
				a.parts[name] = part{link: to}
			}
		}
	}
}

func (a *archive) has(name string) bool {
	_, ok := a.find(name)
	return ok
}

// find returns the part of a name, through links to links but not in circles.
func (a *archive) find(name string) (part, bool) {
	p, ok := a.parts[name]
	for range 5 {
		if !ok || p.link == "" {
			break
		}
		p, ok = a.parts[p.link]
	}
	return p, ok && p.link == ""
}

func (a *archive) open(name string) (*reader.File, func(), error) {
	p, ok := a.find(name)
	if !ok {
		return nil, nil, noPart(name)
	}
	return &reader.File{Path: name, Size: p.size, ReaderAt: io.NewSectionReader(a.f, p.at, p.size)}, func() {}, nil
}

// directory is an unpacked image.
type directory struct{ root *os.Root }

func (d directory) has(name string) bool {
	clean, ok := cleanName(name)
	if !ok {
		return false
	}
	info, err := d.root.Stat(clean)
	return err == nil && info.Mode().IsRegular()
}

func (d directory) open(name string) (*reader.File, func(), error) {
	clean, ok := cleanName(name)
	if !ok {
		return nil, nil, noPart(name)
	}
	info, err := d.root.Stat(clean)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil, noPart(name)
	}
	f, err := d.root.Open(clean)
	if err != nil {
		return nil, nil, err
	}
	return &reader.File{Path: name, Size: info.Size(), ReaderAt: f}, func() { f.Close() }, nil
}

// readPart decodes a JSON part of an image and returns its digest.
func readPart(from files, name string, into any) (clair.Digest, error) {
	f, done, err := from.open(name)
	if err != nil {
		return "", err
	}
	defer done()
	const limit = 16 << 20
	if f.Size > limit {
		return "", clair.Invalid("image", "%.200q has over %d bytes", name, limit)
	}
	b, err := f.Bytes()
	if err != nil {
		return "", err
	}
	hash := DigestOf(b)
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if err := json.Unmarshal(b, into); err != nil {
		return "", fmt.Errorf("%w: %.200s: %w", clair.ErrInvalid, name, err)
	}
	return hash, nil
}
