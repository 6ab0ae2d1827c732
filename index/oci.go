package index

import (
	"context"
	"errors"
	"strings"

	"oriel/clair"
)

const (
	// maxImages bounds the images of one archive, and maxIndexDepth how deep
	// an index may be in another.
	maxImages     = 1000
	maxIndexDepth = 4
)

// descriptor names a blob of an OCI layout.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Digest       clair.Digest      `json:"digest"`
	Platform     platform          `json:"platform"`
	Annotations  map[string]string `json:"annotations"`
}

// ociDocument is an index or a manifest.
type ociDocument struct {
	ArtifactType string        `json:"artifactType"`
	Manifests    []descriptor  `json:"manifests"`
	Config       *descriptor   `json:"config"`
	Layers       *[]descriptor `json:"layers"`
}

// readImage reads an OCI layout, which is the newer form of docker save, too.
func readImage(ctx context.Context, from files, o InputOptions) (*Input, error) {
	l := &layoutReader{from: from, open: map[clair.Digest]bool{}}
	var index ociDocument
	hash, err := readPart(from, "index.json", &index)
	if err != nil {
		return nil, err
	}
	if err := l.document(hash, index, descriptor{}, nil, 0); err != nil {
		return nil, err
	}
	if len(l.images) == 0 && l.missing != "" {
		return nil, clair.Invalid("image", "it has no file %.200q", l.missing)
	}
	l.addDockerNames()
	c, err := chooseImage(l.images, o)
	if err != nil {
		return nil, err
	}
	return c.read(ctx, "OCI image", from, o)
}

// layoutReader collects the images of a layout.
type layoutReader struct {
	from   files
	images []candidate
	// open are the indexes that are being read, so that one that leads to
	// itself ends.
	open map[clair.Digest]bool
	// count is the number of documents read.
	count int
	// missing is the first document that is listed and not in the archive.
	missing string
}

// document adds the images of an index, or that of a manifest. d is the
// descriptor that led to it, and names are the image's names so far.
func (l *layoutReader) document(hash clair.Digest, doc ociDocument, d descriptor, names []string, depth int) error {
	if doc.Layers != nil {
		if isImage(doc) {
			l.images = append(l.images, l.image(hash, doc, d, names))
		}
		return nil
	}
	if depth > maxIndexDepth || l.open[hash] {
		return clair.Invalid("image", "the indexes of the image lead to each other or are nested too deep")
	}
	l.open[hash] = true
	defer delete(l.open, hash)
	for _, d := range doc.Manifests {
		if isAttestation(d) {
			continue
		}
		if l.count++; l.count > maxImages {
			return clair.Invalid("image", "it lists over %d images", maxImages)
		}
		if err := l.follow(d, names, depth); err != nil {
			return err
		}
	}
	return nil
}

// follow reads the document that a descriptor names. One that is not in the
// archive is skipped: an index lists all platforms, even if only one was
// saved.
func (l *layoutReader) follow(d descriptor, names []string, depth int) error {
	var doc ociDocument
	name := blobName(d.Digest)
	hash, err := readPart(l.from, name, &doc)
	if errors.Is(err, errNoPart) {
		if l.missing == "" {
			l.missing = name
		}
		return nil
	}
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, "blobs/sha256/") && blobName(hash) != name {
		return clair.Invalid("image", "the bytes of %.200s have another digest", name)
	}
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if n := d.Annotations[key]; n != "" {
			names = append(names[:len(names):len(names)], n)
			break
		}
	}
	return l.document(hash, doc, d, names, depth+1)
}

func (l *layoutReader) image(hash clair.Digest, doc ociDocument, d descriptor, names []string) candidate {
	c := candidate{hash: hash, names: names, platform: d.Platform}
	if doc.Config != nil {
		c.config = doc.Config.Digest
		var config platform
		if _, err := readPart(l.from, blobName(c.config), &config); err == nil && config.Architecture != "" {
			c.platform = config
		}
	}
	for _, layer := range *doc.Layers {
		if layer.Digest == "" || !isLayer(layer.MediaType) {
			continue
		}
		name := blobName(layer.Digest)
		c.layers = append(c.layers, layerPart{name: name, digest: layer.Digest, verify: true})
		if c.missing == "" && !l.from.has(name) {
			c.missing = name
		}
	}
	return c
}

// addDockerNames adds the names that manifest.json has for the images, since
// other tools than Docker write no annotations.
func (l *layoutReader) addDockerNames() {
	var images []dockerImage
	if !l.from.has("manifest.json") {
		return
	}
	if _, err := readPart(l.from, "manifest.json", &images); err != nil {
		return
	}
	for _, image := range images {
		for i := range l.images {
			if c := &l.images[i]; c.config != "" && len(c.names) == 0 && image.Config == blobName(c.config) {
				c.names = image.RepoTags
			}
		}
	}
}

// isAttestation reports whether a descriptor is of something about an image:
// BuildKit's attestations, signatures and other referrers.
func isAttestation(d descriptor) bool {
	return d.Digest == "" || d.Platform.OS == "unknown" || d.Annotations["vnd.docker.reference.type"] != "" ||
		d.ArtifactType != "" && !isImageConfig(d.ArtifactType)
}

// isImage reports whether a manifest is that of an image. An image may be
// empty; other artifacts have a type of their own, or layers of another type.
func isImage(doc ociDocument) bool {
	if doc.ArtifactType != "" && !isImageConfig(doc.ArtifactType) {
		return false
	}
	if doc.Config != nil && doc.Config.MediaType != "" && !isImageConfig(doc.Config.MediaType) {
		return false
	}
	for _, layer := range *doc.Layers {
		if isLayer(layer.MediaType) {
			return true
		}
	}
	return len(*doc.Layers) == 0
}

func isImageConfig(mediaType string) bool {
	return mediaType == "application/vnd.oci.image.config.v1+json" || strings.HasPrefix(mediaType, "application/vnd.docker.container.image.")
}

// isLayer reports whether a media type is that of a file system's layer. Some
// builders leave it out.
func isLayer(mediaType string) bool {
	return mediaType == "" || strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.") ||
		strings.HasPrefix(mediaType, "application/vnd.docker.image.rootfs.") || mediaType == "application/x-tar"
}
