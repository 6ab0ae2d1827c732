// Package sbom reads software bills of materials: CycloneDX in JSON and XML,
// and SPDX in JSON and tag-value form. All formats are reduced to a list of
// components (bill), from which the packages are made.
package sbom

import (
	"cmp"
	"fmt"
	"mime"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/rpm"
	"oriel/internal/distro"
	"oriel/internal/purl"
)

// Format is a format of an SBOM, named by its media type.
type Format string

// The formats that are read.
const (
	CycloneDXJSON Format = "application/vnd.cyclonedx+json"
	CycloneDXXML  Format = "application/vnd.cyclonedx+xml"
	SPDXJSON      Format = "application/spdx+json"
	SPDXTagValue  Format = "text/spdx"
)

// FormatOf returns the format that a request's content type names; ok is false
// if it does not name an SBOM.
func FormatOf(contentType string) (f Format, ok bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	f = Format(kind)
	return f, err == nil && slices.Contains([]Format{CycloneDXJSON, CycloneDXXML, SPDXJSON, SPDXTagValue}, f)
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
}

// Read reads an SBOM. A component's package URL decides which package it is;
// without one, the component is used only if the rest of the document
// identifies it. A release, if not nil, overrides the distribution of the
// operating system's packages. The error is an ErrInvalid.
func Read(format Format, document []byte, release *distro.Release) (*Document, error) {
	read := map[Format]func([]byte) (*bill, error){
		CycloneDXJSON: readCycloneDXJSON, CycloneDXXML: readCycloneDXXML, SPDXJSON: readSPDXJSON, SPDXTagValue: readSPDXTags,
	}[format]
	if read == nil {
		return nil, clair.Invalid("content-type", "%.60q is not an SBOM format", string(format))
	}
	b, err := read(document)
	if err != nil {
		return nil, fmt.Errorf("read the SBOM: %w", err)
	}
	out := &Document{}
	for _, c := range b.components {
		p, err := c.pkg(b.system, release)
		if err != nil {
			out.Unmatched = append(out.Unmatched, c.unmatched(err))
			continue
		}
		out.Packages = append(out.Packages, p)
	}
	return out, nil
}

// bill is what all formats come down to.
type bill struct {
	components []component
	// system is the operating system the document speaks of, nil if none.
	system *clair.Distribution
}

// component is a package as a document has it.
type component struct {
	name, version, purl string
	// where is the file it was found in, if the document knows.
	where string
	// source and sourceVersion are what it was built from, if known beside
	// the package URL.
	source, sourceVersion string
	// system says that, lacking a package URL, it is known to be a package
	// of the operating system.
	system bool
}

// unmatched returns the component as one that cannot be matched.
func (c *component) unmatched(err error) clair.Unmatched {
	if c.purl != "" {
		return clair.Unmatched{Package: c.purl, Reason: err.Error()}
	}
	return clair.Unmatched{Package: c.name, Version: c.version, Reason: err.Error()}
}

// setSystem notes the first operating system of a document.
func (b *bill) setSystem(d clair.Distribution) {
	if b.system == nil && (d.DID != "" || d.Name != "") {
		b.system = &d
	}
}

// The errors of components that cannot be matched.
func noMatch(format string, args ...any) error { return fmt.Errorf(format, args...) }

// pkg makes a package of a component.
func (c *component) pkg(system *clair.Distribution, override *distro.Release) (Package, error) {
	if c.purl == "" {
		if !c.system {
			return Package{}, noMatch("it has no package URL")
		}
		release, ok := systemRelease(system, override)
		if !ok {
			return Package{}, noMatch("no distribution is known for it")
		}
		return c.distributionPackage(release, purl.PURL{Name: c.name, Version: c.version})
	}
	u, err := purl.Parse(c.purl)
	if err != nil {
		return Package{}, err
	}
	u.Version = cmp.Or(u.Version, c.version)
	if u.Version == "" {
		return Package{}, noMatch("it has no version")
	}
	if arch := u.Qualifiers.Get("arch"); arch == "src" || arch == "nosrc" || arch == "source" {
		return Package{}, noMatch("it is a source package, which is not installed")
	}
	if u.Type == "deb" || u.Type == "rpm" || u.Type == "apk" {
		release, ok := releaseOf(u, system, override)
		if !ok {
			return Package{}, noMatch("no distribution is known for it")
		}
		return c.distributionPackage(release, u)
	}
	ecosystem, ok := ecosystems[u.Type]
	if !ok {
		return Package{}, noMatch("no advisories are known for packages of type %.40q", u.Type)
	}
	p := reader.LanguagePackage(ecosystem, languageName(ecosystem, u), u.Version)
	return Package{Package: p, Path: cmp.Or(c.where, c.purl), Ecosystem: ecosystem}, nil
}

