package match

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
)

// PlaceCounter counts the packages of all manifests by place.
type PlaceCounter struct {
	places map[string]*occupiedPlace
	known  map[[2]any]*occupiedPlace // by the pointers of distribution and repository
}

// Through returns the packages, and counts those that are yielded. Sources of
// packages do not count.
func (c *PlaceCounter) Through(held iter.Seq2[clair.InstalledPackage, error]) iter.Seq2[clair.InstalledPackage, error] {
	return func(yield func(clair.InstalledPackage, error) bool) {
		for p, err := range held {
			if err == nil && p.Package.Kind != clair.Source {
				c.add(&p)
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func (c *PlaceCounter) add(p *clair.InstalledPackage) {
	if c.places == nil {
		c.places, c.known = map[string]*occupiedPlace{}, map[[2]any]*occupiedPlace{}
	}
	at := [2]any{p.Dist, p.Repo}
	of := c.known[at]
	if of == nil {
		place := placeOf(p.Dist, p.Repo)
		if of = c.places[place.Name]; of == nil {
			of = &occupiedPlace{Place: place, arches: map[string]int{}}
			c.places[place.Name] = of
		}
		c.known[at] = of
	}
	of.Packages += int(p.Manifests)
	of.arches[p.Package.Arch] += int(p.Manifests)
}

// Platforms returns the platforms whose feeds the counted packages need, sorted.
func (c *PlaceCounter) Platforms() []string {
	var out []string
	for _, p := range c.places {
		if p.Reason == "" {
			out = append(out, p.Platform())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Total computes the coverage of counted packages.
func (c *Coverer) Total(ctx context.Context, counted *PlaceCounter) (*clair.Coverage, error) {
	out, err := c.coverage(ctx, slices.Collect(maps.Values(counted.places)))
	if err != nil {
		return nil, fmt.Errorf("coverage of all manifests: %w", err)
	}
	return out, nil
}

// Places returns the places of the packages of an index report, sorted by
// name, and of each the number of packages. None of them is covered yet;
// places that no feed could cover have a reason.
func Places(index *clair.IndexReport) []clair.Place {
	var out []clair.Place
	for _, p := range placesIn(index) {
		out = append(out, p.Place)
	}
	return out
}

// occupiedPlace is a place with the architectures of the packages in it.
type occupiedPlace struct {
	clair.Place
	arches map[string]int // numbers of packages by architecture
}

// placesIn returns the places of an index report, sorted by name.
func placesIn(index *clair.IndexReport) []*occupiedPlace {
	byName := map[string]*occupiedPlace{}
	packages := map[string]map[string]string{} // architectures by place and package id
	known := map[[2]any]string{}
	for id, r := range index.Records() {
		at := [2]any{r.Dist, r.Repo}
		name, ok := known[at]
		if !ok {
			p := placeOf(r.Dist, r.Repo)
			name = p.Name
			known[at] = name
			if byName[name] == nil {
				byName[name] = &occupiedPlace{Place: p, arches: map[string]int{}}
				packages[name] = map[string]string{}
			}
		}
		packages[name][id] = r.Package.Arch
	}
	out := make([]*occupiedPlace, 0, len(byName))
	for name, p := range byName {
		p.Packages = len(packages[name])
		for _, arch := range packages[name] {
			p.arches[arch]++
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *occupiedPlace) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// placeOf returns the place of a distribution and a repository. It has a reason
// if no feed could cover it.
func placeOf(dist *clair.Distribution, repo *clair.Repository) clair.Place {
	p := clair.Place{Feeds: []string{}}
	platform := recordPlatform(dist, repo)
	release, ok := distro.ReleaseOf(dist)
	switch {
	case ok && release.Orphaned():
		p.Name, p.Reason = release.Platform, clair.UnknownRelease
		p.Hint = "The release that it is derived from cannot be determined."
	case ok && platform == releasePlatform(release):
		p.Name, p.MatchedAs = release.Platform, release.Of
	case platform != "":
		p.Name = platform
	case dist == nil || dist.DID == "" && dist.Name == "":
		p.Name, p.Reason = clair.UnknownPlace, clair.Unidentified
		p.Hint = "The packages belong to no known distribution or ecosystem."
	default:
		p.Name = strings.TrimSuffix(cmp.Or(dist.DID, dist.Name)+":"+dist.VersionID, ":")
		if distro.Knows(dist) {
			p.Reason, p.Hint = clair.UnknownRelease, "The release of the distribution cannot be determined."
		} else {
			p.Reason, p.Hint = clair.UnknownDistribution, distro.Foreign(dist)
		}
	}
	return p
}
