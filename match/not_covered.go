package match

import (
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
)

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
			return clair.NeverFetched, isBeingFetched(f)
		case f.Error != "":
			return clair.NeverFetched, couldNotFetch(f)
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

// awaited returns why a place that some feeds have advisories for is not covered:
// an automatic feed that it needs, too, has never been fetched. Alpine's releases
// have two files, and a report by one of them would look clean.
func (k *knowledge) awaited(offers []clair.Offer) (clair.NotCovered, string) {
	for _, o := range offers {
		f := k.feeds[o.Feed]
		if f == nil || !f.Auto || f.Needed.IsZero() || !f.LastSuccess.IsZero() || o.Any || o.Arch != "" {
			continue
		}
		switch {
		case f.Running:
			return clair.NeverFetched, isBeingFetched(f)
		case f.Error != "":
			return clair.NeverFetched, couldNotFetch(f)
		}
		return clair.NeverFetched, "Run: oriel update " + o.Feed + "."
	}
	return "", ""
}

// isBeingFetched and couldNotFetch return the hints for a feed that has never
// been fetched.
func isBeingFetched(f *clair.Feed) string { return "The feed " + f.Updater + " is being fetched." }

func couldNotFetch(f *clair.Feed) string {
	return "The feed " + f.Updater + " could not be fetched: " + f.Error + "."
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