// ecosystems are the types of package URLs that languages have. Nothing
// writes to it.
var ecosystems = map[string]string{
	"golang": "go", "pypi": "pypi", "maven": "maven", "gem": "rubygems", "npm": "npm", "cargo": "crates.io", "nuget": "nuget",
	"composer": "packagist", "pub": "pub", "hex": "hex", "cran": "cran", "hackage": "hackage", "conan": "conan", "swift": "swift", "julia": "julia",
}

// languageName puts namespace and name together as the ecosystem does.
func languageName(ecosystem string, u purl.PURL) string {
	switch {
	case u.Namespace == "" || ecosystem == "conan":
		return u.Name
	case ecosystem == "maven":
		return u.Namespace + ":" + u.Name
	}
	return u.Namespace + "/" + u.Name
}

// releaseOf finds the distribution of a package: what the caller says, what
// its URL says, what the document says of the system.
func releaseOf(u purl.PURL, system *clair.Distribution, override *distro.Release) (distro.Release, bool) {
	if override != nil {
		return *override, true
	}
	if name := u.Qualifiers.Get("distro"); name != "" {
		if r, ok := distro.ReleaseByPURL(u.Namespace, name); ok {
			return r, true
		}
	}
	if r, ok := systemRelease(system, nil); ok {
		return r, true
	}
	return distro.ReleaseByPURL(u.Namespace, "")
}

func systemRelease(system *clair.Distribution, override *distro.Release) (distro.Release, bool) {
	if override != nil {
		return *override, true
	}
	return distro.ReleaseOf(system)
}

func (c *component) distributionPackage(r distro.Release, u purl.PURL) (Package, error) {
	if u.Version == "" {
		return Package{}, noMatch("it has no version")
	}
	p := clair.Package{Name: u.Name, Version: u.Version, Kind: clair.Binary, Arch: u.Qualifiers.Get("arch")}
	epoch := u.Qualifiers.Get("epoch")
	if epoch != "" && epoch != "0" && !strings.Contains(p.Version, ":") {
		p.Version = epoch + ":" + p.Version
	}
	p.Module = rpm.ModuleStream(cmp.Or(u.Qualifiers.Get("rpmmod"), u.Qualifiers.Get("modularitylabel")))
	p.Source = c.sourceOf(u.Qualifiers.Get("upstream"), &p)
	if p.Source == nil && r.Scheme != "rpm" {
		// dpkg and apk name a source only where it has another name.
		p.Source = &clair.Package{Name: p.Name, Version: p.Version, Kind: clair.Source}
	}
	return Package{Package: p, Path: cmp.Or(c.where, c.purl, "sbom"), Distribution: r.Distribution()}, nil
}

// sourceOf reads the upstream qualifier: NAME, NAME@VERSION or the file name
// of a source package.
func (c *component) sourceOf(upstream string, p *clair.Package) *clair.Package {
	name, ver := c.source, c.sourceVersion
	if upstream != "" {
		if strings.HasSuffix(upstream, ".rpm") {
			src := rpm.Source(upstream)
			if src != nil && strings.HasSuffix(p.Version, ":"+src.Version) {
				src.Version = p.Version // whose epoch it shares
			}
			return src
		}
		name, ver, _ = strings.Cut(upstream, "@")
	}
	if name == "" {
		return nil
	}
	return &clair.Package{Name: name, Version: cmp.Or(ver, p.Version), Kind: clair.Source}
}
