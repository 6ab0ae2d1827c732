package sbom

import (
	"encoding/json"
	"strings"

	"oriel/clair"
)

// spdx3 is the part of an SPDX 3 document that is read: JSON-LD with all
// elements in one list.
type spdx3 struct {
	Context json.RawMessage `json:"@context"`
	Graph   []spdx3Element  `json:"@graph"`
}

type spdx3Element struct {
	Type       string `json:"type"`
	ID         string `json:"spdxId"`
	Name       string `json:"name"`
	Version    text   `json:"software_packageVersion"`
	PURL       string `json:"software_packageUrl"`
	Purpose    string `json:"software_primaryPurpose"`
	SourceInfo string `json:"software_sourceInfo"`
	// Identifiers may be objects or, in other profiles, ids of elements.
	Identifiers []json.RawMessage `json:"externalIdentifier"`
	Root        []string          `json:"rootElement"`
}

// isSPDX3 reports whether a document is in SPDX 3.
func isSPDX3(b []byte) bool {
	var doc struct {
		Context json.RawMessage `json:"@context"`
	}
	return json.Unmarshal(b, &doc) == nil && strings.Contains(string(doc.Context), "spdx")
}

func readSPDX3(b []byte) (*bill, error) {
	var doc spdx3
	if err := decode(b, &doc); err != nil {
		return nil, err
	}
	if doc.Graph == nil {
		return nil, clair.Invalid("@graph", "is missing")
	}
	root := map[string]bool{}
	for _, e := range doc.Graph {
		if strings.HasSuffix(e.Type, "SpdxDocument") || strings.HasSuffix(e.Type, "Sbom") || strings.HasSuffix(e.Type, "Bom") {
			for _, id := range e.Root {
				root[id] = true
			}
		}
	}
	out := &bill{}
	for _, e := range doc.Graph {
		if !strings.HasSuffix(e.Type, "software_Package") && !strings.HasSuffix(e.Type, "Software/Package") {
			continue
		}
		switch purl := e.purl(); {
		case e.Purpose == "operatingSystem":
			out.setSystem(clair.Distribution{DID: e.Name, VersionID: string(e.Version)})
		case purl == "" && (root[e.ID] || e.Purpose == "source" || e.Purpose == "other"):
			// The subject of the document, and sources of others.
		default:
			c := component{name: e.Name, version: asserted(string(e.Version)), purl: purl}
			c.source, c.sourceVersion = builtFrom(e.SourceInfo)
			out.components = append(out.components, c)
		}
	}
	return out, nil
}

// purl returns the package URL of an element, "" if it has none.
func (e *spdx3Element) purl() string {
	if e.PURL != "" {
		return e.PURL
	}
	for _, raw := range e.Identifiers {
		var id struct {
			Type       string `json:"externalIdentifierType"`
			Identifier string `json:"identifier"`
		}
		if json.Unmarshal(raw, &id) == nil && (id.Type == "packageUrl" || id.Type == "purl") {
			return id.Identifier
		}
	}
	return ""
}
