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
	if err := scanTar(ctx, f.Stream(), s, defaultLimits()); err != nil {
		return nil, err
	}
	return inputOf("tar of a root directory", hash, []*LayerResult{s.finish()}, o)
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
	in := io.TeeReader(f.Stream(), sum)
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
