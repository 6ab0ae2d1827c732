package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"oriel/clair"
)

// reader reads the packages out of files of one format. A new format is one
// of these and a line in readers.
type reader struct {
	// name and version feed State: raise the version when the same file
	// gives other packages than before.
	name    string
	version int
	// wants says by path and mode whether a file may be of the format.
	wants func(path string, mode fs.FileMode) bool
	// magic says by a file's first bytes whether it is; nil means yes.
	magic func(head []byte) bool
	// limit is the largest file that is looked at.
	limit int64
	// database marks a distribution's package database: of several layers
	// only the topmost counts, and one that cannot be read is an error.
	database bool
	// repository names the ecosystem of a language's packages.
	repository string
	// ownable says that a distribution's packages may bring such files, whose
	// fixes are then the distribution's.
	ownable bool
	read    func(ctx context.Context, f *file, out *found) error
}

// readers lists all formats.
func readers() []reader {
	return []reader{
		osReleaseReader(), releaseFileReader(),
		dpkgReader(), dpkgFilesReader(), apkReader(), rpmReader(),
		goReader(), pythonReader(), nodeReader(), nodeLockReader(), javaReader(), rubyReader(), rustReader(),
		composerReader(),
	}
}

// file is one file that a reader looks at.
type file struct {
	// path is relative to the root, with slashes.
	path string
	size int64
	io.ReaderAt
}

// stream reads the file from its start.
func (f *file) stream() *io.SectionReader { return io.NewSectionReader(f.ReaderAt, 0, f.size) }

// whole reads the file into memory; only formats with a low limit may.
func (f *file) whole() ([]byte, error) {
	b := make([]byte, f.size)
	_, err := io.ReadFull(f.stream(), b)
	return b, err
}

// found collects what a reader finds in one file.
type found struct {
	packages []clair.Package
	// owned are files that the packages of a database brought.
	owned func(path string)
	// dist is what a file says the system is, and rank how little that is
	// worth.
	dist  *clair.Distribution
	rank  int
	count int
}

// maxPackages is the most packages one layer may have; the largest images
// there are have some tens of thousands.
const maxPackages = 200_000

var errTooMany = errors.New("too many packages")

// add notes a package; whatever it has no name for is ignored.
func (o *found) add(p clair.Package) error {
	if p.Name == "" {
		return nil
	}
	if len(p.Name) > maxWord || len(p.Version) > maxWord {
		return fmt.Errorf("%w: a package's name or version has over %d bytes", clair.ErrInvalid, maxWord)
	}
	if o.count++; o.count > maxPackages {
		return errTooMany
	}
	if p.Kind == "" {
		p.Kind = clair.Binary
	}
	o.packages = append(o.packages, p)
	return nil
}

// maxWord bounds names and versions, which real ones do not come near.
const maxWord = 1024

// guard reads a file and makes a panic an error. The parsers here do not
// panic, but some of those in the libraries have, and one hostile file must
// not end the process.
func (r *reader) guard(ctx context.Context, f *file, out *found) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the %s reader cannot make sense of it: %v", clair.ErrInvalid, r.name, p)
		}
	}()
	return r.read(ctx, f, out)
}
