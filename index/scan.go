package index

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/system"
	"oriel/internal/fetch"
)

const (
	// memoryFile is the largest file that is held in memory while it is read;
	// larger ones go through a temporary file.
	memoryFile = 512 << 10
	// headLen is the number of bytes that a reader's Magic is shown.
	headLen = 16
	// maxLooked is the most files that readers read in one layer.
	maxLooked = 200_000
	// maxOwned bounds the list of files that packages installed.
	maxOwned = 500_000
)

// scanner collects the result of one layer or root, file by file.
type scanner struct {
	readers []reader.Reader
	tempDir string
	// byPath has the result of each file; a later file of the same path
	// replaces an earlier one, as it does in a layer.
	byPath map[string]*scanned
	owned  map[string]bool
	// origins are the files whose packages are not a public registry's, each
	// with the reason.
	origins map[string]string
	// replaced are links at paths that a reader wants.
	replaced map[string]bool
	links    *links
	// host is true for the root of a system, in which skippedDirectories are
	// left out.
	host bool
	// aliases are the files that are read in a further pass, each with the
	// path at which it is wanted. It is nil in the first pass.
	aliases map[string]string
	passes  int
	result  *LayerResult
	// empty has the result of files without packages, one for each reader.
	empty map[*reader.Reader]*scanned
	// count, looked and bytes count the packages found and the files read.
	count, looked int
	bytes         int64
	buf           []byte
}

// scanned is the result of one file. There may be many, so that most of
// Found, which few files fill, is behind a pointer.
type scanned struct {
	reader   *reader.Reader
	packages []clair.Package
	more     *reader.Found
	err      error
}

// noMore is the more of files that have packages alone. Nothing writes to it.
var noMore = &reader.Found{}

func newScanned(r *reader.Reader, f reader.Found, err error) *scanned {
	s := &scanned{reader: r, packages: f.Packages, more: noMore, err: err}
	if len(f.Unmatched) > 0 || len(f.Repositories) > 0 || f.Catalog != nil || f.Distribution != nil {
		f.Packages, f.Owned, f.Private = nil, nil, nil
		s.more = &f
	}
	return s
}

func newScanner(layer clair.Digest, tempDir string) *scanner {
	list := readers()
	return &scanner{
		readers: list, tempDir: tempDir, links: newLinks(list),
		byPath: map[string]*scanned{}, owned: map[string]bool{}, origins: map[string]string{}, replaced: map[string]bool{},
		result: &LayerResult{Layer: layer}, empty: map[*reader.Reader]*scanned{},
	}
}

// newAliasScanner returns a scanner that reads nothing but some files, each
// with the path at which it is wanted.
func newAliasScanner(layer clair.Digest, tempDir string, aliases map[string]string) *scanner {
	s := newScanner(layer, tempDir)
	s.aliases, s.passes = aliases, maxPasses
	return s
}

// again reports whether the layer has to be read once more, because links lead
// to files that nothing wanted by their own name.
func (s *scanner) again() bool {
	s.passes++
	targets := s.links.targets(s)
	if len(targets) == 0 || s.passes >= maxPasses || maps.Equal(targets, s.aliases) {
		return false
	}
	s.aliases = targets
	return true
}

// wanted returns the reader for a path, nil if there is none.
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

// forget drops the results of a path that something else now has.
func (s *scanner) forget(path string) {
	delete(s.byPath, path)
	delete(s.replaced, path)
	s.links.forget(path)
}

// replace records a link at a path at which packages may be found in a lower
// layer.
func (s *scanner) replace(name string) {
	if r := s.wanted(name, linkMode); r != nil && (r.Database || r.Repository != "" && s.wanted(name, 0o644) == r) {
		s.replaced[name] = true
	}
}

// rawFile is a file of a layer or a directory: a stream, which may also be an
// io.ReaderAt.
type rawFile struct {
	path string
	// as is the path at which a link makes the file available, "" if none.
	as   string
	size int64
	body io.Reader
}

