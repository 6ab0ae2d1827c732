package match

import (
	"cmp"
	"context"
	"fmt"
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
	out.Manifest, out.Unmatched = index.Hash, append([]clair.Unmatched{}, index.Unmatched...)
	out.Unmatched = append(out.Unmatched, UbuntuStreams(index)...)
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

// knowledge is the state of the feeds at one moment.
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
	if place.Reason, place.Hint = k.awaited(offers); place.Reason != "" {
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
