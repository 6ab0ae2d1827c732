package index

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"

	"oriel/clair"
)

// files are the parts of an image, in an archive or a directory. open gives an
// ErrInvalid where there is no such file.
type files interface {
	open(name string) (f *file, done func(), err error)
}

// archive is a tar whose files are read in place.
type archive struct {
	f     *file
	parts map[string]part
}

type part struct {
	at, size int64
	link     string // where the file is a link to another in the archive
}

// indexArchive notes where each file of a tar lies.
func indexArchive(ctx context.Context, f *file) (*archive, error) {
	a := &archive{f, map[string]part{}}
	// The tar reader reads block by block, and skips by seeking, so that
	// after a header it stands where the file begins.
	in := f.stream()
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
			continue // no image has so many parts; a root's are not looked up
		}
		switch {
		case !ok:
		case h.Typeflag == tar.TypeReg && h.PAXRecords["GNU.sparse.major"] == "":
			at, err := in.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			if h.Size > f.size-at {
				return nil, clair.Invalid("archive", "%.100q is cut off", name)
			}
			a.parts[name] = part{at: at, size: h.Size}
		case h.Typeflag == tar.TypeSymlink:
			// docker save once linked layers that were the same.
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

func (a *archive) open(name string) (*file, func(), error) {
	p, ok := a.parts[name]
	for range 5 { // links to links, but not in circles
		if !ok || p.link == "" {
			break
		}
		p, ok = a.parts[p.link]
	}
	if !ok || p.link != "" {
		return nil, nil, clair.Invalid("image", "it has no file %.200q", name)
	}
	return &file{name, p.size, io.NewSectionReader(a.f, p.at, p.size)}, func() {}, nil
}

// directory is an unpacked OCI layout.
type directory struct{ root *os.Root }

func (d directory) open(name string) (*file, func(), error) {
	clean, ok := cleanName(name)
	if !ok {
		return nil, nil, clair.Invalid("image", "%.200q is no name of a file", name)
	}
	info, err := d.root.Stat(clean)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil, clair.Invalid("image", "it has no file %.200q", name)
	}
	f, err := d.root.Open(clean)
	if err != nil {
		return nil, nil, err
	}
	return &file{name, info.Size(), f}, func() { f.Close() }, nil
}

// readArchive reads a tar: an image, or else the files of a root.
func readArchive(ctx context.Context, f *file, o InputOptions) (*Input, error) {
	a, err := indexArchive(ctx, f)
	if err != nil {
		return nil, err
	}
	_, layout := a.parts["oci-layout"]
	_, oci := a.parts["index.json"]
	_, docker := a.parts["manifest.json"]
	switch {
	case layout && oci:
		return readImage(ctx, a, o)
	case docker:
		return readDocker(ctx, a, o)
	}
	hash, err := digestOfFile(f)
	if err != nil {
		return nil, err
	}
	s := newScanner(hash, o.TempDir)
	if err := scanTar(ctx, f.stream(), s, defaultLimits()); err != nil {
		return nil, err
	}
	return inputOf("tar of a root directory", hash, []*LayerResult{s.finish()}, o)
}

// readPart decodes a JSON part of an image and gives its digest.
func readPart(from files, name string, into any) (clair.Digest, error) {
	f, done, err := from.open(name)
	if err != nil {
		return "", err
	}
	defer done()
	const limit = 16 << 20
	if f.size > limit {
		return "", clair.Invalid("image", "%.200q has over %d bytes", name, limit)
	}
	b, err := f.whole()
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return "", fmt.Errorf("%w: %.200s: %w", clair.ErrInvalid, name, err)
	}
	return DigestOf(b), nil
}

