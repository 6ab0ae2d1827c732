package render

import (
	"cmp"
	"strings"

	"github.com/package-url/packageurl-go"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/version"
)

// languagePURL returns the package URL of a package from a language's index, ""
// if the repository is not one.
func languagePURL(p *clair.Package, repo *clair.Repository) string {
	e, ok := clair.EcosystemByRepository(repo.Name)
	if !ok {
		return ""
	}
	kind, separator := purlType(e)
	if kind == "" {
		return ""
	}
	namespace, name := "", p.Name
	if separator != "" {
		if i := strings.LastIndex(name, separator); i >= 0 {
			namespace, name = name[:i], name[i+1:]
		}
	}
	return purl(packageurl.PackageURL{Type: kind, Namespace: namespace, Name: name, Version: p.Version})
}

// purlType returns the type of an ecosystem's package URLs, and the separator of
// namespace and name in the names of its packages.
func purlType(e clair.Ecosystem) (kind, separator string) {
	switch e.Repository {
	case "go":
		return packageurl.TypeGolang, "/"
	case "maven":
		return packageurl.TypeMaven, ":"
	case "npm":
		return packageurl.TypeNPM, "/"
	case "packagist":
		return packageurl.TypeComposer, "/"
	case "swift":
		return packageurl.TypeSwift, "/"
	case "hex":
		return packageurl.TypeHex, "/"
	case "pypi":
		return packageurl.TypePyPi, ""
	case "rubygems":
		return packageurl.TypeGem, ""
	case "crates.io":
		return packageurl.TypeCargo, ""
	case "nuget":
		return packageurl.TypeNuget, ""
	case "pub":
		return packageurl.TypePub, ""
	case "cran":
		return packageurl.TypeCran, ""
	case "hackage":
		return packageurl.TypeHackage, ""
	case "conan":
		return packageurl.TypeConan, ""
	}
	// Those of Julia need the package's UUID, which an index report does not
	// have.
	return "", ""
}

// systemPURL returns the package URL of a distribution's package, "" if the
// distribution is not known.
func systemPURL(p *clair.Package, dist *clair.Distribution) string {
	release, ok := distro.ReleaseOf(dist)
	if !ok {
		return ""
	}
	u := packageurl.PackageURL{Type: release.Scheme, Namespace: dist.DID, Name: p.Name, Version: version.Shown(p.Version)}
	var q []packageurl.Qualifier
	if p.Arch != "" {
		q = append(q, packageurl.Qualifier{Key: "arch", Value: p.Arch})
	}
	switch release.Scheme {
	case "dpkg":
		u.Type = packageurl.TypeDebian
	case "rpm":
		if u.Namespace == "rhel" {
			u.Namespace = "redhat" // as the specification's examples have it
		}
		// The specification has the epoch of an RPM in a qualifier.
		if epoch, rest, ok := strings.Cut(u.Version, ":"); ok {
			u.Version = rest
			q = append(q, packageurl.Qualifier{Key: "epoch", Value: epoch})
		}
	}
	distro := dist.DID
	if number := cmp.Or(dist.VersionID, dist.Version, dist.VersionCodeName); number != "" {
		distro += "-" + number
	}
	q = append(q, packageurl.Qualifier{Key: "distro", Value: distro})
	if p.Module != "" {
		q = append(q, packageurl.Qualifier{Key: "rpmmod", Value: p.Module})
	}
	if s := upstream(p); s != "" {
		q = append(q, packageurl.Qualifier{Key: "upstream", Value: s})
	}
	u.Qualifiers = q
	return purl(u)
}

// upstream returns the source that a package was built from, "" if its name and
// version are those of the package.
func upstream(p *clair.Package) string {
	s := p.Source
	switch {
	case s == nil || s.Name == "":
		return ""
	case s.Version != "" && version.Shown(s.Version) != version.Shown(p.Version):
		return s.Name + "@" + version.Shown(s.Version)
	case s.Name != p.Name:
		return s.Name
	}
	return ""
}

// purl returns a package URL in its string form, "" if it is not valid.
func purl(u packageurl.PackageURL) string {
	kept := u
	if u.Name == "" || u.Normalize() != nil {
		return ""
	}
	if u.Type == packageurl.TypeGolang {
		// The specification lower-cases the names, but those of Go modules are
		// case-sensitive.
		u.Namespace, u.Name = kept.Namespace, kept.Name
	}
	return u.ToString()
}
