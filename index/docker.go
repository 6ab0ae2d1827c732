package index

import (
	"context"
	"errors"

	"oriel/clair"
)

// dockerImage is an entry of the manifest.json that docker save writes.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// readDocker reads the older form of docker save: a list of images, each with
// its configuration and layers, bottom first.
func readDocker(ctx context.Context, from files, o InputOptions) (*Input, error) {
	var images []dockerImage
	if _, err := readPart(from, "manifest.json", &images); err != nil {
		return nil, err
	}
	if len(images) > maxImages {
		return nil, clair.Invalid("image", "the archive holds over %d images", maxImages)
	}
	if len(images) == 0 {
		return nil, clair.Invalid("image", "the archive holds 0 images")
	}
	var list []candidate
	for _, image := range images {
		c, err := dockerCandidate(from, image)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	c, err := chooseImage(list, o)
	if err != nil {
		return nil, err
	}
	return c.read(ctx, "docker image", from, o)
}

// isDockerManifest reports whether the manifest.json of a directory is that of
// docker save and not that of a program with such a file.
func isDockerManifest(from files) bool {
	var images []dockerImage
	_, err := readPart(from, "manifest.json", &images)
	return err == nil && len(images) > 0 && images[0].Config != ""
}

func dockerCandidate(from files, image dockerImage) (candidate, error) {
	var config struct {
		platform
		RootFS struct {
			DiffIDs []clair.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	c := candidate{names: image.RepoTags}
	hash, err := readPart(from, image.Config, &config)
	if errors.Is(err, errNoPart) {
		c.hash, c.missing = DigestOf([]byte(image.Config)), image.Config
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.hash, c.config, c.platform = hash, hash, config.platform
	if ids := config.RootFS.DiffIDs; len(ids) != len(image.Layers) {
		return c, clair.Invalid("image", "it has %d layers and %d digests of layers", len(image.Layers), len(ids))
	}
	for i, name := range image.Layers {
		// The digests are those of the layers as tars, compressed here or
		// not, so they identify the layers and are not compared.
		c.layers = append(c.layers, layerPart{name: name, digest: config.RootFS.DiffIDs[i]})
		if c.missing == "" && !from.has(name) {
			c.missing = name
		}
	}
	return c, nil
}