// file reads one file that a reader wants. Only errors that end the whole
// scan are returned.
func (s *scanner) file(ctx context.Context, r *reader.Reader, raw rawFile) error {
	if err := s.account(raw.size); err != nil {
		return err
	}
	f, done, err := s.open(r, raw)
	if err != nil {
		return err
	}
	if f == nil && raw.size <= r.Limit {
		s.byPath[raw.path] = s.nothing(r)
		return nil
	}
	if f == nil {
		err := fmt.Errorf("%w: it has %d bytes, over the limit of %d", clair.ErrTooLarge, raw.size, r.Limit)
		s.byPath[raw.path] = newScanned(r, reader.Found{}, err)
		return nil
	}
	found := reader.Found{Count: s.count, Owned: s.own, Private: s.private}
	readErr := r.Run(ctx, f, &found)
	err = done()
	s.count = found.Count
	s.byPath[raw.path] = newScanned(r, found, readErr)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(readErr, reader.ErrTooMany):
		return clair.Invalid("layer", "it has over %d packages", reader.MaxPackages)
	}
	return err
}

// unreadable records that a file that a reader wants cannot be read.
func (s *scanner) unreadable(r *reader.Reader, path string, err error) error {
	s.byPath[path] = newScanned(r, reader.Found{}, err)
	return s.account(0)
}

// account counts the files that readers read.
func (s *scanner) account(size int64) error {
	s.looked++
	s.bytes += size
	if s.looked > maxLooked || s.bytes > maxUnpacked || size < 0 {
		return clair.Invalid("layer", "it has over %d files, or %d bytes in them, that may hold packages", maxLooked, int64(maxUnpacked))
	}
	return nil
}

// nothing returns the result of a file that is of another format, which is the
// same for all files of a reader: there may be many.
func (s *scanner) nothing(r *reader.Reader) *scanned {
	if s.empty[r] == nil {
		s.empty[r] = newScanned(r, reader.Found{}, nil)
	}
	return s.empty[r]
}

// open makes a file readable at any offset; done closes it. f is nil if the
// file is too large or its first bytes are not those of the format.
func (s *scanner) open(r *reader.Reader, raw rawFile) (f *reader.File, done func() error, err error) {
	f = &reader.File{Path: cmp.Or(raw.as, raw.path), Size: raw.size}
	done = func() error { return nil }
	if at, ok := raw.body.(io.ReaderAt); ok {
		if raw.size > r.Limit || !isFormat(r, at, raw.size) {
			return nil, done, nil
		}
		f.ReaderAt = at
		return f, done, nil
	}
	head := make([]byte, min(headLen, raw.size))
	if _, err := io.ReadFull(raw.body, head); err != nil {
		return nil, done, err
	}
	if raw.size > r.Limit || r.Magic != nil && !r.Magic(head) {
		return nil, done, nil
	}
	body := io.MultiReader(bytes.NewReader(head), raw.body)
	if raw.size <= memoryFile {
		s.buf = slices.Grow(s.buf[:0], int(raw.size))[:raw.size]
		if _, err := io.ReadFull(body, s.buf); err != nil {
			return nil, done, err
		}
		f.ReaderAt = bytes.NewReader(s.buf)
		return f, done, nil
	}
	spooled, err := fetch.Spool(io.LimitReader(body, raw.size), s.tempDir, raw.size)
	if err != nil {
		return nil, done, err
	}
	if spooled.Size() != raw.size {
		return nil, done, errors.Join(io.ErrUnexpectedEOF, spooled.Close())
	}
	f.ReaderAt = spooled
	return f, spooled.Close, nil
}

func isFormat(r *reader.Reader, at io.ReaderAt, size int64) bool {
	if r.Magic == nil {
		return true
	}
	head := make([]byte, min(headLen, size))
	_, err := at.ReadAt(head, 0)
	return (err == nil || errors.Is(err, io.EOF)) && r.Magic(head)
}

// own records that a distribution's package installed a file, if a language's
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

