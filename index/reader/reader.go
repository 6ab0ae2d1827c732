// Package reader is the contract between the scanner of layers and the
// readers of package formats: what a reader wants to see, and what it reports.
//
// A format is one file with a Reader in package lang (languages), system
// (distributions) or a package of its own, and one line in that package's
// Readers. The scanner bounds what a reader is shown; a Reader bounds what it
// holds in memory and returns an ErrInvalid for a file that it cannot parse.
package reader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"oriel/clair"
	"oriel/internal/version"
)

// Reader reads the packages from files of one format.
type Reader struct {
	// Name and Version are part of the index state: raise the version when
	// the same file results in other packages than before.
	Name    string
	Version int
	// Wants reports by path and mode whether a file may be of the format.
	Wants func(path string, mode fs.FileMode) bool
	// Paths are the fixed paths at which a system looks for the file. Symbolic
	// links at and above them are followed.
	Paths []string
	// Magic reports by a file's first bytes whether it is of the format; nil
	// accepts every file.
	Magic func(head []byte) bool
	// Limit is the largest file that is read.
	Limit int64
	// Database marks a distribution's package database: only the topmost of
	// several layers counts, and one that cannot be read is an error.
	Database bool
	// Repository names the ecosystem of a language's packages.
	Repository string
	// Ownable is true if a distribution's packages may install such files,
	// whose fixes are then the distribution's.
	Ownable bool
	// Read adds the packages of a file to out.
	Read func(ctx context.Context, f *File, out *Found) error
}

// Run calls Read and turns a panic into an error. The parsers here do not
// panic, but some of those in libraries have, and one hostile file must not
// end the process.
func (r *Reader) Run(ctx context.Context, f *File, out *Found) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the %s reader failed: %v", clair.ErrInvalid, r.Name, p)
		}
	}()
	return r.Read(ctx, f, out)
}

// File is one file that a reader is shown.
type File struct {
	// Path is relative to the root, with slashes.
	Path string
	Size int64
	io.ReaderAt
}

// Stream reads the file from its start.
func (f *File) Stream() *io.SectionReader { return io.NewSectionReader(f.ReaderAt, 0, f.Size) }

// Bytes reads the file into memory. Only formats with a low limit may call it.
func (f *File) Bytes() ([]byte, error) {
	b := make([]byte, f.Size)
	_, err := io.ReadFull(f.Stream(), b)
	return b, err
}

// Text reads the file into memory, in UTF-8 without a byte order mark. Only
// formats with a low limit may call it.
func (f *File) Text() ([]byte, error) {
	b, err := f.Bytes()
	if err != nil {
		return nil, err
	}
	return UTF8(b)
}

// Found collects what a reader finds in one file.
type Found struct {
	Packages []clair.Package
	// Unmatched are components that the file names and that cannot be
	// matched, such as packages of a private registry.
	Unmatched []clair.Unmatched
	// Owned is called with each file that a package of a database installed.
	Owned func(path string)
	// Private is called with each file whose packages are not those of the
	// ecosystem's public registry, and the reason; the file need not exist.
	Private func(path, reason string)
	// Repositories are those that the packages of the distribution were
	// installed from, and Catalog the one that has the file's own packages.
	Repositories []clair.Repository
	Catalog      *clair.Repository
	// Distribution is the distribution that a file names, and Rank its
	// precedence: the lowest of a layer wins.
	Distribution *clair.Distribution
	Rank         int
	// Count is the number of packages found in the whole layer so far.
	Count int
}

const (
	// MaxPackages is the most packages that one layer may have; the largest
	// images have some tens of thousands.
	MaxPackages = 200_000
	// MaxWord bounds names and versions, in bytes. Real ones are far shorter.
	MaxWord = 1024
)

// ErrTooMany is returned by Found.Add if a layer has more than MaxPackages.
var ErrTooMany = errors.New("too many packages")

// Add adds a package. A package without a name is ignored. The error is an
// ErrInvalid if a name or version is too long, and ErrTooMany if there are too
// many packages.
func (o *Found) Add(p clair.Package) error {
	if p.Name == "" {
		return nil
	}
	if len(p.Name) > MaxWord || len(p.Version) > MaxWord {
		return fmt.Errorf("%w: a package's name or version has over %d bytes", clair.ErrInvalid, MaxWord)
	}
	if o.Count++; o.Count > MaxPackages {
		return ErrTooMany
	}
	if p.Kind == "" {
		p.Kind = clair.Binary
	}
	o.Packages = append(o.Packages, p)
	return nil
}

// AddUnmatched adds a component that cannot be matched with advisories. Its
// texts are cut at MaxWord.
func (o *Found) AddUnmatched(name, version, reason string) error {
	if o.Count++; o.Count > MaxPackages {
		return ErrTooMany
	}
	o.Unmatched = append(o.Unmatched, clair.Unmatched{Package: Cut(name), Version: Cut(version), Reason: Cut(reason)})
	return nil
}

// Cut cuts a text at MaxWord.
func Cut(s string) string { return s[:min(len(s), MaxWord)] }

// LanguagePackage returns a package of a language's ecosystem, with its
// normalized version if the version can be parsed.
func LanguagePackage(ecosystem, name, ver string) clair.Package {
	p := clair.Package{Name: name, Version: ver, Kind: clair.Binary}
	if n, ok := version.Normalize(version.Scheme(ecosystem), ver); ok {
		p.NormalizedVersion = n.String()
	}
	return p
}

// DecodeJSON decodes a file of JSON.
func DecodeJSON(f *File, into any) error {
	if err := json.NewDecoder(UTF8Reader(f.Stream())).Decode(into); err != nil {
		return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	return nil
}
