package index

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/system"
	"oriel/internal/fetch"
)

// memoryFile is the largest file that is held in memory while it is read;
// larger ones go through a temporary file.
const memoryFile = 512 << 10

// headLen is how much of a file is looked at to tell its format.
const headLen = 16

// maxLooked is the most files that readers look at in one layer.
const maxLooked = 200_000

// maxOwned bounds the list of files that packages brought.
const maxOwned = 500_000

// scanner puts the result of one layer or root together, file by file.
type scanner struct {
	readers []reader.Reader
	tempDir string
	// byPath holds what was found in each file; a later file of the same path
	// replaces an earlier one, as it does in a layer.
	byPath map[string]*scanned
	owned  map[string]bool
	result *LayerResult
	// empty has what nothing gives.
	empty map[*reader.Reader]*scanned
	// count, looked and bytes are the packages found, and the files that
	// readers looked at.
	count, looked int
	bytes         int64
	buf           []byte
}

// scanned is what one file held.
type scanned struct {
	reader *reader.Reader
	reader.Found
	err error
}

func newScanner(layer clair.Digest, tempDir string) *scanner {
	return &scanner{
		readers: readers(), tempDir: tempDir, byPath: map[string]*scanned{}, owned: map[string]bool{},
		result: &LayerResult{Layer: layer}, empty: map[*reader.Reader]*scanned{},
	}
}

// wanted finds the reader for a path, nil if nobody wants the file.
func (s *scanner) wanted(path string, mode fs.FileMode) *reader.Reader {
	if !mode.IsRegular() {
		return nil
	}
	for i := range s.readers {
		if s.readers[i].Wants(path, mode) {
			return &s.readers[i]
		}
	}
	return nil
}

// forget drops what was found under a path that something else now has.
func (s *scanner) forget(path string) { delete(s.byPath, path) }

// rawFile is a file as a layer or a directory has it: a stream, which may also
// be an io.ReaderAt.
type rawFile struct {
	path string
	size int64
	body io.Reader
}

// file reads one file that a reader wants. Only errors that end the whole
// scan are returned.
func (s *scanner) file(ctx context.Context, r *reader.Reader, raw rawFile) error {
	path, size := raw.path, raw.size
	if err := s.account(size); err != nil {
		return err
	}
	f, done, err := s.open(r, raw)
	if err != nil {
		return err
	}
	if f == nil && size <= r.Limit {
		s.byPath[path] = s.nothing(r)
		return nil
	}
	got := &scanned{reader: r, Found: reader.Found{Count: s.count, Owned: s.own}}
	s.byPath[path] = got
	if f == nil {
		got.err = fmt.Errorf("%w: it has %d bytes, over the limit of %d", clair.ErrTooLarge, size, r.Limit)
		return nil
	}
	got.err = r.Run(ctx, f, &got.Found)
	err = done()
	s.count, got.Owned = got.Count, nil
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(got.err, reader.ErrTooMany):
		return clair.Invalid("layer", "it has over %d packages", reader.MaxPackages)
	}
	return err
}

// unreadable notes a file that a reader wants and does not get.
func (s *scanner) unreadable(r *reader.Reader, path string, err error) error {
	s.byPath[path] = &scanned{reader: r, err: err}
	return s.account(0)
}

// account counts what readers look at.
func (s *scanner) account(size int64) error {
	s.looked++
	s.bytes += size
	if s.looked > maxLooked || s.bytes > maxUnpacked || size < 0 {
		return clair.Invalid("layer", "it has over %d files, or %d bytes in them, that may hold packages", maxLooked, int64(maxUnpacked))
	}
	return nil
}

// nothing is what every file holds that turned out to be of another format,
// once for each reader, for there may be many.
func (s *scanner) nothing(r *reader.Reader) *scanned {
	if s.empty[r] == nil {
		s.empty[r] = &scanned{reader: r}
	}
	return s.empty[r]
}

