package index

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"oriel/clair"
)

// Coalesce makes the index report of a manifest from what its layers hold,
// bottom first: what can still be seen with all of them on top of one another.
//
//   - A package database counts as the topmost layer that has it has it. A
//     package of it was introduced in the lowest layer whose database had it.
//   - A language's file counts unless a later layer replaces or hides it, or
//     the distribution's package manager brought it.
//   - The distribution is the layer's, else the nearest below, else the
//     nearest above.
//
// A database that counts and cannot be read is an ErrInvalid.
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
	}
	report := r.finish()
	return report, Ready(report, manifest)
}

// coalescer puts layers on top of one another.
type coalescer struct {
	layers    []*LayerResult
	whiteouts *whiteouts
}

func (c *coalescer) database(r *report, at int, db Database) error {
	if c.whiteouts.hide(at, db.Path) {
		return nil
	}
	if db.Err != "" {
		return fmt.Errorf("%w: package database %s of layer %s: %s", clair.ErrInvalid, db.Path, c.layers[at].Layer, db.Err)
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
	for _, p := range db.Packages {
		r.add(p, place{db: db.Path, layer: introduced[packageKey(&p)], dist: dist})
	}
	return nil
}

func (c *coalescer) file(r *report, at int, f PackageFile) {
	if c.whiteouts.hide(at, f.Path) {
		return
	}
	dist := c.distribution(at)
	if _, known := clair.ReleaseOf(dist); known && f.Owned {
		return // its fixes are the distribution's, which has a package of it
	}
	for _, p := range f.Packages {
		r.add(p, place{db: f.Path, layer: c.layers[at].Layer, dist: dist, ecosystem: f.Repository})
	}
}

// distribution finds the distribution of a layer. What os-release says counts
// before what is known by inferred, wherever it stands.
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

// packageKey tells packages apart by all that is known of them.
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
