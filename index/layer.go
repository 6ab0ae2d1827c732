package index

import (
	"oriel/clair"
)

// LayerResult is what one layer holds, independent of the layers around it, so
// that it can be kept for every manifest that shares the layer. It survives
// JSON unchanged.
type LayerResult struct {
	// Layer is the layer's digest.
	Layer clair.Digest `json:"layer"`
	// Distribution is what the layer says the system is. Inferred marks one
	// that was made out from another file than os-release.
	Distribution *clair.Distribution `json:"distribution,omitempty"`
	Inferred     bool                `json:"inferred,omitempty"`
	// Databases are the package databases there are in the layer, whether or
	// not they hold packages.
	Databases []Database `json:"databases,omitempty"`
	// Files are the other files that packages were found in.
	Files []PackageFile `json:"files,omitempty"`
	// Replaced are files that might have held packages and do not: they hide
	// what lower layers have under the same path.
	Replaced []string `json:"replaced,omitempty"`
	// Whiteouts are the paths that the layer removes, and Opaque the
	// directories of which it hides what lower layers have in them.
	Whiteouts []string `json:"whiteouts,omitempty"`
	Opaque    []string `json:"opaque,omitempty"`
	// Skipped are files that could not be read. Their number is bounded.
	Skipped []Skipped `json:"skipped,omitempty"`
}

// Database is a distribution's package database.
type Database struct {
	Path     string          `json:"path"`
	Packages []clair.Package `json:"packages,omitempty"`
	// Err says why it cannot be read; "" if it can.
	Err string `json:"err,omitempty"`
}

// PackageFile is a file of a language's packages.
type PackageFile struct {
	Path string `json:"path"`
	// Repository names the ecosystem.
	Repository string          `json:"repository"`
	Packages   []clair.Package `json:"packages"`
	// Owned says that a package of the layer's distribution brought the file.
	Owned bool `json:"owned,omitempty"`
}

// Skipped is something that could not be used, and why.
type Skipped struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// maxSkipped bounds how many skipped files a result names.
const maxSkipped = 100