// open makes a file readable at any place. f is nil where the file is too
// large or its first bytes say that it is of another format. done lets go of
// it.
func (s *scanner) open(r *reader.Reader, raw rawFile) (f *reader.File, done func() error, err error) {
	path, size, body := raw.path, raw.size, raw.body
	done = func() error { return nil }
	if at, ok := body.(io.ReaderAt); ok {
		if size > r.Limit || !isFormat(r, at, size) {
			return nil, done, nil
		}
		return &reader.File{Path: path, Size: size, ReaderAt: at}, done, nil
	}
	head := make([]byte, min(headLen, size))
	if _, err := io.ReadFull(body, head); err != nil {
		return nil, done, err
	}
	if size > r.Limit || r.Magic != nil && !r.Magic(head) {
		return nil, done, nil
	}
	body = io.MultiReader(bytes.NewReader(head), body)
	if size <= memoryFile {
		s.buf = slices.Grow(s.buf[:0], int(size))[:size]
		if _, err := io.ReadFull(body, s.buf); err != nil {
			return nil, done, err
		}
		return &reader.File{Path: path, Size: size, ReaderAt: bytes.NewReader(s.buf)}, done, nil
	}
	spooled, err := fetch.Spool(io.LimitReader(body, size), s.tempDir, size)
	if err != nil {
		return nil, done, err
	}
	if spooled.Size() != size {
		return nil, done, errors.Join(io.ErrUnexpectedEOF, spooled.Close())
	}
	return &reader.File{Path: path, Size: size, ReaderAt: spooled}, spooled.Close, nil
}

func isFormat(r *reader.Reader, at io.ReaderAt, size int64) bool {
	if r.Magic == nil {
		return true
	}
	head := make([]byte, min(headLen, size))
	_, err := at.ReadAt(head, 0)
	return (err == nil || errors.Is(err, io.EOF)) && r.Magic(head)
}

// own notes that a distribution's package brought a file, if any language's
// reader would read it.
func (s *scanner) own(path string) {
	path = strings.TrimPrefix(path, "/")
	if len(s.owned) >= maxOwned || len(path) > maxPath {
		return
	}
	if r := s.wanted(path, 0o644); r != nil && r.Ownable {
		s.owned[path] = true
	}
}

// skip notes something that could not be read.
func (s *scanner) skip(what string, err error) {
	if len(s.result.Skipped) < maxSkipped {
		s.result.Skipped = append(s.result.Skipped, Skipped{what, err.Error()})
	}
}

// finish puts everything in order.
func (s *scanner) finish() *LayerResult {
	paths := make([]string, 0, len(s.byPath))
	for p := range s.byPath {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	rank := -1
	for _, p := range paths {
		got := s.byPath[p]
		if got.Distribution != nil && (rank < 0 || got.Rank < rank) {
			s.result.Distribution, rank = got.Distribution, got.Rank
			s.result.Inferred = got.Rank >= system.RankInferred
		}
		s.put(p, got)
	}
	slices.Sort(s.result.Whiteouts)
	slices.Sort(s.result.Opaque)
	return s.result
}

func (s *scanner) put(path string, got *scanned) {
	sortPackages(got.Packages)
	switch {
	case got.reader.Database:
		d := Database{Path: path, Packages: got.Packages}
		if got.err != nil {
			d.Err, d.Packages = got.err.Error(), nil
		}
		s.result.Databases = append(s.result.Databases, d)
	case got.err != nil:
		s.skip(path, got.err)
		fallthrough
	default:
		if len(got.Packages) == 0 {
			if got.reader.Repository != "" {
				s.result.Replaced = append(s.result.Replaced, path)
			}
			return
		}
		s.result.Files = append(s.result.Files, PackageFile{
			Path: path, Repository: got.reader.Repository, Packages: got.Packages, Owned: s.owned[path],
		})
	}
}

// sortPackages gives one order to packages, whatever order their file has.
func sortPackages(list []clair.Package) { slices.SortStableFunc(list, comparePackages) }

func comparePackages(a, b clair.Package) int {
	c := cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Module, b.Module), cmp.Compare(a.NormalizedVersion, b.NormalizedVersion),
		cmp.Compare(a.CPE, b.CPE))
	if c != 0 || a.Source == nil && b.Source == nil {
		return c
	}
	switch {
	case a.Source == nil:
		return -1
	case b.Source == nil:
		return 1
	}
	return comparePackages(*a.Source, *b.Source)
}
