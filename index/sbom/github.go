package sbom

import (
	"encoding/json"
	"maps"
	"slices"

	"oriel/clair"
)

// github is a document of GitHub's dependency graph: a snapshot as it is
// submitted, or an export, which has an SPDX document in an envelope.
type github struct {
	SBOM      json.RawMessage           `json:"sbom"`
	Detector  json.RawMessage           `json:"detector"`
	Manifests map[string]githubManifest `json:"manifests"`
}

type githubManifest struct {
	File struct {
		Location string `json:"source_location"`
	} `json:"file"`
	Resolved map[string]struct {
		PURL string `json:"package_url"`
	} `json:"resolved"`
}

func readGitHub(b []byte) (*bill, error) {
	var doc github
	if err := decode(b, &doc); err != nil {
		return nil, err
	}
	switch {
	case doc.SBOM != nil:
		return readSPDXJSON(doc.SBOM)
	case doc.Manifests == nil:
		return nil, clair.Invalid("manifests", "is missing: the document is not of GitHub's dependency graph")
	}
	out := &bill{}
	for _, name := range slices.Sorted(maps.Keys(doc.Manifests)) {
		m := doc.Manifests[name]
		for _, key := range slices.Sorted(maps.Keys(m.Resolved)) {
			out.components = append(out.components, component{name: key, purl: m.Resolved[key].PURL, where: m.File.Location})
		}
	}
	return out, nil
}
