package updater

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
)

// Catalogue knows which feeds have advisories for which places. It has the feeds
// of a configuration, and the built-in ones, which can only be hinted at unless
// the configuration has them, too. It is read-only.
type Catalogue struct {
	entries []catalogued
	formats feed.Registry
}

// catalogued is one feed of the catalogue, or one for each release.
type catalogued struct {
	feed.Feed
	places     []string
	configured bool
}

// anyPlace is the pattern of a feed whose subject is unknown.
const anyPlace = "*"

// NewCatalogue makes the catalogue of a configuration's feeds and of the built-in
// ones.
func NewCatalogue(formats feed.Registry, configured, builtIn []feed.Feed) *Catalogue {
	c := &Catalogue{formats: formats}
	var shipped []catalogued
	for _, f := range builtIn {
		shipped = append(shipped, catalogued{Feed: f, places: c.places(f, nil)})
	}
	for _, f := range configured {
		c.entries = append(c.entries, catalogued{Feed: f, places: c.places(f, shipped), configured: true})
	}
	for _, e := range shipped {
		if !slices.ContainsFunc(configured, func(f feed.Feed) bool { return f.Name == e.Name }) {
			e.Enabled, e.Auto = false, false
			c.entries = append(c.entries, e)
		}
	}
	return c
}

// Offers returns the feeds that have advisories for a platform, such as
// "debian:12" or "npm": those of the configuration first.
func (c *Catalogue) Offers(platform string) []clair.Offer {
	var out []clair.Offer
	c.visit(platform, func(f feed.Feed, e *catalogued) {
		any := !slices.ContainsFunc(e.places, func(p string) bool { return p != anyPlace })
		if any && !e.configured {
			return // it is most likely about something else
		}
		out = append(out, clair.Offer{Feed: f.Name, Arch: f.Text(feed.ArchOption), Auto: f.Auto, Any: any})
	})
	return out
}

// Auto returns the automatic feeds of the configuration that have advisories for
// a place, or, if the place is the name of a format of enrichments, such as
// "nvd", the feeds of that format.
func (c *Catalogue) Auto(place string) []feed.Feed {
	var out []feed.Feed
	c.visit(place, func(f feed.Feed, e *catalogued) {
		if e.configured && f.Auto {
			out = append(out, f)
		}
	})
	return out
}

// visit passes on the feeds that are about a place. Of two with the same name, the
// one of the configuration takes precedence, and then the one of one release
// before the one of every release.
func (c *Catalogue) visit(place string, take func(f feed.Feed, e *catalogued)) {
	seen := map[string]bool{}
	enrichment := c.isEnrichment(place)
	for _, rank := range []struct{ configured, whole bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		for i := range c.entries {
			e := &c.entries[i]
			if e.configured != rank.configured || enrichment && e.Format != place {
				continue
			}
			if f, ok := e.of(place); ok && (f.Name == e.Name) == rank.whole && !seen[f.Name] {
				seen[f.Name] = true
				take(f, e)
			}
		}
	}
}

// Find returns the automatic feed of a name, such as "alpine/v3.23-main".
func (c *Catalogue) Find(name string) (feed.Feed, bool) {
	for _, e := range c.entries {
		if !e.configured || !e.Auto {
			continue
		}
		if release, ok := matchRelease(e.Name, name); ok {
			return expand(e.Feed, release), true
		}
	}
	return feed.Feed{}, false
}

// of returns the feed of a place if the entry has one.
func (e *catalogued) of(place string) (feed.Feed, bool) {
	for _, pattern := range e.places {
		if family, ok := strings.CutSuffix(pattern, ":*"); ok {
			if id, _, _ := strings.Cut(place, ":"); id == family {
				return e.Feed, true
			}
			continue
		}
		if release, ok := matchRelease(pattern, place); ok || pattern == anyPlace {
			return expand(e.Feed, release), true
		}
	}
	return feed.Feed{}, false
}

// releaseName is the text that ReleaseVariable stands for. It becomes part of an
// address.
var releaseName = regexp.MustCompile(`^[0-9][A-Za-z0-9]*([._-][A-Za-z0-9]+)*$`)

// matchRelease reports whether a text has the form of a pattern, and returns the
// release in it, "" if the pattern has no variable.
func matchRelease(pattern, text string) (release string, ok bool) {
	before, after, variable := strings.Cut(pattern, feed.ReleaseVariable)
	if !variable {
		return "", pattern == text
	}
	release, ok = strings.CutPrefix(text, before)
	if ok {
		release, ok = strings.CutSuffix(release, after)
	}
	return release, ok && releaseName.MatchString(release)
}

