package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/rpm"
	"oriel/index/sbom"
	"oriel/index/system"
	"oriel/internal/distro"
	"oriel/internal/fetch"
)

// InputOptions choose a part of a local input and add facts that it does not
// state.
type InputOptions struct {
	// Release overrides the distribution.
	Release *distro.Release
	// Image chooses one of several images of an archive by its name or
	// digest, and Platform one of several platforms of an image, such as
	// "linux/arm64".
	Image, Platform string
	// TempDir is the directory for temporary files. Default: the system's.
	TempDir string
}

// Input is a local file or directory as an index report.
type Input struct {
	// Kind describes the input in words, such as "docker image".
	Kind   string
	Report *clair.IndexReport
}

// maxDocument is the largest SBOM or report that is read; they are held whole.
const maxDocument = 256 << 20

// ReadInput makes an index report of a local file or directory: an image as
// docker save writes it or in the OCI layout, packed or not, an unpacked root
// directory, an SBOM, an index report, or the database of dpkg, apk or rpm. The
// kind is recognized by the content, not by the name. The error is an ErrInvalid
// if the input is of another kind, or if it is not clear what to match.
func ReadInput(ctx context.Context, name string, o InputOptions) (*Input, error) {
	in, err := readInput(ctx, name, o)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return in, nil
}

func readInput(ctx context.Context, name string, o InputOptions) (*Input, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", clair.ErrNotFound, err)
	case err != nil:
		return nil, err
	case info.IsDir():
		return readDirectory(ctx, name, o)
	case !info.Mode().IsRegular():
		return nil, clair.Invalid("input", "is neither a file nor a directory")
	}
	raw, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	f, done, err := plainFile(ctx, raw, info.Size(), o.TempDir)
	if err != nil {
		return nil, err
	}
	defer done()
	f.Path = filepath.ToSlash(name)
	return recognize(ctx, f, o)
}

// plainFile returns a file with random access to its plain bytes; they are in a
// temporary file if it is compressed.
func plainFile(ctx context.Context, raw *os.File, size int64, tempDir string) (*reader.File, func(), error) {
	head := make([]byte, 6)
	if n, err := raw.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	} else if head = head[:n]; !isCompressed(head) {
		return &reader.File{Size: size, ReaderAt: raw}, func() {}, nil
	}
	plain, err := fetch.Decompress(contextReader{ctx, raw})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	defer plain.Close()
	spooled, err := fetch.Spool(plain, tempDir, maxUnpacked)
	if err != nil {
		return nil, nil, err
	}
	return &reader.File{Size: spooled.Size(), ReaderAt: spooled}, func() { spooled.Close() }, nil
}

