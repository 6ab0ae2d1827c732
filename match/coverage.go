package match

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"oriel/clair"
	"oriel/internal/distro"
)

// Holdings returns what the current operations of all updaters hold; the store
// implements it.
type Holdings interface {
	// Sections returns the sections of the current operations. They must not
	// be modified.
	Sections(ctx context.Context) ([]clair.Section, error)
}

// Catalogue returns the feeds that could cover a platform.
type Catalogue interface {
	// Offers returns the feeds of the configuration and of the built-in
	// catalogue that have advisories for a platform, such as "debian:12" or
	// "npm".
	Offers(platform string) []clair.Offer
}

// Coverer computes which places of index reports are covered by feeds. Its
// methods may be called from many goroutines.
type Coverer struct {
	Holdings Holdings
	// Feeds returns the states of the feeds.
	Feeds func(context.Context) (clair.Feeds, error)
	// Catalogue may be nil. Then hints name no feeds.
	Catalogue Catalogue
	// Now returns the time, by which releases have ended; time.Now if nil.
	Now func() time.Time

	// mu guards platforms: the platforms of each distribution and repository,
	// by their ids. There are at most a few thousand.
	mu        sync.Mutex
	platforms map[[2]int64][]string
}

// Coverage computes the coverage of the packages of an index report.
func (c *Coverer) Coverage(ctx context.Context, index *clair.IndexReport) (*clair.Coverage, error) {
	out, err := c.coverage(ctx, placesIn(index))
	if err != nil {
		return nil, fmt.Errorf("coverage of %s: %w", index.Hash, err)
	}
	out.Manifest, out.Unmatched = index.Hash, index.Unmatched
	if out.Unmatched == nil {
		out.Unmatched = []clair.Unmatched{}
	}
	return out, nil
}

// coverage computes the coverage of places.
func (c *Coverer) coverage(ctx context.Context, places []*occupiedPlace) (*clair.Coverage, error) {
	feeds, err := c.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	sections, err := c.Holdings.Sections(ctx)
	if err != nil {
		return nil, err
	}
	k := knowledge{feeds: map[string]*clair.Feed{}, rows: map[string]map[string]bool{}, catalogue: c.Catalogue, now: time.Now()}
	if c.Now != nil {
		k.now = c.Now()
	}
	for i := range feeds {
		k.feeds[feeds[i].Updater] = &feeds[i]
	}
	c.addSections(&k, sections)
	out := &clair.Coverage{Places: []clair.Place{}}
	needs := map[string]bool{}
	for _, p := range places {
		out.Places = append(out.Places, k.judge(p)...)
		k.need(&p.Place, needs)
	}
	out.Needs = slices.Sorted(maps.Keys(needs))
	slices.SortFunc(out.Places, comparePlaces)
	return out, nil
}

// Place computes the coverage of a platform, such as "debian:12" or "npm".
func (c *Coverer) Place(ctx context.Context, platform string) (clair.Place, error) {
	place := clair.Place{Name: platform, Feeds: []string{}}
	if name, ok := PlatformNamed(platform); ok {
		place.Name = name
	} else {
		place.Reason, place.Hint = clair.UnknownDistribution, "No feed is known for the distribution."
	}
	out, err := c.coverage(ctx, []*occupiedPlace{{Place: place}})
	if err != nil {
		return clair.Place{}, fmt.Errorf("coverage of %s: %w", platform, err)
	}
	return out.Places[0], nil
}

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

// addSections adds sections with the platforms whose lists include them.
func (c *Coverer) addSections(k *knowledge, sections []clair.Section) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.platforms == nil {
		c.platforms = map[[2]int64][]string{}
	}
	for i := range sections {
		s := &sections[i]
		key := [2]int64{s.ID.Dist, s.ID.Repo}
		names, known := c.platforms[key]
		if !known {
			names = PlatformsOf(s.Dist, s.Repo)
			c.platforms[key] = names
		}
		k.add(s, names)
	}
}