// expand returns the feed of one release.
func expand(f feed.Feed, release string) feed.Feed {
	if release == "" || !strings.Contains(f.Name, feed.ReleaseVariable) {
		return f
	}
	set := func(s string) string { return strings.ReplaceAll(s, feed.ReleaseVariable, release) }
	options := make(map[string]any, len(f.Options))
	for key, value := range f.Options {
		switch v := value.(type) {
		case string:
			value = set(v)
		case []string:
			list := make([]string, 0, len(v))
			for _, s := range v {
				list = append(list, set(s))
			}
			value = list
		}
		options[key] = value
	}
	f.Name, f.URL, f.Options = set(f.Name), set(f.URL), options
	return f
}

// places returns the patterns of the places that a feed is about: those that its
// table names, those of the built-in feed of its name, or those that its format
// and address tell.
func (c *Catalogue) places(f feed.Feed, shipped []catalogued) []string {
	if named := f.Strings(feed.PlacesOption); len(named) > 0 {
		return named
	}
	if c.isEnrichment(f.Format) {
		return []string{f.Format}
	}
	for _, e := range shipped {
		release, ok := matchRelease(e.Name, f.Name)
		if !ok && e.Name != f.Name || e.Format != f.Format {
			continue
		}
		var out []string
		for _, p := range e.places {
			if release != "" {
				p = strings.ReplaceAll(p, feed.ReleaseVariable, release)
			}
			out = append(out, p)
		}
		return out
	}
	if found := placesOfTable(f); len(found) > 0 {
		return found
	}
	return []string{anyPlace}
}

// placesOfTable reads the places of a feed from its options, its address, or its
// name.
func placesOfTable(f feed.Feed) []string {
	if r, ok := distro.ReleaseByName(f.Text(feed.ReleaseOption)); ok {
		return []string{r.Platform}
	}
	if f.Format == "debian" {
		return []string{"debian:*"}
	}
	if f.Format == "redhat-vex" {
		return []string{"rhel:*", "rhcc"}
	}
	var out []string
	for _, name := range f.Strings("ecosystems") {
		out = append(out, placeOfEcosystem(name)...)
	}
	if len(out) > 0 {
		return out
	}
	for _, part := range slices.Backward(strings.FieldsFunc(f.URL, func(r rune) bool { return r == '/' })) {
		if f.Format == "osv" {
			part = strings.NewReplacer("%20", " ", "%3A", ":", "%3a", ":").Replace(part)
			if found := placeOfEcosystem(part); len(found) > 0 {
				return found
			}
		} else if r, ok := releaseInPath(f, part); ok {
			return []string{r}
		}
	}
	// "wolfi", "oracle", "photon/5" and a copy of "osv/npm" have no other sign of
	// their places.
	if found := placeOfEcosystem(strings.ReplaceAll(f.Name, "/", " ")); len(found) > 0 || f.Format != "osv" {
		return found
	}
	return placeOfEcosystem(f.Name[strings.LastIndexByte(f.Name, '/')+1:])
}

// placeOfEcosystem returns the places of an ecosystem of OSV: a language, a
// release, or all releases of a distribution.
func placeOfEcosystem(name string) []string {
	if e, ok := clair.EcosystemByOSV(name); ok {
		return []string{e.Repository}
	}
	if e, ok := clair.EcosystemByRepository(strings.ToLower(name)); ok {
		return []string{e.Repository}
	}
	if r, ok := distro.ReleaseByName(name); ok {
		return []string{r.Platform}
	}
	if id := distro.ID(name); id != "" {
		return []string{id + ":*"}
	}
	return nil
}

// releaseInPath reads a part of an address such as "v3.22" or "wolfi" in a feed
// of the format "alpine".
func releaseInPath(f feed.Feed, part string) (string, bool) {
	if f.Format != "alpine" {
		return "", false
	}
	if number, ok := strings.CutPrefix(part, "v"); ok || part == "edge" {
		part = "alpine:" + number
	}
	r, ok := distro.ReleaseByName(part)
	return r.Platform, ok
}

// isEnrichment reports whether feeds of a format have enrichments.
func (c *Catalogue) isEnrichment(format string) bool {
	f, ok := c.formats.Lookup(format)
	return ok && f.Kind == clair.KindEnrichment
}

// platformOf returns the platform whose advisories hold for a place.
func platformOf(place string) string {
	if r, ok := distro.ReleaseByName(place); ok {
		return cmp.Or(r.Of, r.Platform)
	}
	return place
}
