package sbom

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/rpm"
	"oriel/internal/distro"
	"oriel/internal/purl"
)

// bill is the content of a document in any of the formats.
type bill struct {
	components []component
	// system is the operating system that the document names, nil if none.
	system *clair.Distribution
}

// setSystem records the first operating system of a document.
func (b *bill) setSystem(d clair.Distribution) {
	if b.system == nil && (d.DID != "" || d.Name != "") {
		b.system = &d
	}
}

// component is a package as a document describes it.
type component struct {
	name, version, purl string
	// where is the file it was found in, if the document names it.
	where string
	// source and sourceVersion are the package it was built from, if the
	// document names it outside the package URL.
	source, sourceVersion string
	// system is true for a package of the operating system without a package
	// URL.
	system bool
}

// unmatched returns the component as one that cannot be matched.
func (c *component) unmatched(err error) clair.Unmatched {
	u := clair.Unmatched{Package: reader.Cut(c.purl), Reason: reader.Cut(err.Error())}
	if c.purl == "" {
		u.Package, u.Version = reader.Cut(c.name), reader.Cut(c.version)
	}
	return u
}

// The reasons for which components cannot be matched.
var (
	errNoPURL    = errors.New("it has no package URL")
	errNoVersion = errors.New("it has no version")
	errNoDistro  = errors.New("no distribution is known for it")
	errSource    = errors.New("it is a source package, which is not installed")
	errTooLong   = fmt.Errorf("its name or version has over %d bytes", reader.MaxWord)
	errPrivate   = errors.New("it is a package of an organization, not of the public registry")
)

// pkg returns the package of a component. The error is the reason for which it
// cannot be matched.
func (c *component) pkg(system *clair.Distribution, override *distro.Release) (Package, error) {
	p, err := c.anyPackage(system, override)
	if err == nil && (len(p.Name) > reader.MaxWord || len(p.Version) > reader.MaxWord) {
		err = errTooLong
	}
	return p, err
}

func (c *component) anyPackage(system *clair.Distribution, override *distro.Release) (Package, error) {
	if c.purl == "" {
		if !c.system {
			return Package{}, errNoPURL
		}
		at, ok := systemOf(system, override)
		if !ok {
			return Package{}, errNoDistro
		}
		return c.distributionPackage(at, purl.PURL{Name: c.name, Version: c.version})
	}
	u, err := purl.Parse(c.purl)
	if err != nil {
		return Package{}, err
	}
	if u.Version = cmp.Or(u.Version, c.version); u.Version == "" {
		return Package{}, errNoVersion
	}
	if arch := u.Qualifiers.Get("arch"); arch == "src" || arch == "nosrc" || arch == "source" {
		return Package{}, errSource
	}
	if u.Type == "deb" || u.Type == "rpm" || u.Type == "apk" {
		at, ok := distributionOf(u, system, override)
		if !ok {
			return Package{}, errNoDistro
		}
		return c.distributionPackage(at, u)
	}
	return c.languagePackage(u)
}

// ecosystems are the repositories of the types of package URLs that languages
// have. Nothing writes to it.
var ecosystems = map[string]string{
	"golang": "go", "pypi": "pypi", "maven": "maven", "gem": "rubygems", "npm": "npm", "cargo": "crates.io", "nuget": "nuget",
	"composer": "packagist", "pub": "pub", "hex": "hex", "cran": "cran", "hackage": "hackage", "conan": "conan", "swift": "swift",
	"julia": "julia", "cocoapods": "cocoapods", "github": "github-actions", "githubactions": "github-actions",
}

func (c *component) languagePackage(u purl.PURL) (Package, error) {
	ecosystem, ok := ecosystems[u.Type]
	if !ok {
		return Package{}, fmt.Errorf("no advisories are known for packages of type %.40q", u.Type)
	}
	if from := u.Qualifiers.Get("repository_url"); !reader.IsPublic(ecosystem, from) {
		return Package{}, errors.New(reader.NotPublic(from))
	}
	name, err := languageName(ecosystem, u)
	if err != nil {
		return Package{}, err
	}
	p := reader.LanguagePackage(ecosystem, name, u.Version)
	return Package{Package: p, Path: cmp.Or(c.where, c.purl), Ecosystem: ecosystem}, nil
}

// languageName returns the name that a package has in its ecosystem.
func languageName(ecosystem string, u purl.PURL) (string, error) {
	name := u.Name
	if u.Namespace != "" {
		name = u.Namespace + "/" + name
	}
	switch ecosystem {
	case "go":
		// Tools that take a module path to have three parts write the rest,
		// such as a major version, as the subpath.
		if u.Subpath != "" {
			name += "/" + u.Subpath
		}
		if name == "std" {
			name = "stdlib"
		}
		// In the module cache and in proxies, an upper case letter has a "!"
		// before its lower case form.
		name = strings.ReplaceAll(name, "!", "")
	case "maven":
		if u.Namespace != "" {
			name = u.Namespace + ":" + u.Name
		}
	case "conan":
		if isSet(u.Qualifiers.Get("user")) || isSet(u.Qualifiers.Get("channel")) {
			return "", errPrivate // recipes of ConanCenter have neither
		}
		name = u.Name
	case "hex":
		if u.Namespace != "" {
			return "", errPrivate
		}
	case "swift":
		name = strings.TrimSuffix(name, ".git")
	case "cocoapods":
		if u.Subpath != "" {
			name += "/" + u.Subpath
		}
	}
	return name, nil
}

// isSet reports whether a user or channel of Conan is one: "_" is none.
func isSet(s string) bool { return s != "" && s != "_" }

