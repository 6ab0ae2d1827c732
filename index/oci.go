package index

import (
	"context"
	"runtime"
	"strings"

	"oriel/clair"
)

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
	l := layerParts{from: from, tempDir: o.TempDir}
	for _, d := range layers {
		if strings.Contains(d.MediaType, "in-toto") || d.Digest == "" {
			continue
		}
		l.parts = append(l.parts, layerPart{name: blobName(d.Digest), digest: d.Digest, verify: true})
	}
	results, err := l.scan(ctx)
	if err != nil {
		return nil, err
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
