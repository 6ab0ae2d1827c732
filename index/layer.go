package index

import (
	"oriel/clair"
)

// LayerResult is the content of one layer, independent of the layers around
// it, so that it can be kept for every manifest that shares the layer. It
// survives JSON unchanged.
type LayerResult struct {
	// Layer is the layer's digest.
	Layer clair.Digest `json:"layer"`
	// Distribution is the one that the layer's os-release names. Inferred
	// marks one that was derived from another file.
	Distribution *clair.Distribution `json:"distribution,omitempty"`
	Inferred     bool                `json:"inferred,omitempty"`
	// Repositories are those that the distribution's packages were installed
	// from, if a file names them.
	Repositories []clair.Repository `json:"repositories,omitempty"`
	// Databases are the package databases in the layer, including those
	// without packages.
	Databases []Database `json:"databases,omitempty"`
	// Files are the other files that packages were found in.
	Files []PackageFile `json:"files,omitempty"`
	// Replaced are paths at which packages might have been found and were
	// not: they hide what lower layers have under the same path.
	Replaced []string `json:"replaced,omitempty"`
	// Whiteouts are the paths that the layer removes, and Opaque the
	// directories of which it hides the content in lower layers.
	Whiteouts []string `json:"whiteouts,omitempty"`
	Opaque    []string `json:"opaque,omitempty"`
	// Symlinks are symbolic links that may have replaced a directory of a
	// lower layer.
	Symlinks []string `json:"symlinks,omitempty"`
	// Links lead to files that are not in this layer.
	Links []Link `json:"links,omitempty"`
	// Skipped are directories and files of a root that could not be read.
	// Their number is bounded.
	Skipped []Skipped `json:"skipped,omitempty"`
}

// Database is a distribution's package database.
type Database struct {
	Path string `json:"path"`
	// Names are the other paths of the same file.
	Names    []string        `json:"names,omitempty"`
	Packages []clair.Package `json:"packages,omitempty"`
	// Err is the reason if it cannot be read, else "".
	Err string `json:"err,omitempty"`
}

// PackageFile is a file of a language's packages.
type PackageFile struct {
	Path string `json:"path"`
	// Names are the other paths of the same file.
	Names []string `json:"names,omitempty"`
	// Repository names the ecosystem. Catalog is set if the packages are of
	// a repository that is not an ecosystem.
	Repository string            `json:"repository"`
	Catalog    *clair.Repository `json:"catalog,omitempty"`
	Packages   []clair.Package   `json:"packages,omitempty"`
	// Unmatched are its components that cannot be matched.
	Unmatched []clair.Unmatched `json:"unmatched,omitempty"`
	// Err is the reason if it cannot be read, else "".
	Err string `json:"err,omitempty"`
	// Owned is true if a package of the layer's distribution installed the
	// file.
	Owned bool `json:"owned,omitempty"`
}

// Link is a path at which a reader wants a file, and the path of the file.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Skipped is a file or directory that could not be read, and why.
type Skipped struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// maxSkipped bounds how many skipped files a result names.
const maxSkipped = 100
