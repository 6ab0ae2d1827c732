package clair

// Field is a property by which candidates for matching are narrowed down.
type Field uint8

// The fields that Clair's matchers compare.
const (
	DistributionDID Field = iota
	DistributionName
	DistributionVersion
	DistributionVersionID
	DistributionPrettyName
	RepositoryName
	RepositoryKey
	PackageModule
)

// Constraint requires equality of one field; an empty value requires an empty
// field.
type Constraint struct {
	Field Field
	Value string
}

// PackageKey is the name and kind under which advisories speak of a package.
type PackageKey struct {
	Name, Kind string
}

// Lookup asks for the current vulnerabilities of any of the packages, among
// those that meet all the constraints.
type Lookup struct {
	Where    []Constraint
	Packages []PackageKey
}

// Candidate is a vulnerability that a Lookup found. Comparing versions decides
// whether it affects a package.
type Candidate struct {
	// Lookup is the index of the Lookup among those asked.
	Lookup        int
	Vulnerability *Vulnerability
}
