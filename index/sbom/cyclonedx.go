package sbom

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"oriel/clair"
)

// cyclone is what is read of a CycloneDX document, which in JSON and XML has
// the same names. The rest of the format, of which there is much, is skipped
// as it is read.
type cyclone struct {
	XMLName   xml.Name `json:"-" xml:"bom"`
	BOMFormat string   `json:"bomFormat" xml:"-"`
	Metadata  struct {
		Component cycloneComponent `json:"component" xml:"component"`
	} `json:"metadata" xml:"metadata"`
	Components []cycloneComponent `json:"components" xml:"components>component"`
}

type cycloneComponent struct {
	Type       string             `json:"type" xml:"type,attr"`
	Group      string             `json:"group" xml:"group"`
	Name       string             `json:"name" xml:"name"`
	Version    string             `json:"version" xml:"version"`
	PURL       string             `json:"purl" xml:"purl"`
	Properties []cycloneProperty  `json:"properties" xml:"properties>property"`
	Components []cycloneComponent `json:"components" xml:"components>component"`
}

type cycloneProperty struct {
	Name     string `json:"name" xml:"name,attr"`
	Value    string `json:"value" xml:"-"`
	XMLValue string `json:"-" xml:",chardata"`
}

const cycloneNamespace = "http://cyclonedx.org/schema/bom/"

func readCycloneDXJSON(b []byte) (*bill, error) {
	var doc cyclone
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	if doc.BOMFormat != "CycloneDX" {
		return nil, clair.Invalid("bomFormat", "%.40q is not CycloneDX", doc.BOMFormat)
	}
	return doc.bill(), nil
}

func readCycloneDXXML(b []byte) (*bill, error) {
	var doc cyclone
	d := xml.NewDecoder(bytes.NewReader(b))
	// Documents name encodings, and almost all that are not UTF-8 are ASCII.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	if !strings.HasPrefix(doc.XMLName.Space, cycloneNamespace) {
		return nil, clair.Invalid("bom", "its namespace %.60q is not CycloneDX's", doc.XMLName.Space)
	}
	return doc.bill(), nil
}

func (doc *cyclone) bill() *bill {
	b := &bill{}
	// What the document is of is no package in it, but may hold some.
	b.cyclone(doc.Metadata.Component.Components)
	if doc.Metadata.Component.Type == "operating-system" {
		b.setSystem(doc.Metadata.Component.system())
	}
	b.cyclone(doc.Components)
	return b
}

func (b *bill) cyclone(list []cycloneComponent) {
	for i := range list {
		c := &list[i]
		switch {
		case c.Type == "operating-system":
			b.setSystem(c.system())
		case c.Type == "file" || c.Type == "container" && c.PURL == "" || c.Type == "application" && c.PURL == "" && len(c.Properties) > 0 && c.Version == "":
			// Files that packages were found in, and images around them.
		default:
			b.components = append(b.components, c.component())
		}
		b.cyclone(c.Components)
	}
}

func (c *cycloneComponent) system() clair.Distribution {
	return clair.Distribution{DID: c.Name, VersionID: c.Version}
}

// component reads beside the package URL what syft and Trivy say in
// properties of their own.
func (c *cycloneComponent) component() component {
	out := component{name: c.Name, version: c.Version, purl: c.PURL}
	if c.Group != "" {
		out.name = c.Group + "/" + c.Name
	}
	release, epoch := "", ""
	for _, p := range c.Properties {
		v := p.Value + p.XMLValue
		switch p.Name {
		case "syft:location:0:path", "aquasecurity:trivy:FilePath":
			out.where = strings.TrimPrefix(v, "/")
		case "aquasecurity:trivy:SrcName":
			out.source = v
		case "aquasecurity:trivy:SrcVersion":
			out.sourceVersion = v
		case "aquasecurity:trivy:SrcRelease":
			release = v
		case "aquasecurity:trivy:SrcEpoch":
			epoch = v
		}
	}
	if release != "" {
		out.sourceVersion += "-" + release
	}
	if epoch != "" && epoch != "0" {
		out.sourceVersion = epoch + ":" + out.sourceVersion
	}
	return out
}
