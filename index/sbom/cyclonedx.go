package sbom

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"oriel/clair"
)

// cyclone is the part of a CycloneDX document that is read. JSON and XML have
// the same names.
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
	Version    text               `json:"version" xml:"version"`
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
	if err := decode(b, &doc); err != nil {
		return nil, err
	}
	if doc.BOMFormat != "CycloneDX" {
		return nil, clair.Invalid("bomFormat", "%.40q is not CycloneDX", doc.BOMFormat)
	}
	return doc.bill(), nil
}

func readCycloneDXXML(b []byte) (*bill, error) {
	var doc cyclone
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = charsetReader
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	if !strings.HasPrefix(doc.XMLName.Space, cycloneNamespace) {
		return nil, clair.Invalid("bom", "its namespace %.60q is not CycloneDX's", doc.XMLName.Space)
	}
	return doc.bill(), nil
}

// charsetReader decodes the encoding that an XML document declares. UTF-16 is
// decoded before.
func charsetReader(charset string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "iso-8859-1", "latin1", "windows-1252":
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		out := make([]byte, 0, len(b))
		for _, c := range b {
			out = utf8.AppendRune(out, rune(c))
		}
		return bytes.NewReader(out), nil
	}
	return r, nil
}

func (doc *cyclone) bill() *bill {
	b := &bill{}
	// The subject of the document is a package if it is a released library. An
	// application is one that no registry has, although it may share the name
	// of a package. Either may hold packages.
	switch subject := doc.Metadata.Component; {
	case subject.Type == "operating-system":
		b.setSystem(subject.system())
	case (subject.Type == "library" || subject.Type == "framework") && strings.Contains(subject.PURL, "@"):
		b.components = append(b.components, subject.component())
	}
	b.cyclone(doc.Metadata.Component.Components)
	b.cyclone(doc.Components)
	return b
}

func (b *bill) cyclone(list []cycloneComponent) {
	for i := range list {
		c := &list[i]
		switch {
		case c.Type == "operating-system":
			b.setSystem(c.system())
		case c.PURL == "" && c.isNoPackage():
			// Images around packages, and files that packages were found in.
		default:
			b.components = append(b.components, c.component())
		}
		b.cyclone(c.Components)
	}
}

// isNoPackage reports whether a component without a package URL is something
// else than software.
func (c *cycloneComponent) isNoPackage() bool {
	switch c.Type {
	case "file", "container", "data", "cryptographic-asset", "machine-learning-model":
		return true
	case "application": // a lock file, as Trivy describes it
		return len(c.Properties) > 0 && c.Version == ""
	}
	return false
}

func (c *cycloneComponent) system() clair.Distribution {
	d := clair.Distribution{DID: c.Name, VersionID: string(c.Version)}
	for _, p := range c.Properties {
		switch v := p.Value + p.XMLValue; p.Name {
		case "syft:distro:id":
			d.DID = v
		case "syft:distro:versionID":
			d.VersionID = v
		case "syft:distro:versionCodename":
			d.VersionCodeName = v
		case "syft:distro:prettyName":
			d.PrettyName = v
		}
	}
	return d
}

// component reads, in addition to the package URL, the properties that syft and
// Trivy add.
func (c *cycloneComponent) component() component {
	out := component{name: c.Name, version: string(c.Version), purl: c.PURL}
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