func isCompressed(head []byte) bool {
	for _, magic := range []string{"\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd", "\xfd7zXZ\x00"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

// recognize determines the kind of a file.
func recognize(ctx context.Context, f *reader.File, o InputOptions) (*Input, error) {
	head := make([]byte, min(f.Size, 4096))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return readArchive(ctx, f, o)
	case rpm.IsDatabase(head):
		return readDatabase(ctx, f, rpm.Reader(), o)
	}
	var err error
	if reader.IsUTF16(head) {
		if head, err = toUTF8(f); err != nil {
			return nil, err
		}
		f = &reader.File{Path: f.Path, Size: int64(len(head)), ReaderAt: bytes.NewReader(head)}
	} else if head, err = reader.UTF8(head); err != nil {
		return nil, err
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		return readJSON(f, o)
	case bytes.HasPrefix(text, []byte("<")):
		return readBill(f, sbom.CycloneDXXML, o)
	case bytes.Contains(head, []byte("SPDXVersion:")):
		return readBill(f, sbom.SPDXTagValue, o)
	case hasLine(head, "Package: "):
		return readDatabase(ctx, f, system.Dpkg(), o)
	case hasLine(head, "P:") && hasLine(head, "V:"):
		return readDatabase(ctx, f, system.Apk(), o)
	}
	return nil, clair.Invalid("input", "unrecognized: not an image, SBOM, index report or package database")
}

// toUTF8 reads a document in UTF-16.
func toUTF8(f *reader.File) ([]byte, error) {
	b, err := readDocument(f)
	if err != nil {
		return nil, err
	}
	return reader.UTF8(b)
}

func hasLine(text []byte, prefix string) bool {
	return bytes.HasPrefix(text, []byte(prefix)) || bytes.Contains(text, []byte("\n"+prefix))
}

func readDocument(f *reader.File) ([]byte, error) {
	if f.Size > maxDocument {
		return nil, clair.Invalid("input", "a document of %d bytes is over the limit of %d", f.Size, maxDocument)
	}
	return f.Bytes()
}

// readJSON reads a document, whose kind is determined by keys that only one
// kind has.
func readJSON(f *reader.File, o InputOptions) (*Input, error) {
	b, err := readDocument(f)
	if err != nil {
		return nil, err
	}
	text, err := reader.UTF8(b)
	if err != nil {
		return nil, err
	}
	var keys struct {
		Hash        *json.RawMessage `json:"manifest_hash"`
		Packages    *json.RawMessage `json:"packages"`
		Environment *json.RawMessage `json:"environments"`
	}
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	if format, ok := sbom.Detect(text); ok {
		return billOf(format, b, o)
	}
	if keys.Hash == nil && (keys.Packages == nil || keys.Environment == nil) {
		return nil, clair.Invalid("input", "unrecognized JSON: neither CycloneDX nor SPDX, nor another SBOM or an index report")
	}
	r := &clair.IndexReport{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	if r.Hash == "" {
		r.Hash = DigestOf(b)
	}
	return &Input{Kind: "index report", Report: r}, Ready(r, r.Hash)
}

func readBill(f *reader.File, format sbom.Format, o InputOptions) (*Input, error) {
	b, err := readDocument(f)
	if err != nil {
		return nil, err
	}
	return billOf(format, b, o)
}

func billOf(format sbom.Format, b []byte, o InputOptions) (*Input, error) {
	r, err := ReadSBOM(format, b, SBOMOptions{Release: o.Release})
	if err != nil {
		return nil, err
	}
	return &Input{Kind: format.String(), Report: r}, nil
}

// readDatabase reads a package database alone, which does not name its
// distribution.
func readDatabase(ctx context.Context, f *reader.File, r reader.Reader, o InputOptions) (*Input, error) {
	if o.Release == nil {
		return nil, clair.Invalid("distro", "is missing: a database of %s alone does not name its distribution", r.Name)
	}
	if f.Size > r.Limit {
		return nil, clair.Invalid("input", "a database of %d bytes is over the limit of %d", f.Size, r.Limit)
	}
	out := &reader.Found{Owned: func(string) {}, Private: func(_, _ string) {}}
	if err := r.Run(ctx, f, out); err != nil {
		return nil, err
	}
	hash, err := digestOfFile(f)
	if err != nil {
		return nil, err
	}
	l := &LayerResult{
		Layer: hash, Distribution: o.Release.Distribution(),
		Databases: []Database{{Path: filepath.Base(f.Path), Packages: out.Packages}},
	}
	return inputOf(r.Name+" database", hash, []*LayerResult{l}, o)
}

// inputOf puts layers together.
func inputOf(kind string, hash clair.Digest, layers []*LayerResult, o InputOptions) (*Input, error) {
	if o.Release != nil {
		for _, l := range layers {
			l.Distribution, l.Inferred = o.Release.Distribution(), false
		}
	}
	r, err := Coalesce(hash, layers)
	if err != nil {
		return nil, err
	}
	return &Input{Kind: kind, Report: r}, nil
}

// readDirectory reads an image or a root directory. os.Root prevents links from
// leading out of it.
func readDirectory(ctx context.Context, name string, o InputOptions) (*Input, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	switch parts := (directory{root}); {
	case parts.has("oci-layout") && parts.has("index.json"):
		return readImage(ctx, parts, o)
	case parts.has("manifest.json") && isDockerManifest(parts):
		return readDocker(ctx, parts, o)
	}
	l, err := ScanRoot(ctx, root.FS(), o.TempDir)
	if err != nil {
		return nil, err
	}
	if len(l.Databases) == 0 && len(l.Files) == 0 && l.Distribution == nil {
		return nil, clair.Invalid("input", "there is no package, package database or os-release in the directory")
	}
	b, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	l.Layer = DigestOf(b)
	return inputOf("root directory", l.Layer, []*LayerResult{l}, o)
}

func digestOfFile(f *reader.File) (clair.Digest, error) {
	h, err := hasher("sha256:")
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(h, f.Stream()); err != nil {
		return "", err
	}
	return clair.Digest(fmt.Sprintf("sha256:%x", h.Sum(nil))), nil
}

// blobName returns the path of a blob in the OCI layout.
func blobName(d clair.Digest) string { return "blobs/" + strings.Replace(string(d), ":", "/", 1) }