// private records a file whose packages are not a public registry's.
func (s *scanner) private(path, reason string) {
	if len(s.origins) < maxOwned && len(path) <= maxPath {
		s.origins[path] = reason
	}
}

// skip records a file or directory of a root that cannot be read.
func (s *scanner) skip(what string, err error) {
	if len(s.result.Skipped) < maxSkipped {
		s.result.Skipped = append(s.result.Skipped, Skipped{what, err.Error()})
	}
}

// finish returns the result, everything in it sorted.
func (s *scanner) finish() *LayerResult {
	names := s.links.names(s)
	rank := -1
	for _, p := range slices.Sorted(maps.Keys(s.byPath)) {
		got := s.byPath[p]
		if d := got.more.Distribution; d != nil && (rank < 0 || got.more.Rank < rank) {
			s.result.Distribution, rank = d, got.more.Rank
			s.result.Inferred = rank >= system.RankInferred
		}
		s.result.Repositories = append(s.result.Repositories, got.more.Repositories...)
		s.put(p, names[p], got)
	}
	s.result.Repositories = compactRepositories(s.result.Repositories)
	slices.SortFunc(s.result.Databases, func(a, b Database) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(s.result.Files, func(a, b PackageFile) int { return cmp.Compare(a.Path, b.Path) })
	for p := range s.replaced {
		s.result.Replaced = append(s.result.Replaced, p)
	}
	slices.Sort(s.result.Replaced)
	s.result.Replaced = slices.Compact(s.result.Replaced)
	slices.Sort(s.result.Whiteouts)
	slices.Sort(s.result.Opaque)
	for p := range s.links.replaced {
		s.result.Symlinks = append(s.result.Symlinks, p)
	}
	slices.Sort(s.result.Symlinks)
	targets := s.links.targets(s)
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		s.result.Links = append(s.result.Links, Link{Path: targets[target], Target: target})
	}
	return s.result
}

// put adds the result of a file, under the name that its reader wants.
func (s *scanner) put(path string, names []string, got *scanned) {
	packages, unmatched := got.packages, got.more.Unmatched
	if origin := s.origins[path]; origin != "" {
		for _, p := range packages {
			unmatched = append(slices.Clip(unmatched), clair.Unmatched{Package: p.Name, Version: p.Version, Reason: origin})
		}
		packages = nil
	}
	sortPackages(packages)
	if len(names) > 0 && s.wanted(path, 0o644) != got.reader {
		path, names = names[0], append(slices.Clone(names[1:]), path)
	}
	reason := ""
	if got.err != nil {
		reason = got.err.Error()
	}
	switch {
	case got.reader.Database:
		d := Database{Path: path, Names: names, Packages: packages, Err: reason}
		if got.err != nil {
			d.Packages = nil
		}
		s.result.Databases = append(s.result.Databases, d)
	case len(packages) == 0 && len(unmatched) == 0 && got.err == nil:
		if got.reader.Repository != "" {
			s.result.Replaced = append(s.result.Replaced, path)
			s.result.Replaced = append(s.result.Replaced, names...)
		}
	case got.reader.Repository == "" && len(unmatched) == 0:
		if got.err != nil {
			s.skip(path, got.err)
		}
	default:
		s.result.Files = append(s.result.Files, PackageFile{
			Path: path, Names: names, Repository: got.reader.Repository, Catalog: got.more.Catalog, Packages: packages,
			Unmatched: unmatched, Err: reason, Owned: s.ownsAny(path, names),
		})
	}
}

// compactRepositories sorts repositories and removes duplicates.
func compactRepositories(list []clair.Repository) []clair.Repository {
	slices.SortFunc(list, func(a, b clair.Repository) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(list)
}

func (s *scanner) ownsAny(path string, names []string) bool {
	return s.owned[path] || slices.ContainsFunc(names, func(n string) bool { return s.owned[n] })
}

// sortPackages makes the order of packages independent of the order in their
// file.
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
