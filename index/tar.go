package index

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"oriel/clair"
	"oriel/internal/fetch"
)

const (
	// maxUnpacked is how much a layer may unpack to, and maxEntries how many
	// files it may have. The largest real ones are some ten GiB and some
	// hundred thousand files.
	maxUnpacked = 32 << 30
	maxEntries  = 2_000_000
	// maxPath is the longest path that is read: PATH_MAX.
	maxPath = 4096
	// maxHidden bounds the whiteouts of one layer.
	maxHidden = 500_000
)

// limits are the bounds of one layer, which tests lower.
type limits struct {
	unpacked int64
	entries  int
	hidden   int
}

func defaultLimits() limits { return limits{maxUnpacked, maxEntries, maxHidden} }

// The prefixes of whiteouts in a layer (OCI image specification,
// "Representing Changes"). Some builders write those of overlayfs instead:
// character devices 0:0.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	auxiliary      = ".wh..wh." // of aufs itself
)

// scanTar reads a layer: a tar, plain or compressed. The error is an ErrInvalid
// if the stream is not a tar or is over a limit. The caller repeats it while
// s.again returns true.
func scanTar(ctx context.Context, r io.Reader, s *scanner, lim limits) error {
	plain, err := fetch.Decompress(r)
	if err != nil {
		return notTar(err)
	}
	defer plain.Close()
	seen := &countingReader{r: fetch.Limit(contextReader{ctx, plain}, lim.unpacked)}
	t := tar.NewReader(seen)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return notTar(err)
		}
		if n >= lim.entries {
			return clair.Invalid("layer", "it has over %d files", lim.entries)
		}
		if s.aliases == nil {
			err = s.entry(ctx, h, t, lim)
		} else {
			err = s.aliasEntry(ctx, h, t)
		}
		if err != nil {
			return notTar(err)
		}
	}
	if seen.n == 0 {
		return clair.Invalid("layer", "it is empty; a tar without files is two blocks of zeros")
	}
	// The padding after the end of the tar must decompress, too.
	if _, err := io.Copy(io.Discard, seen); err != nil {
		return notTar(err)
	}
	return nil
}

// notTar returns the error of a stream that cannot be read as a layer as an
// ErrInvalid.
func notTar(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errTransfer), errors.Is(err, clair.ErrInvalid):
		return err
	}
	return fmt.Errorf("%w: the layer is not a tar that can be read: %w", clair.ErrInvalid, err)
}

// entry reads one entry of a layer.
func (s *scanner) entry(ctx context.Context, h *tar.Header, body io.Reader, lim limits) error {
	name, ok := cleanName(h.Name)
	if !ok {
		return nil // the root itself, or a path out of it
	}
	if s.host && inSkipped(name) {
		return nil
	}
	dir, base := path.Split(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return s.whiteout(strings.TrimSuffix(dir, "/"), base, lim)
	}
	mode := h.FileInfo().Mode()
	if !mode.IsDir() {
		s.forget(name)
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		r := s.wanted(name, mode)
		switch {
		case r == nil:
			return nil
		case isSparse(h):
			return s.unreadable(r, name, errSparse)
		}
		return s.file(ctx, r, rawFile{path: name, size: h.Size, body: body})
	case tar.TypeDir:
		if isOpaque(h) {
			return s.whiteout(name, opaqueName, lim)
		}
	case tar.TypeChar:
		if h.Devmajor == 0 && h.Devminor == 0 {
			return s.whiteout(strings.TrimSuffix(dir, "/"), whiteoutPrefix+base, lim)
		}
	case tar.TypeLink:
		if target, ok := cleanName(h.Linkname); ok && s.wanted(name, mode) != nil {
			s.links.addHard(name, target)
			s.replace(name)
		}
	case tar.TypeSymlink:
		s.links.addSymlink(name, h.Linkname)
		s.replace(name)
	}
	return nil
}

// isOpaque reports whether a directory hides the content of lower layers in
// the way of overlayfs, which has an attribute for it.
func isOpaque(h *tar.Header) bool {
	for _, key := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		if h.PAXRecords["SCHILY.xattr."+key] == "y" {
			return true
		}
	}
	return false
}

// aliasEntry reads one entry of a layer that was read before, if links lead to
// it.
func (s *scanner) aliasEntry(ctx context.Context, h *tar.Header, body io.Reader) error {
	name, ok := cleanName(h.Name)
	if !ok {
		return nil
	}
	if h.Typeflag == tar.TypeSymlink {
		s.links.addSymlink(name, h.Linkname)
		return nil
	}
	wanted := s.aliases[name]
	if wanted == "" || h.Typeflag != tar.TypeReg || isSparse(h) {
		return nil
	}
	r := s.wanted(wanted, linkMode)
	return s.file(ctx, r, rawFile{path: name, as: wanted, size: h.Size, body: body})
}

// errSparse refuses files with holes, in which a few bytes represent
// terabytes. No builder of images writes them.
var errSparse = fmt.Errorf("%w: it is a sparse file", clair.ErrInvalid)

func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

func (s *scanner) whiteout(dir, base string, lim limits) error {
	if len(s.result.Whiteouts)+len(s.result.Opaque) >= lim.hidden {
		return clair.Invalid("layer", "it has over %d whiteouts", lim.hidden)
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	switch {
	case base == opaqueName:
		s.result.Opaque = append(s.result.Opaque, dir)
	case strings.HasPrefix(base, auxiliary), hidden == "", hidden == ".", hidden == "..":
	default:
		s.result.Whiteouts = append(s.result.Whiteouts, path.Join(dir, hidden))
	}
	return nil
}

// cleanName returns an entry's path relative to the root. ok is false for the
// root itself, for a path that leaves it, and for an invalid one. The path is
// only compared, never opened.
func cleanName(name string) (clean string, ok bool) {
	if len(name) > maxPath || strings.IndexByte(name, 0) >= 0 {
		return "", false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", false
		}
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	return name, name != ""
}

// contextReader ends a stream when the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// countingReader counts the bytes of a stream.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
