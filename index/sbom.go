package index

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/purl"
)

// SBOMFormat is a format of a software bill of materials.
type SBOMFormat string

// The formats that are read, named by their media types.
const (
	CycloneDXJSON SBOMFormat = "application/vnd.cyclonedx+json"
	CycloneDXXML  SBOMFormat = "application/vnd.cyclonedx+xml"
	SPDXJSON      SBOMFormat = "application/spdx+json"
	SPDXTagValue  SBOMFormat = "text/spdx"
)

// SBOMFormatOf tells by a request's content type whether its body is an SBOM.
func SBOMFormatOf(contentType string) (SBOMFormat, bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	f := SBOMFormat(kind)
	return f, err == nil && slices.Contains([]SBOMFormat{CycloneDXJSON, CycloneDXXML, SPDXJSON, SPDXTagValue}, f)
}

// SBOMOptions say what a document does not.
type SBOMOptions struct {
	// Hash is the manifest's digest. Default: the document's own.
	Hash clair.Digest
	// Release overrides the distribution of all the distribution's packages.
	Release *clair.Release
}

// SBOM is an SBOM as an index report.
type SBOM struct {
	Report *clair.IndexReport
	// Unmatched are the packages that are not in the report, since nobody
	// could say whether anything affects them, and why.
	Unmatched []Skipped
}

// DigestOf is the digest under which a document is known that has none.
func DigestOf(document []byte) clair.Digest {
	sum := sha256.Sum256(document)
	return clair.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ReadSBOM makes an index report of an SBOM. A package is what its package URL
// says; without one it is what the rest of the document makes certain. The
// error is an ErrInvalid.
func ReadSBOM(format SBOMFormat, document []byte, o SBOMOptions) (*SBOM, error) {
	read := map[SBOMFormat]func([]byte) (*bill, error){
		CycloneDXJSON: readCycloneDXJSON, CycloneDXXML: readCycloneDXXML, SPDXJSON: readSPDXJSON, SPDXTagValue: readSPDXTags,
	}[format]
	if read == nil {
		return nil, clair.Invalid("content-type", "%.60q is no SBOM's", string(format))
	}
	b, err := read(document)
	if err != nil {
		return nil, fmt.Errorf("read the SBOM: %w", err)
	}
	hash := o.Hash
	if hash == "" {
		hash = DigestOf(document)
	}
	out := &SBOM{}
	r := newReport(hash)
	for _, c := range b.components {
		p, at, err := c.pkg(b.system, o.Release)
		if err != nil {
			out.Unmatched = append(out.Unmatched, Skipped{What: cmp.Or(c.purl, strings.TrimSuffix(c.name+"@"+c.version, "@")), Reason: err.Error()})
			continue
		}
		r.add(p, at)
	}
	out.Report = r.finish()
	return out, Ready(out.Report, hash)
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

// setSystem notes the first operating system of a document.
func (b *bill) setSystem(d clair.Distribution) {
	if b.system == nil && (d.DID != "" || d.Name != "") {
		b.system = &d
	}
}

// The errors of components that cannot be matched.
func noMatch(format string, args ...any) error { return fmt.Errorf(format, args...) }

// pkg makes a package of a component.
func (c *component) pkg(system *clair.Distribution, override *clair.Release) (clair.Package, place, error) {
	if c.purl == "" {
		if !c.system {
			return clair.Package{}, place{}, noMatch("it has no package URL")
		}
		release, ok := systemRelease(system, override)
		if !ok {
			return clair.Package{}, place{}, noMatch("no distribution is known for it")
		}
		return c.distributionPackage(release, purl.PURL{Name: c.name, Version: c.version})
	}
	u, err := purl.Parse(c.purl)
	if err != nil {
		return clair.Package{}, place{}, err
	}
	u.Version = cmp.Or(u.Version, c.version)
	if u.Version == "" {
		return clair.Package{}, place{}, noMatch("it has no version")
	}
	if u.Type == "deb" || u.Type == "rpm" || u.Type == "apk" {
		release, ok := releaseOf(u, system, override)
		if !ok {
			return clair.Package{}, place{}, noMatch("no distribution is known for it")
		}
		return c.distributionPackage(release, u)
	}
	ecosystem, ok := ecosystems[u.Type]
	if !ok {
		return clair.Package{}, place{}, noMatch("no advisories are known for packages of type %.40q", u.Type)
	}
	p := languagePackage(ecosystem, languageName(ecosystem, u), u.Version)
	return p, place{db: cmp.Or(c.where, c.purl), ecosystem: ecosystem}, nil
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
func releaseOf(u purl.PURL, system *clair.Distribution, override *clair.Release) (clair.Release, bool) {
	if override != nil {
		return *override, true
	}
	if distro := u.Qualifiers.Get("distro"); distro != "" {
		if r, ok := clair.ReleaseByPURL(u.Namespace, distro); ok {
			return r, true
		}
	}
	if r, ok := systemRelease(system, nil); ok {
		return r, true
	}
	return clair.ReleaseByPURL(u.Namespace, "")
}

func systemRelease(system *clair.Distribution, override *clair.Release) (clair.Release, bool) {
	if override != nil {
		return *override, true
	}
	return clair.ReleaseOf(system)
}

func (c *component) distributionPackage(r clair.Release, u purl.PURL) (clair.Package, place, error) {
	if u.Version == "" {
		return clair.Package{}, place{}, noMatch("it has no version")
	}
	p := clair.Package{Name: u.Name, Version: u.Version, Kind: clair.Binary, Arch: u.Qualifiers.Get("arch")}
	epoch := u.Qualifiers.Get("epoch")
	if epoch != "" && epoch != "0" && !strings.Contains(p.Version, ":") {
		p.Version = epoch + ":" + p.Version
	}
	p.Module = moduleStream(cmp.Or(u.Qualifiers.Get("rpmmod"), u.Qualifiers.Get("modularitylabel")))
	p.Source = c.sourceOf(u.Qualifiers.Get("upstream"), &p)
	if p.Source == nil && r.Scheme != "rpm" {
		// dpkg and apk name a source only where it has another name.
		p.Source = &clair.Package{Name: p.Name, Version: p.Version, Kind: clair.Source}
	}
	return p, place{db: cmp.Or(c.where, c.purl, "sbom"), dist: r.Distribution()}, nil
}

// sourceOf reads the upstream qualifier: NAME, NAME@VERSION or the file name
// of a source package.
func (c *component) sourceOf(upstream string, p *clair.Package) *clair.Package {
	name, ver := c.source, c.sourceVersion
	if upstream != "" {
		if strings.HasSuffix(upstream, ".rpm") {
			src := sourceOf(upstream)
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
