package index

import (
	"context"

	"oriel/clair"
)

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
	l := layerParts{from: from, tempDir: o.TempDir}
	for i, name := range images[0].Layers {
		// The digests are those of the layers as tars, compressed here or
		// not, so they identify the layers and are not compared.
		l.parts = append(l.parts, layerPart{name: name, digest: ids[i]})
	}
	layers, err := l.scan(ctx)
	if err != nil {
		return nil, err
	}
	return inputOf("docker image", hash, layers, o)
}