// distribution is where a package of an operating system is from: a release,
// or else a distribution that is not known here, so that the report can say
// so.
type distribution struct {
	*clair.Distribution
	// scheme is the ordering of its packages' versions, "" if unknown.
	scheme string
}

func released(r distro.Release) distribution { return distribution{r.Distribution(), r.Scheme} }

// distributionOf returns the distribution of a package: the caller's, that of
// its URL, that of the document's operating system. ok is false if nothing
// names one.
func distributionOf(u purl.PURL, system *clair.Distribution, override *distro.Release) (d distribution, ok bool) {
	if override != nil {
		return released(*override), true
	}
	var named *clair.Distribution
	for _, key := range []string{"distro", "distro_name"} {
		name := u.Qualifiers.Get(key)
		if name == "" {
			continue
		}
		for _, form := range []string{name, developmentRelease(name)} {
			if r, ok := distro.ReleaseByPURL(u.Namespace, form); ok && form != "" {
				return released(r), true
			}
		}
		if named == nil {
			named = namedDistribution(u.Namespace, name)
		}
	}
	if named == nil {
		if d, ok := systemOf(system, nil); ok {
			return d, true
		}
		r, ok := distro.ReleaseByPURL(u.Namespace, "")
		return released(r), ok
	}
	return distribution{Distribution: named}, true
}

// developmentRelease returns the name of a release that package URLs give in
// the words of its os-release: Alpine's edge, Debian's unstable, and the first
// Amazon Linux, which has the date of its image. It returns "" for any other.
func developmentRelease(name string) string {
	switch {
	case strings.Contains(name, "_alpha"):
		return "edge"
	case strings.HasSuffix(name, "/sid"):
		return "sid"
	case strings.Contains(name, "AMI release"):
		return "Amazon Linux AMI"
	}
	return ""
}

// distroName is ID-VERSION, the usual form of the distro of a package URL.
var distroName = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_.-]*?)-v?([0-9][A-Za-z0-9_.-]*)$`)

// namedDistribution returns the distribution of a text that names none that is
// known.
func namedDistribution(namespace, text string) *clair.Distribution {
	text = reader.Cut(text)
	if version, ok := strings.CutPrefix(text, namespace+"-"); ok && namespace != "" {
		return &clair.Distribution{DID: namespace, VersionID: version}
	}
	if m := distroName.FindStringSubmatch(text); m != nil {
		return &clair.Distribution{DID: m[1], VersionID: m[2]}
	}
	if namespace != "" && text != "" && '0' <= text[0] && text[0] <= '9' {
		return &clair.Distribution{DID: namespace, VersionID: text}
	}
	return &clair.Distribution{DID: text}
}

func systemOf(system *clair.Distribution, override *distro.Release) (d distribution, ok bool) {
	if override != nil {
		return released(*override), true
	}
	if r, ok := distro.ReleaseOf(system); ok {
		return released(r), true
	}
	return distribution{Distribution: system}, system != nil
}

func (c *component) distributionPackage(d distribution, u purl.PURL) (Package, error) {
	if u.Version == "" {
		return Package{}, errNoVersion
	}
	p := clair.Package{Name: u.Name, Version: u.Version, Kind: clair.Binary, Arch: u.Qualifiers.Get("arch")}
	p.Version = withEpoch(u.Qualifiers.Get("epoch"), p.Version)
	p.Module = rpm.ModuleStream(cmp.Or(u.Qualifiers.Get("rpmmod"), u.Qualifiers.Get("modularitylabel")))
	p.Source = c.sourceOf(u, &p)
	out := Package{Path: cmp.Or(c.where, c.purl, "sbom"), Distribution: d.Distribution}
	if isRPM := d.scheme == "rpm" || u.Type == "rpm"; p.Source == nil && (!isRPM || slices.Contains(sourceNames, strings.ToLower(d.DID))) {
		// dpkg and apk name a source only if it has another name.
		p.Source = &clair.Package{Name: p.Name, Version: p.Version, Kind: clair.Source}
		out.assumedSource = isRPM
	}
	out.Package = p
	return out, nil
}

// sourceNames are the distributions of rpm whose advisories name source
// packages, so that a package without one would not be found in them. Nothing
// writes to it.
var sourceNames = []string{
	"rocky", "sles", "sles_sap", "sled", "sle_hpc", "sle_rt", "sle-micro", "sl-micro", "opensuse-leap", "opensuse-tumbleweed",
	"mageia", "openeuler", "azurelinux",
}

// withEpoch adds an epoch to a version that has none.
func withEpoch(epoch, version string) string {
	if epoch == "" || epoch == "0" || strings.Contains(version, ":") {
		return version
	}
	return epoch + ":" + version
}

// sourceOf returns the source package of p, nil if the document names none.
// Its name is in one of several qualifiers, depending on the tool: NAME,
// NAME@VERSION or the file name of a source package.
func (c *component) sourceOf(u purl.PURL, p *clair.Package) *clair.Package {
	name, ver := c.source, c.sourceVersion
	for _, key := range []string{"upstream", "sourcerpm", "source", "origin"} {
		value := u.Qualifiers.Get(key)
		if value == "" {
			continue
		}
		if strings.HasSuffix(value, ".rpm") {
			src := rpm.Source(value)
			if src != nil {
				src.Version = rpm.SourceVersion(src.Version, p.Version)
			}
			return src
		}
		name, ver, _ = strings.Cut(value, "@")
		ver = cmp.Or(ver, u.Qualifiers.Get("sourceversion"))
		break
	}
	if name == "" {
		return nil
	}
	return &clair.Package{Name: name, Version: cmp.Or(ver, p.Version), Kind: clair.Source}
}
