package sbom

import (
	"bytes"
	"cmp"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// spdx is the part of an SPDX 2 document that is read.
type spdx struct {
	Version       string `json:"spdxVersion"`
	Packages      []spdxPackage
	Relationships []spdxRelationship
}

type spdxPackage struct {
	ID         string `json:"SPDXID"`
	Name       string
	Version    text          `json:"versionInfo"`
	FileName   string        `json:"packageFileName"`
	SourceInfo string        `json:"sourceInfo"`
	Purpose    string        `json:"primaryPackagePurpose"`
	Refs       []spdxPackRef `json:"externalRefs"`
}

type spdxPackRef struct {
	Type    string `json:"referenceType"`
	Locator string `json:"referenceLocator"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

func readSPDXJSON(b []byte) (*bill, error) {
	if isSPDX3(b) {
		return readSPDX3(b)
	}
	var doc spdx
	if err := decode(b, &doc); err != nil {
		return nil, err
	}
	return doc.bill()
}

// readSPDXTags reads "Tag: value" lines; a value between <text> and </text>
// may go over several.
func readSPDXTags(b []byte) (*bill, error) {
	var doc spdx
	var p *spdxPackage
	text := false
	err := reader.Lines(bytes.NewReader(b), func(line string) error {
		if text {
			text = !strings.Contains(line, "</text>")
			return nil
		}
		tag, value, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			return nil
		}
		text = strings.Contains(value, "<text>") && !strings.Contains(value, "</text>")
		value = strings.TrimSpace(value)
		switch tag = strings.TrimSpace(tag); tag {
		case "SPDXVersion":
			doc.Version = value
		case "PackageName":
			doc.Packages = append(doc.Packages, spdxPackage{Name: value})
			p = &doc.Packages[len(doc.Packages)-1]
		case "FileName", "SnippetSPDXID", "LicenseID":
			p = nil // what follows is not of a package
		case "Relationship":
			if f := strings.Fields(value); len(f) == 3 {
				doc.Relationships = append(doc.Relationships, spdxRelationship{f[0], f[1], f[2]})
			}
		default:
			if p != nil {
				p.tag(tag, value)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return doc.bill()
}

func (p *spdxPackage) tag(tag, value string) {
	switch tag {
	case "SPDXID":
		p.ID = value
	case "PackageVersion":
		p.Version = text(value)
	case "PackageFileName":
		p.FileName = value
	case "PackageSourceInfo":
		p.SourceInfo = strings.TrimSuffix(strings.TrimPrefix(value, "<text>"), "</text>")
	case "PrimaryPackagePurpose":
		p.Purpose = value
	case "ExternalRef":
		if f := strings.Fields(value); len(f) >= 3 {
			p.Refs = append(p.Refs, spdxPackRef{f[1], f[2]})
		}
	}
}

// ref returns the external reference of a type, "" if there is none.
func (p *spdxPackage) ref(kind string) string {
	for _, r := range p.Refs {
		if r.Type == kind || strings.HasSuffix(r.Type, "/"+kind) { // or an IRI
			return r.Locator
		}
	}
	return ""
}

func (doc *spdx) bill() (*bill, error) {
	if !strings.HasPrefix(doc.Version, "SPDX-2.") {
		return nil, clair.Invalid("spdxVersion", "%.40q is not SPDX 2", doc.Version)
	}
	byID := map[string]*spdxPackage{}
	for i := range doc.Packages {
		byID[doc.Packages[i].ID] = &doc.Packages[i]
	}
	source, described, inSystem := map[string]*spdxPackage{}, map[string]bool{}, map[string]bool{}
	for _, r := range doc.Relationships {
		switch r.Type {
		case "GENERATED_FROM":
			source[r.From] = byID[r.To]
		case "DESCRIBES":
			described[r.To] = true
		case "CONTAINED_BY":
			inSystem[r.From] = inSystem[r.From] || byID[r.To] != nil && byID[r.To].isSystem()
		}
	}
	b := &bill{}
	for i := range doc.Packages {
		p := &doc.Packages[i]
		purl := p.ref("purl")
		switch {
		case p.isSystem():
			b.setSystem(p.system())
		case purl == "" && (described[p.ID] || p.Purpose == "SOURCE" || p.Purpose == "OTHER"):
			// The subject of the document, and sources of others.
		default:
			c := component{name: p.Name, version: asserted(string(p.Version)), purl: purl, where: p.FileName, system: inSystem[p.ID]}
			if src := source[p.ID]; src != nil {
				c.source, c.sourceVersion = src.Name, string(src.Version)
			} else {
				c.source, c.sourceVersion = builtFrom(p.SourceInfo)
			}
			b.components = append(b.components, c)
		}
	}
	return b, nil
}

// isSystem reports whether a package is an operating system, as the
// specification marks them since 2.3 or as Trivy names them.
func (p *spdxPackage) isSystem() bool {
	return p.Purpose == "OPERATING-SYSTEM" || strings.HasPrefix(p.ID, "SPDXRef-OperatingSystem")
}

func (p *spdxPackage) system() clair.Distribution {
	return clair.Distribution{DID: cmp.Or(p.ref("did"), p.Name), VersionID: cmp.Or(p.ref("version_id"), string(p.Version)), PrettyName: p.ref("pretty_name")}
}

// builtFrom returns the source package that Trivy names in a text.
func builtFrom(sourceInfo string) (name, version string) {
	built, ok := strings.CutPrefix(sourceInfo, "built package from: ")
	if !ok {
		return "", ""
	}
	name, version, _ = strings.Cut(built, " ")
	return name, version
}

// asserted returns a value of SPDX, "" for the words by which it says that there
// is none.
func asserted(value string) string {
	if value == "NOASSERTION" || value == "NONE" {
		return ""
	}
	return value
}
