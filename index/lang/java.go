package lang

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

const (
	// maxJarDepth is how deep archives may be nested: a jar in a war in an
	// ear, and one more.
	maxJarDepth = 4
	// maxJarFiles, maxNested and maxNestedTotal bound what one outermost
	// archive may hold, since nested archives are held in memory.
	maxJarFiles    = 200_000
	maxNested      = 24 << 20
	maxNestedTotal = 2 << 30
	maxManifest    = 1 << 20
)

// jarExtensions are the names of Java archives. Nothing writes to it.
var jarExtensions = []string{".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar"}

func isJar(name string) bool { return slices.Contains(jarExtensions, strings.ToLower(path.Ext(name))) }

func javaReader() reader.Reader {
	return reader.Reader{
		Name: "java", Version: 2, Limit: 2 << 30, Repository: "maven", Ownable: true,
		Wants: func(p string, _ fs.FileMode) bool { return isJar(p) },
		Magic: func(head []byte) bool { return bytes.HasPrefix(head, []byte("PK")) },
		Read: func(ctx context.Context, f *reader.File, out *reader.Found) error {
			j := &jars{ctx: ctx, out: out}
			return j.read(f.Path, f.ReaderAt, f.Size, 0)
		},
	}
}

// jars reads an archive and those in it.
type jars struct {
	ctx    context.Context
	out    *reader.Found
	files  int
	nested int64
}

func (j *jars) read(name string, r io.ReaderAt, size int64, depth int) error {
	if depth > maxJarDepth {
		return clair.Invalid("archive", "archives are nested more than %d deep", maxJarDepth)
	}
	n, err := zipEntries(r, size)
	if err != nil {
		return err
	}
	if j.files += n; j.files > maxJarFiles {
		return clair.Invalid("archive", "it has over %d files", maxJarFiles)
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	a := &jar{name: name, copies: map[string]string{}, named: map[string]bool{}, poms: map[string]*zip.File{}}
	for _, f := range z.File {
		if j.ctx.Err() != nil {
			return context.Cause(j.ctx)
		}
		if isJar(f.Name) && f.UncompressedSize64 > 0 {
			err = j.inner(r, f, depth)
		} else {
			err = a.entry(f)
		}
		if err != nil {
			return err
		}
	}
	return a.add(j.out)
}

// zipEntries reads the number of entries from the end of an archive, before the
// library allocates memory for as many as the directory claims to have.
func zipEntries(r io.ReaderAt, size int64) (int, error) {
	tail := make([]byte, min(size, 22+0xffff))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail) < i+22 {
		return 0, clair.Invalid("archive", "it has no directory")
	}
	n, dir := uint64(binary.LittleEndian.Uint16(tail[i+10:])), uint64(binary.LittleEndian.Uint32(tail[i+12:]))
	if n == 0xffff || dir == 0xffffffff {
		var err error
		if n, dir, err = zip64Entries(r, tail[:i]); err != nil {
			return 0, err
		}
	}
	if n > maxJarFiles || dir > maxJarFiles*1024 {
		return 0, clair.Invalid("archive", "it has over %d files", maxJarFiles)
	}
	return int(n), nil
}

// zip64Entries reads the number of entries and the size of the directory of an
// archive with more files than the older format can count. Its record is at the
// offset that a locator at the end of tail has.
func zip64Entries(r io.ReaderAt, tail []byte) (n, dir uint64, err error) {
	const locator, record = 20, 56
	var b [record]byte
	if at := len(tail) - locator; at >= 0 && bytes.HasPrefix(tail[at:], []byte("PK\x06\x07")) {
		_, err := r.ReadAt(b[:], int64(binary.LittleEndian.Uint64(tail[at+8:])))
		if err == nil && bytes.HasPrefix(b[:], []byte("PK\x06\x06")) {
			return binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:]), nil
		}
	}
	return 0, 0, clair.Invalid("archive", "its directory is damaged")
}

// inner reads an archive in an archive r: in place if it is stored, as in the
// archives of Spring Boot, else in memory.
func (j *jars) inner(r io.ReaderAt, f *zip.File, depth int) error {
	if f.Method == zip.Store && f.CompressedSize64 == f.UncompressedSize64 {
		at, err := f.DataOffset()
		if err != nil {
			return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
		}
		return j.nestedJar(f.Name, io.NewSectionReader(r, at, int64(f.UncompressedSize64)), depth)
	}
	if f.UncompressedSize64 > maxNested {
		return j.out.AddUnmatched(f.Name, "", fmt.Sprintf("it is a compressed archive in an archive, over the limit of %d bytes", maxNested))
	}
	if j.nested += int64(f.UncompressedSize64); j.nested > maxNestedTotal {
		return clair.Invalid("archive", "the archives in it have over %d bytes", int64(maxNestedTotal))
	}
	b, err := unzip(f, maxNested)
	if err != nil {
		return err
	}
	return j.nestedJar(f.Name, bytes.NewReader(b), depth)
}

// sizedReaderAt is a file of a known size.
type sizedReaderAt interface {
	io.ReaderAt
	Size() int64
}

func (j *jars) nestedJar(name string, r sizedReaderAt, depth int) error {
	var magic [2]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil || string(magic[:]) != "PK" {
		return nil // not an archive, whatever its name
	}
	return j.read(name, r, r.Size(), depth+1)
}

// properties reads KEY SEP VALUE lines.
func properties(b []byte, sep string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, sep); ok && !strings.HasPrefix(line, "#") {
			out[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

// unzipHead reads the first bytes of an entry, which may be longer: a manifest
// has a section for each signed file after the one that matters.
func unzipHead(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	return reader.UTF8(b)
}

// unzip reads an entry into memory. The library returns an error for an entry
// that is longer than it claims to be.
func unzip(f *zip.File, limit int64) ([]byte, error) {
	if f.UncompressedSize64 > uint64(limit) {
		return nil, clair.Invalid("archive", "%.100q in it has over %d bytes", f.Name, limit)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	if bytes.HasPrefix(b, []byte("PK")) {
		return b, nil
	}
	return reader.UTF8(b)
}