// comparePlaces orders places that are not covered before the others.
func comparePlaces(a, b clair.Place) int {
	if a.Covered != b.Covered {
		if b.Covered {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(string(a.Reason), string(b.Reason)))
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

// knowledge is what is known of feeds at one moment.
type knowledge struct {
	feeds     map[string]*clair.Feed
	rows      map[string]map[string]bool // the updaters by the names that PlatformsOf returns
	catalogue Catalogue
	now       time.Time
}

// add adds a section with its platforms, unless its feed is not in use.
func (k *knowledge) add(s *clair.Section, platforms []string) {
	if f := k.feeds[s.Updater]; s.Rows == 0 || f != nil && f.Configured && !f.Enabled {
		return
	}
	for _, name := range platforms {
		if k.rows[name] == nil {
			k.rows[name] = map[string]bool{}
		}
		k.rows[name][s.Updater] = true
	}
}

// judge decides whether a place is covered. A place is split in two if its feeds
// are about the architectures of some packages only.
func (k *knowledge) judge(p *occupiedPlace) []clair.Place {
	place := p.Place
	if place.Reason != "" {
		return []clair.Place{place}
	}
	if r, ok := distro.ReleaseByName(place.Platform()); ok {
		place.Ended = clair.Date(r.Ended(k.now))
	}
	place.Feeds = k.covering(place.Platform())
	offers := k.offers(place.Platform())
	if len(place.Feeds) == 0 {
		place.Reason, place.Hint = k.reason(place.Platform(), offers)
		return []clair.Place{place}
	}
	place.Covered = true
	for _, name := range place.Feeds {
		f := k.feeds[name]
		if f != nil && !f.LastSuccess.IsZero() && (place.Checked.IsZero() || f.LastSuccess.Before(place.Checked)) {
			place.Checked = f.LastSuccess.UTC().Truncate(time.Second)
		}
	}
	if place.MatchedAs != "" {
		place.Hint = "Matched as " + place.MatchedAs + "."
	}
	return splitByArch(place, p.arches, offers)
}

// covering returns the feeds with advisories for a platform, sorted.
func (k *knowledge) covering(platform string) []string {
	out := []string{}
	for of, updaters := range k.rows {
		if !Belongs(of, platform) {
			continue
		}
		// Rows for products without a release are about all releases, but
		// do not cover one.
		if of == rhelPrefix && platform != rhelPrefix {
			continue
		}
		for name := range updaters {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (k *knowledge) offers(platform string) []clair.Offer {
	if k.catalogue == nil {
		return nil
	}
	return k.catalogue.Offers(platform)
}

// need adds the feeds in use that have advisories for a place, or will have when
// they are fetched.
func (k *knowledge) need(p *clair.Place, needs map[string]bool) {
	if p.Reason != "" {
		return // no feed could cover it
	}
	for _, name := range k.covering(p.Platform()) {
		needs[name] = true
	}
	for _, o := range k.offers(p.Platform()) {
		if f := k.feeds[o.Feed]; f != nil && f.Enabled {
			needs[o.Feed] = true
		}
	}
	for name, f := range k.feeds {
		if f.Enabled && f.LastSuccess.IsZero() && (k.catalogue == nil || anyPlace(f.Format)) {
			needs[name] = true
		}
	}
}

// anyPlace reports whether the feeds of a format can have advisories for any
// place: those that mirror the feeds of another server.
func anyPlace(format string) bool {
	return format == "bundle" || format == "clair" || format == "clair-jsonl"
}

// reason returns why a platform is not covered, and what would cover it.
func (k *knowledge) reason(platform string, offers []clair.Offer) (clair.NotCovered, string) {
	if r, ok := distro.ReleaseByName(platform); ok {
		if text := r.RemovedFromFeed(k.now); text != "" {
			return clair.EndedRelease, text
		}
	}
	var whole, waiting, off []string
	for _, o := range offers {
		switch f := k.feeds[o.Feed]; {
		case f == nil && o.Auto:
			waiting = append(waiting, o.Feed)
		case f == nil || f.Configured && !f.Enabled:
			off = append(off, o.Feed)
		case !f.LastSuccess.IsZero() && k.releases(o.Feed, platform) > 1:
			return clair.UnknownRelease, lacksRelease(o.Feed)
		case !f.LastSuccess.IsZero():
			// It is about another place if it is not known to be about this.
			if !o.Any {
				whole = append(whole, o.Feed)
			}
		case f.Running:
			return clair.NeverFetched, "The feed " + o.Feed + " is being fetched."
		case f.Error != "":
			return clair.NeverFetched, "The feed " + o.Feed + " could not be fetched: " + f.Error + "."
		default:
			waiting = append(waiting, o.Feed)
		}
	}
	switch {
	case len(waiting) > 0:
		return clair.NeverFetched, "Run: oriel update " + strings.Join(waiting, " ") + "."
	case len(off) > 0:
		return clair.NoFeed, "Enable " + strings.Join(off, ", ") + " in the configuration."
	case len(whole) > 0:
		return clair.UnknownRelease, lacksRelease(whole[0])
	}
	return clair.NoFeed, "No feed is known that has advisories for it."
}

func lacksRelease(feed string) string { return "The feed " + feed + " has no advisories for it." }

// releases counts the releases of a platform's distribution that a feed has
// advisories for.
func (k *knowledge) releases(feed, platform string) int {
	family, _, _ := strings.Cut(platform, ":")
	n := 0
	for name, updaters := range k.rows {
		if strings.HasPrefix(name, family+":") && updaters[feed] {
			n++
		}
	}
	return n
}

// splitByArch moves the packages that the feeds of a covered place cannot be
// about to a second place.
func splitByArch(place clair.Place, packages map[string]int, offers []clair.Offer) []clair.Place {
	arches := map[string]bool{}
	for _, o := range offers {
		if slices.Contains(place.Feeds, o.Feed) {
			arches[o.Arch] = true
		}
	}
	if len(arches) == 0 || arches[""] {
		return []clair.Place{place}
	}
	other := clair.Place{
		Name: place.Name, MatchedAs: place.MatchedAs, Ended: place.Ended,
		Feeds: []string{}, Reason: clair.OtherArchitecture,
	}
	foreign := map[string]bool{}
	for arch, n := range packages {
		if arch != "" && arch != "noarch" && arch != "all" && !arches[baseArch(arch)] {
			other.Packages += n
			foreign[arch] = true
		}
	}
	if other.Packages == 0 {
		return []clair.Place{place}
	}
	other.Hint = "The feeds in use (" + strings.Join(place.Feeds, ", ") + ") have no advisories for " + joinKeys(foreign) + "."
	place.Packages -= other.Packages
	if place.Packages == 0 {
		return []clair.Place{other}
	}
	return []clair.Place{place, other}
}

// baseArch returns the architecture whose feeds have the packages of another:
// the 32-bit packages of x86 are part of the 64-bit releases.
func baseArch(arch string) string {
	switch arch {
	case "i386", "i486", "i586", "i686", "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return arch
}

func joinKeys(set map[string]bool) string {
	var names []string
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
