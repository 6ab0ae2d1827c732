package clair

import (
	"slices"
	"strings"
)

// Ecosystem is a language's package index: how advisories in the OSV format
// name it, and the repository that packages from it carry in an index report.
type Ecosystem struct {
	// OSV is its name in the OSV schema, such as "PyPI".
	OSV string
	// Repository is the name of the repository in index reports, and the
	// platform's name towards scanners.
	Repository string
	// URI is the repository's address as Clair reports it, where it has one.
	URI string
	// Semver says that the ecosystem's versions are semantic versions, so
	// that Clair describes affected ones as a Range.
	Semver bool
}

// ecosystems are the language ecosystems that Oriel matches. The first five
// repositories are Clair's own. Nothing writes to it.
var ecosystems = [...]Ecosystem{
	{OSV: "Go", Repository: "go", URI: "https://pkg.go.dev/", Semver: true},
	{OSV: "PyPI", Repository: "pypi", URI: "https://pypi.org/simple"},
	{OSV: "Maven", Repository: "maven", URI: "https://repo1.maven.apache.org/maven2"},
	{OSV: "RubyGems", Repository: "rubygems", URI: "https://rubygems.org/gems/"},
	{OSV: "npm", Repository: "npm", URI: "https://www.npmjs.com/", Semver: true},
	{OSV: "crates.io", Repository: "crates.io", URI: "https://crates.io/", Semver: true},
	{OSV: "NuGet", Repository: "nuget", URI: "https://www.nuget.org/"},
	{OSV: "Packagist", Repository: "packagist", URI: "https://packagist.org/"},
	{OSV: "Pub", Repository: "pub", URI: "https://pub.dev/", Semver: true},
	{OSV: "Hex", Repository: "hex", URI: "https://hex.pm/", Semver: true},
	{OSV: "CRAN", Repository: "cran", URI: "https://cran.r-project.org/"},
	{OSV: "Hackage", Repository: "hackage", URI: "https://hackage.haskell.org/"},
	{OSV: "ConanCenter", Repository: "conan", URI: "https://conan.io/center"},
	{OSV: "SwiftURL", Repository: "swift", Semver: true},
	{OSV: "GitHub Actions", Repository: "github-actions", URI: "https://github.com/", Semver: true},
	{OSV: "Julia", Repository: "julia", URI: "https://juliahub.com/", Semver: true},
	// OSV has no advisories for CocoaPods: packages are listed as not covered.
	{OSV: "CocoaPods", Repository: "cocoapods", URI: "https://cocoapods.org/"},
}

// Ecosystems lists the language ecosystems that Oriel matches.
func Ecosystems() []Ecosystem { return slices.Clone(ecosystems[:]) }

// EcosystemByOSV finds an ecosystem by its name in the OSV schema; a suffix
// after ":" does not count.
func EcosystemByOSV(name string) (Ecosystem, bool) {
	name, _, _ = strings.Cut(name, ":")
	for _, e := range ecosystems {
		if e.OSV == name {
			return e, true
		}
	}
	return Ecosystem{}, false
}

// EcosystemByRepository finds an ecosystem by the name of its repository.
func EcosystemByRepository(name string) (Ecosystem, bool) {
	for _, e := range ecosystems {
		if e.Repository == name {
			return e, true
		}
	}
	return Ecosystem{}, false
}

// PackageName returns the one spelling under which a package of the ecosystem
// is stored, looked up and compared. Indexes that take several spellings for
// one package decide it: PyPI by PEP 503, and the others without regard to
// case. Go's modules are among them because package URLs are written in lower
// case by many tools, although Go itself tells the cases apart.
func (e Ecosystem) PackageName(name string) string {
	switch e.Repository {
	case "pypi":
		return pep503(name)
	case "go", "nuget", "packagist", "pub", "hex", "conan", "github-actions":
		return strings.ToLower(name)
	case "swift": // the address of a Git repository, in one of its forms
		name = strings.ToLower(name)
		name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
		return strings.TrimSuffix(name, ".git")
	}
	return name
}

// PackageName returns the spelling of a package's name that counts in the
// repository (Ecosystem.PackageName). r may be nil: a distribution's packages
// are spelled as they are.
func (r *Repository) PackageName(name string) string {
	if r == nil {
		return name
	}
	e, _ := EcosystemByRepository(r.Name)
	return e.PackageName(name)
}

// pep503 lowers the case and makes each run of "-", "_" and "." one "-".
func pep503(name string) string {
	b := make([]byte, 0, len(name))
	run := false
	for i := range len(name) {
		c := name[i]
		if c == '-' || c == '_' || c == '.' {
			if !run {
				b = append(b, '-')
			}
			run = true
			continue
		}
		run = false
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}
