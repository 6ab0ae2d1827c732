package sbom

import (
	"strings"

	"oriel/clair"
)

// syft is the part of a document in syft's own format that is read
// (github.com/anchore/syft, schema/json).
type syft struct {
	Artifacts []struct {
		Name      string `json:"name"`
		Version   text   `json:"version"`
		PURL      string `json:"purl"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"artifacts"`
	Distro struct {
		ID              string `json:"id"`
		Name            string `json:"name"`
		Version         string `json:"version"`
		VersionID       string `json:"versionID"`
		VersionCodeName string `json:"versionCodename"`
		PrettyName      string `json:"prettyName"`
	} `json:"distro"`
	Schema *struct {
		Version string `json:"version"`
	} `json:"schema"`
	Descriptor *struct {
		Name string `json:"name"`
	} `json:"descriptor"`
}

func readSyft(b []byte) (*bill, error) {
	var doc syft
	if err := decode(b, &doc); err != nil {
		return nil, err
	}
	if doc.Descriptor == nil || doc.Artifacts == nil && doc.Schema == nil {
		return nil, clair.Invalid("descriptor", "is missing: the document is not syft's")
	}
	out := &bill{}
	d := doc.Distro
	out.setSystem(clair.Distribution{
		DID: d.ID, Name: d.Name, Version: d.Version, VersionID: d.VersionID, VersionCodeName: d.VersionCodeName, PrettyName: d.PrettyName,
	})
	for _, a := range doc.Artifacts {
		c := component{name: a.Name, version: string(a.Version), purl: a.PURL}
		if len(a.Locations) > 0 {
			c.where = strings.TrimPrefix(a.Locations[0].Path, "/")
		}
		out.components = append(out.components, c)
	}
	return out, nil
}
