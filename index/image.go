package index

import (
	"context"
	"fmt"
	"io"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// readArchive reads a tar: an image, or else the files of a root.
func readArchive(ctx context.Context, f *reader.File, o InputOptions) (*Input, error) {
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
	s.host = true
	for {
		if err := scanTar(ctx, f.Stream(), s, defaultLimits()); err != nil {
			return nil, err
		}
		if !s.again() {
			break
		}
	}
	return inputOf("tar of a root directory", hash, []*LayerResult{s.finish()}, o)
}

// layerPart is a layer in an image.
type layerPart struct {
	name   string
	digest clair.Digest
	// verify compares the digest with the bytes as they are in the image.
	verify bool
}

// layerParts are the layers of an image, bottom first.
type layerParts struct {
	from    files
	parts   []layerPart
	tempDir string
}

// scan reads the layers. Layers in which another has links to files are read
// once more for these.
func (l layerParts) scan(ctx context.Context) ([]*LayerResult, error) {
	results := make([]*LayerResult, len(l.parts))
	for i, p := range l.parts {
		var err error
		if results[i], err = l.scanPart(ctx, p, newScanner(p.digest, l.tempDir)); err != nil {
			return nil, err
		}
	}
	return completeLinks(results, func(i int, aliases map[string]string) (*LayerResult, error) {
		return l.scanPart(ctx, l.parts[i], newAliasScanner(l.parts[i].digest, l.tempDir, aliases))
	})
}

func (l layerParts) scanPart(ctx context.Context, p layerPart, s *scanner) (*LayerResult, error) {
	f, done, err := l.from.open(p.name)
	if err != nil {
		return nil, err
	}
	defer done()
	sum, err := hasher(p.digest)
	if err != nil {
		return nil, err
	}
	in := io.TeeReader(f.Stream(), sum)
	if err := scanTar(ctx, in, s, defaultLimits()); err != nil {
		return nil, fmt.Errorf("layer %.200s: %w", p.name, err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return nil, err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); p.verify && !strings.HasSuffix(string(p.digest), ":"+got) {
		return nil, clair.Invalid("image", "the bytes of %.200s have another digest", p.name)
	}
	for s.again() {
		if err := scanTar(ctx, f.Stream(), s, defaultLimits()); err != nil {
			return nil, fmt.Errorf("layer %.200s: %w", p.name, err)
		}
	}
	return s.finish(), nil
}
