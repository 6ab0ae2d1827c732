// Package sbom reads software bills of materials: CycloneDX in JSON and XML,
// SPDX in JSON (2 and 3) and tag-value form, syft's JSON, and the documents of
// GitHub's dependency graph. All formats are reduced to a list of components
// (bill), from which the packages are made.
package sbom

import (
	"fmt"
	"mime"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/internal/distro"
)

// Format is a format of an SBOM, named by its media type.
type Format string

// The formats that are read.
const (
	CycloneDXJSON Format = "application/vnd.cyclonedx+json"
	CycloneDXXML  Format = "application/vnd.cyclonedx+xml"
	SPDXJSON      Format = "application/spdx+json"
	SPDXTagValue  Format = "text/spdx"
	SyftJSON      Format = "application/vnd.syft+json"
	// GitHubSnapshot is a snapshot of GitHub's dependency graph, or its
	// export.
	GitHubSnapshot Format = "application/vnd.github.dependency-snapshot+json"
)

// formats are the readers of the formats. Nothing writes to it.
var formats = map[Format]func([]byte) (*bill, error){
	CycloneDXJSON: readCycloneDXJSON, CycloneDXXML: readCycloneDXXML, SPDXJSON: readSPDXJSON, SPDXTagValue: readSPDXTags,
	SyftJSON: readSyft, GitHubSnapshot: readGitHub,
}

// String returns the format's name for people.
func (f Format) String() string {
	switch f {
	case CycloneDXJSON, CycloneDXXML:
		return "CycloneDX SBOM"
	case SPDXJSON, SPDXTagValue:
		return "SPDX SBOM"
	case SyftJSON:
		return "syft SBOM"
	case GitHubSnapshot:
		return "GitHub dependency snapshot"
	}
	return string(f)
}

// FormatOf returns the format that a request's content type names; ok is false
// if it does not name an SBOM.
func FormatOf(contentType string) (f Format, ok bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	f = Format(kind)
	return f, err == nil && formats[f] != nil
}

// Document is the content of an SBOM.
type Document struct {
	Packages []Package
	// Unmatched are the components that cannot be matched with advisories.
	Unmatched []clair.Unmatched
}

// Package is a package and where the document says it was found.
type Package struct {
	clair.Package
	// Path is the file or database that holds the package, its package URL
	// if the document names no file.
	Path string
	// Distribution is nil for a language's package.
	Distribution *clair.Distribution
	// Ecosystem names the repository of a language's package.
	Ecosystem string

	// assumedSource is true if the document names no source package, and the
	// one of the same name was taken.
	assumedSource bool
}

// Read reads an SBOM. A component's package URL decides which package it is;
// without one, the component is used only if the rest of the document
// identifies it. A release, if not nil, overrides the distribution of the
// operating system's packages. The error is an ErrInvalid.
func Read(format Format, document []byte, release *distro.Release) (*Document, error) {
	read := formats[format]
	if read == nil {
		return nil, clair.Invalid("content-type", "%.60q is not an SBOM format", string(format))
	}
	document, err := reader.UTF8(document)
	if err != nil {
		return nil, fmt.Errorf("read the SBOM: %w", err)
	}
	b, err := read(document)
	if err != nil {
		return nil, fmt.Errorf("read the SBOM: %w", err)
	}
	out := &Document{}
	assumed := map[string]int{}
	for _, c := range b.components {
		p, err := c.pkg(b.system, release)
		if err != nil {
			out.Unmatched = append(out.Unmatched, c.unmatched(err))
			continue
		}
		if p.assumedSource {
			assumed[p.Distribution.DID+" "+p.Distribution.VersionID]++
		}
		out.Packages = append(out.Packages, p)
	}
	for at, n := range assumed {
		out.Unmatched = append(out.Unmatched, clair.Unmatched{Package: strings.TrimSpace(at), Reason: fmt.Sprintf(
			"the document names no source packages for its packages (%d): those of the same names were taken, and advisories of other sources are not found", n)})
	}
	return out, nil
}
