package clair

// The kinds a Package may have.
const (
	// Binary is a package as it is installed.
	Binary = "binary"
	// Source is a package that binary packages were built from.
	Source = "source"
)

// Package is a piece of software, as it is installed or as an advisory names
// it.
type Package struct {
	// ID is scoped to the document that has the package.
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Kind is Binary or Source; others are kept but not interpreted.
	Kind string `json:"kind,omitempty"`
	// Source is the package this one was built from. Its own Source is nil.
	Source *Package `json:"source,omitempty"`
	// NormalizedVersion is "" or KIND:N.N.N.N.N.N.N.N.N.N; see NormalizedVersion.
	NormalizedVersion string `json:"normalized_version"`
	// Module is the RPM module stream, such as "nodejs:18".
	Module string `json:"module,omitempty"`
	Arch   string `json:"arch,omitempty"`
	// CPE is "" or a CPE 2.3 formatted string.
	CPE string `json:"cpe"`
}

// Distribution is an operating system release, with the fields of its
// os-release file.
type Distribution struct {
	// ID is scoped to the document that has the distribution.
	ID string `json:"id"`
	// DID is os-release's ID, such as "debian".
	DID     string `json:"did"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// VersionCodeName is that of the release which a derivative takes its
	// packages from, if its os-release file has it: "jammy" for Linux Mint
	// 21, "el9" for a CoreOS of RHEL 9.
	VersionCodeName string `json:"version_code_name"`
	VersionID       string `json:"version_id"`
	Arch            string `json:"arch"`
	CPE             string `json:"cpe"`
	PrettyName      string `json:"pretty_name"`
}

// Repository is a source of packages: a language's package index, or a
// vendor's repository named by a CPE.
type Repository struct {
	// ID is scoped to the document that has the repository.
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	Key  string `json:"key,omitempty"`
	URI  string `json:"uri,omitempty"`
	CPE  string `json:"cpe"`
}

// The keys of Red Hat's repositories. Other repositories have none.
const (
	// RHELKey is the key of a repository of packages, whose name is a CPE.
	RHELKey = "rhel-cpe-repository"
	// RHCCKey is the key of a repository of container images, which
	// advisories are about as if each image were a package.
	RHCCKey = "rhcc-container-repository"
)

// GoldRepository is the name of the repository of the images that Red Hat's
// catalogue lists themselves. It has no CPE to compare.
const GoldRepository = "Red Hat Container Catalog"

// Environment is one place where a package was found.
type Environment struct {
	// PackageDB is the database or file that lists the package.
	PackageDB string `json:"package_db"`
	// IntroducedIn is the lowest layer that has it.
	IntroducedIn Digest `json:"introduced_in"`
	// DistributionID and RepositoryIDs refer to the maps of the report.
	DistributionID string   `json:"distribution_id"`
	RepositoryIDs  []string `json:"repository_ids"`
}

// InstalledPackage is a package in a distribution and a repository, either of
// which may be nil, with the number of manifests that have it there.
type InstalledPackage struct {
	Package   *Package
	Dist      *Distribution
	Repo      *Repository
	Manifests int64
}