// readDocker reads what docker save writes: a list of images, each with its
// configuration and layers, bottom first.
func readDocker(ctx context.Context, from files, o InputOptions) (*Input, error) {
	var images []struct {
		Config string
		Layers []string
	}
	if _, err := readPart(from, "manifest.json", &images); err != nil {
		return nil, err
	}
	if len(images) != 1 {
		return nil, clair.Invalid("image", "the archive holds %d images; save one", len(images))
	}
	var config struct {
		RootFS struct {
			DiffIDs []clair.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	hash, err := readPart(from, images[0].Config, &config)
	if err != nil {
		return nil, err
	}
	ids := config.RootFS.DiffIDs
	if len(ids) != len(images[0].Layers) {
		return nil, clair.Invalid("image", "it has %d layers and %d digests of layers", len(images[0].Layers), len(ids))
	}
	var layers []*LayerResult
	for i, name := range images[0].Layers {
		// The digests are of the layers as tars, whether or not they are
		// compressed here, so they name the layers and are not compared.
		l, err := scanPart(ctx, from, name, layerPart{digest: ids[i], tempDir: o.TempDir})
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return inputOf("docker image", hash, layers, o)
}

// descriptor names a blob of an OCI layout.
type descriptor struct {
	MediaType string       `json:"mediaType"`
	Digest    clair.Digest `json:"digest"`
	Platform  struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	} `json:"platform"`
}

// readImage reads an OCI layout.
func readImage(ctx context.Context, from files, o InputOptions) (*Input, error) {
	hash, layers, err := findImage(from, "index.json", 0)
	if err != nil {
		return nil, err
	}
	var results []*LayerResult
	for _, d := range layers {
		if strings.Contains(d.MediaType, "in-toto") || d.Digest == "" {
			continue
		}
		l, err := scanPart(ctx, from, blobName(d.Digest), layerPart{digest: d.Digest, verify: true, tempDir: o.TempDir})
		if err != nil {
			return nil, err
		}
		results = append(results, l)
	}
	return inputOf("OCI image", hash, results, o)
}

// findImage follows an index to the manifest of the image for this machine's
// architecture, or the only one there is.
func findImage(from files, name string, depth int) (clair.Digest, []descriptor, error) {
	var doc struct {
		Manifests []descriptor
		Layers    []descriptor
	}
	hash, err := readPart(from, name, &doc)
	if err != nil {
		return "", nil, err
	}
	if name != "index.json" && blobName(hash) != name && strings.HasPrefix(name, "blobs/sha256/") {
		return "", nil, clair.Invalid("image", "the bytes of %s have another digest", name)
	}
	if len(doc.Layers) > 0 {
		return hash, doc.Layers, nil
	}
	var found *descriptor
	for i := range doc.Manifests {
		d := &doc.Manifests[i]
		if d.Platform.OS == "unknown" || d.Digest == "" {
			continue // an attestation
		}
		if found == nil || d.Platform.Architecture == runtime.GOARCH && found.Platform.Architecture != runtime.GOARCH {
			found = d
		}
	}
	if found == nil || depth > 3 {
		return "", nil, clair.Invalid("image", "%s leads to no image", name)
	}
	return findImage(from, blobName(found.Digest), depth+1)
}

// layerPart is what is known of a layer in an image.
type layerPart struct {
	digest  clair.Digest
	verify  bool
	tempDir string
}

func scanPart(ctx context.Context, from files, name string, p layerPart) (*LayerResult, error) {
	f, done, err := from.open(name)
	if err != nil {
		return nil, err
	}
	defer done()
	sum, err := hasher(p.digest)
	if err != nil {
		return nil, err
	}
	s := newScanner(p.digest, p.tempDir)
	in := io.TeeReader(f.stream(), sum)
	if err := scanTar(ctx, in, s, defaultLimits()); err != nil {
		return nil, fmt.Errorf("layer %.200s: %w", name, err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return nil, err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); p.verify && !strings.HasSuffix(string(p.digest), ":"+got) {
		return nil, clair.Invalid("image", "the bytes of %.200s have another digest", name)
	}
	return s.finish(), nil
}
