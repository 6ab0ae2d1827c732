package clair

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Coverage lists the places of a manifest's packages, and for which of them
// advisories are known.
type Coverage struct {
	Manifest Digest `json:"manifest_hash"`
	// Places are sorted: those that are not covered first, then by name.
	Places []Place `json:"places"`
	// Unmatched are the components that no advisory can be compared with.
	Unmatched []Unmatched `json:"unmatched"`
	// Needs are the names of the feeds in use that have advisories for the
	// places, or will have when they are fetched; sorted.
	Needs []string `json:"-"`
}

// UnknownPlace is the name of the place of packages that belong to neither a
// distribution nor an ecosystem.
const UnknownPlace = "unknown"

// Place is a release of a distribution ("alpine:3.22") or a language ecosystem
// ("npm"), with the number of packages that a manifest has there.
type Place struct {
	Name     string `json:"place"`
	Packages int    `json:"packages"`
	// Covered reports whether a complete operation of a feed in use has
	// advisories for the place.
	Covered bool `json:"covered"`
	// Feeds are the names of these feeds, sorted.
	Feeds []string `json:"feeds"`
	// Ended is the last day for which the vendor of the release promised
	// advisories, if that has passed.
	Ended Date `json:"ended"`
	// Reason is "" if the place is covered.
	Reason NotCovered `json:"reason"`
	// Hint is a sentence that names what would cover the place.
	Hint string `json:"hint"`
	// MatchedAs is the platform whose advisories hold for the place if it is
	// not the place's own: "ubuntu:22.04" for a release of Linux Mint.
	MatchedAs string `json:"matched_as,omitempty"`
	// Checked is when the feed that was not checked for longest was last
	// found complete; zero if the place is not covered.
	Checked time.Time `json:"checked,omitzero"`
}

// NotCovered is the reason why a place is not covered.
type NotCovered string

// The reasons why a place is not covered.
const (
	// NoFeed means that no feed for the place is in use.
	NoFeed NotCovered = "no-feed"
	// NeverFetched means that a feed for the place is in use and has not yet
	// been fetched.
	NeverFetched NotCovered = "never-fetched"
	// UnknownRelease means that the feed of the distribution has nothing for
	// the release, or that the release could not be determined.
	UnknownRelease NotCovered = "unknown-release"
	// EndedRelease means that the release was removed from its feed after its
	// end.
	EndedRelease NotCovered = "ended-release"
	// UnknownDistribution means that no feed is known for the distribution.
	UnknownDistribution NotCovered = "unknown-distribution"
	// OtherArchitecture means that the feeds for the place are about packages
	// of other architectures.
	OtherArchitecture NotCovered = "other-architecture"
	// Unidentified means that the packages belong to no known place.
	Unidentified NotCovered = "unidentified"
)

// Platform returns the platform whose advisories are compared with the
// packages of the place.
func (p *Place) Platform() string {
	if p.MatchedAs != "" {
		return p.MatchedAs
	}
	return p.Name
}

// String returns the place as reports name one that is not covered:
// "alpine:3.23 (12 packages): no-feed. HINT".
func (p *Place) String() string {
	packages := "packages"
	if p.Packages == 1 {
		packages = "package"
	}
	s := fmt.Sprintf("%s (%d %s): %s.", p.Name, p.Packages, packages, p.Reason)
	if p.Hint != "" {
		s += " " + p.Hint
	}
	return s
}

// NotCovered returns the places that are not covered.
func (c *Coverage) NotCovered() []Place {
	var out []Place
	for _, p := range c.Places {
		if !p.Covered {
			out = append(out, p)
		}
	}
	return out
}

// Needed returns the feeds that a report depends on: those that its places need,
// and those of other kinds, such as enrichments, which any finding may need.
func (c *Coverage) Needed(feeds Feeds) Feeds {
	var out Feeds
	for i := range feeds {
		_, needed := slices.BinarySearch(c.Needs, feeds[i].Updater)
		if needed || feeds[i].Kind != "" && feeds[i].Kind != KindVulnerability {
			out = append(out, feeds[i])
		}
	}
	return out
}

// Header returns the value of the response header that lists the places that
// are not covered, "" if all are.
func (c *Coverage) Header() string {
	var parts []string
	for _, p := range c.NotCovered() {
		parts = append(parts, fmt.Sprintf("%s;packages=%d", headerName(p.Name), p.Packages))
	}
	return strings.Join(parts, ", ")
}

// headerName replaces the bytes of a name that a header cannot carry or that
// separate names in it.
func headerName(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == ',' || r == ';' {
			return '_'
		}
		return r
	}, s)
}

// Date is a day as YYYY-MM-DD, "" for none.
type Date string

// MarshalJSON returns the day as a string, or null for none.
func (d Date) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(d))
}

// Offer is a feed that a configuration or the catalogue names for a platform.
type Offer struct {
	Feed string
	// Arch is the architecture that the feed is restricted to, "" for none.
	Arch string
	// Auto reports whether the feed is fetched once something needs it.
	Auto bool
	// Any is true if the subject of the feed is unknown, so it is offered for
	// every platform.
	Any bool
}
