package lang

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

const (
	// maxJarDepth is how deep archives may lie in one another: a jar in a war
	// in an ear, and one more.
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
		Name: "java", Version: 1, Limit: 2 << 30, Repository: "maven", Ownable: true,
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
		return clair.Invalid("archive", "archives lie more than %d deep in one another", maxJarDepth)
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
	var manifest *zip.File
	named := false
	for _, f := range z.File {
		if j.ctx.Err() != nil {
			return context.Cause(j.ctx)
		}
		switch {
		case f.Name == "META-INF/MANIFEST.MF":
			manifest = f
		case strings.HasPrefix(f.Name, "META-INF/maven/") && path.Base(f.Name) == "pom.properties":
			ok, err := j.pom(f)
			if err != nil {
				return err
			}
			named = named || ok
		case isJar(f.Name) && f.UncompressedSize64 > 0:
			if err := j.inner(f, depth); err != nil {
				return err
			}
		}
	}
	if named {
		return nil
	}
	return j.manifest(name, manifest)
}

// zipEntries reads from the end of an archive how many entries it has, before
// the library makes room for as many as the directory pretends to have.
func zipEntries(r io.ReaderAt, size int64) (int, error) {
	tail := make([]byte, min(size, 22+0xffff))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 || len(tail) < i+22 {
		return 0, clair.Invalid("archive", "it has no directory")
	}
	n, dir := int(binary.LittleEndian.Uint16(tail[i+10:])), int64(binary.LittleEndian.Uint32(tail[i+12:]))
	if n == 0xffff || dir > maxJarFiles*1024 {
		return 0, clair.Invalid("archive", "it has over %d files", 0xffff-1)
	}
	return n, nil
}

// inner reads an archive in an archive.
func (j *jars) inner(f *zip.File, depth int) error {
	if f.UncompressedSize64 > maxNested {
		return clair.Invalid("archive", "%.100q in it has over %d bytes", f.Name, maxNested)
	}
	if j.nested += int64(f.UncompressedSize64); j.nested > maxNestedTotal {
		return clair.Invalid("archive", "the archives in it have over %d bytes", int64(maxNestedTotal))
	}
	b, err := unzip(f, maxNested)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(b, []byte("PK")) {
		return nil
	}
	return j.read(f.Name, bytes.NewReader(b), int64(len(b)), depth+1)
}

// pom adds the package that Maven says the archive, or a part of it, is.
func (j *jars) pom(f *zip.File) (bool, error) {
	b, err := unzip(f, maxManifest)
	if err != nil {
		return false, err
	}
	prop := properties(b, "=")
	group, artifact, ver := prop["groupId"], prop["artifactId"], prop["version"]
	if group == "" || artifact == "" || ver == "" {
		return false, nil
	}
	return true, j.out.Add(reader.LanguagePackage("maven", group+":"+artifact, ver))
}

// jarName is the name of an archive's file, ARTIFACT-VERSION.
var jarName = regexp.MustCompile(`^(.+?)[-_]v?(\d[\w.+-]*)$`)

// manifest adds the package that the manifest and the file's name say the
// archive is. Where the group can only be guessed, it is taken from what the
// manifest calls the bundle or its vendor.
func (j *jars) manifest(name string, f *zip.File) error {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	artifact, ver := base, ""
	if m := jarName.FindStringSubmatch(base); m != nil {
		artifact, ver = m[1], m[2]
	}
	prop := map[string]string{}
	if f != nil {
		b, err := unzip(f, maxManifest)
		if err != nil {
			return err
		}
		// A line that begins with a space goes on with the one before.
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n "), nil)
		prop = properties(b, ":")
	}
	ver = cmp.Or(ver, prop["Implementation-Version"], prop["Bundle-Version"], prop["Specification-Version"])
	if ver == "" || artifact == "" {
		return nil
	}
	bundle, _, _ := strings.Cut(prop["Bundle-SymbolicName"], ";")
	group := cmp.Or(prop["Implementation-Vendor-Id"], strings.TrimSuffix(bundle, "."+artifact))
	if group == "" {
		return j.out.Add(reader.LanguagePackage("maven", artifact, ver))
	}
	return j.out.Add(reader.LanguagePackage("maven", group+":"+artifact, ver))
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

// unzip reads an entry whole. An entry that is longer than it says is an
// error, which the library finds.
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
	return b, nil
}
