package index

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
)

// Coalesce makes the index report of a manifest from the results of its layers,
// bottom first. The report has the packages that are visible with all layers
// applied.
//
//   - Only the topmost version of a package database counts. A package of it
//     was introduced in the lowest layer whose database had it.
//   - A database that a later layer deletes counts for nothing: its packages
//     can no longer be matched, and the report lists it as unmatched.
//   - A language's file counts unless a later layer replaces or hides all its
//     names, or the distribution's package manager installed it.
//   - The distribution is the layer's, else the nearest below, else the
//     nearest above.
//
// The error is an ErrInvalid if a database that counts cannot be read.
func Coalesce(manifest clair.Digest, layers []*LayerResult) (*clair.IndexReport, error) {
	c := &coalescer{layers: layers, whiteouts: newWhiteouts(layers)}
	r := newReport(manifest)
	for i := len(layers) - 1; i >= 0; i-- {
		for _, db := range layers[i].Databases {
			if err := c.database(r, i, db); err != nil {
				return nil, err
			}
		}
	}
	for i, l := range layers {
		for _, f := range l.Files {
			c.file(r, i, f)
		}
		for _, s := range l.Skipped {
			r.unmatch(clair.Unmatched{Package: s.What, Reason: s.Reason})
		}
	}
	c.deletedDatabases(r)
	report := r.finish()
	return report, Ready(report, manifest)
}

// coalescer puts layers on top of one another.
type coalescer struct {
	layers    []*LayerResult
	whiteouts *whiteouts
	// names are those of the distribution's packages, once they are needed.
	names map[string]bool
}

func (c *coalescer) database(r *report, at int, db Database) error {
	name := c.whiteouts.visible(at, db.Path, db.Names)
	if name == "" {
		return nil
	}
	if db.Err != "" {
		return fmt.Errorf("%w: package database %s of layer %s: %s", clair.ErrInvalid, name, c.layers[at].Layer, db.Err)
	}
	introduced := map[string]clair.Digest{}
	for _, l := range c.layers[:at+1] {
		i, ok := slices.BinarySearchFunc(l.Databases, db.Path, func(d Database, p string) int { return cmp.Compare(d.Path, p) })
		if !ok {
			continue
		}
		for _, p := range l.Databases[i].Packages {
			if key := packageKey(&p); introduced[key] == "" {
				introduced[key] = l.Layer
			}
		}
	}
	dist := c.distribution(at)
	if dist == nil && len(db.Packages) > 0 {
		r.unmatch(clair.Unmatched{Package: name, Reason: fmt.Sprintf("no file names the distribution of its packages (%d)", len(db.Packages))})
	}
	repositories := c.repositories(at, dist)
	for _, p := range db.Packages {
		r.add(p, place{db: name, layer: introduced[packageKey(&p)], dist: dist, repositories: repositories})
	}
	return nil
}

// deletedDatabases adds to the report each database that a layer has and a
// later one deletes, unless its packages are in another database.
func (c *coalescer) deletedDatabases(r *report) {
	moved := func(p clair.Package) bool { return c.installed(r)[p.Name] }
	for i, l := range c.layers {
		for _, db := range l.Databases {
			if !c.whiteouts.deleted(i, db.Path) || c.whiteouts.visible(i, db.Path, db.Names) != "" {
				continue
			}
			if n := len(db.Packages); n > 0 && !slices.ContainsFunc(db.Packages, moved) {
				r.unmatch(clair.Unmatched{
					Package: db.Path,
					Reason:  fmt.Sprintf("a later layer deletes this package database; packages in it (%d) may still be installed and are not reported", n),
				})
			}
		}
	}
}

// installed returns the names of the distribution's packages in the report.
func (c *coalescer) installed(r *report) map[string]bool {
	if c.names == nil {
		c.names = map[string]bool{}
		for _, p := range r.packages {
			if p.places[0].ecosystem == "" {
				c.names[p.pkg.Name] = true
			}
		}
	}
	return c.names
}

func (c *coalescer) file(r *report, at int, f PackageFile) {
	name := c.whiteouts.visible(at, f.Path, f.Names)
	if name == "" {
		return
	}
	dist := c.distribution(at)
	if _, known := distro.ReleaseOf(dist); known && f.Owned {
		return // the distribution has a package of it, and its own fixes
	}
	where := place{db: name, layer: c.layers[at].Layer, ecosystem: f.Repository}
	if f.Catalog != nil {
		where.repositories = []clair.Repository{*f.Catalog}
	}
	for _, p := range f.Packages {
		r.add(p, where)
	}
	for _, u := range f.Unmatched {
		r.unmatch(u)
	}
	if f.Err != "" {
		r.unmatch(clair.Unmatched{Package: name, Reason: f.Err})
	}
}

// repositories returns the repositories from which the packages of a layer's
// database were installed: those that the layer names, else the nearest layer
// below, else the nearest above. Only Red Hat's images name them.
func (c *coalescer) repositories(at int, dist *clair.Distribution) []clair.Repository {
	if r, ok := distro.ReleaseOf(dist); !ok || !strings.HasPrefix(r.Platform, "rhel:") {
		return nil
	}
	for i := at; i >= 0; i-- {
		if l := c.layers[i]; len(l.Repositories) > 0 {
			return l.Repositories
		}
	}
	for _, l := range c.layers[at+1:] {
		if len(l.Repositories) > 0 {
			return l.Repositories
		}
	}
	return nil
}

// distribution returns the distribution of a layer. One that an os-release
// file names has precedence over an inferred one, in whichever layer it is.
func (c *coalescer) distribution(at int) *clair.Distribution {
	for _, inferred := range []bool{false, true} {
		for i := at; i >= 0; i-- {
			if l := c.layers[i]; l.Distribution != nil && l.Inferred == inferred {
				return l.Distribution
			}
		}
		for _, l := range c.layers[at+1:] {
			if l.Distribution != nil && l.Inferred == inferred {
				return l.Distribution
			}
		}
	}
	return nil
}

// packageKey returns a key of everything that is known about a package.
func packageKey(p *clair.Package) string {
	var b strings.Builder
	for ; p != nil; p = p.Source {
		for _, s := range []string{p.Name, p.Version, p.Kind, p.Arch, p.Module, p.NormalizedVersion, p.CPE} {
			b.WriteString(s)
			b.WriteByte(0)
		}
		b.WriteByte(1)
	}
	return b.String()
}
