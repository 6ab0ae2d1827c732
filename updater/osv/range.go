package osv

import (
	"fmt"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/version"
)

// osvRange is a range of an affected entry.
type osvRange struct {
	Type   string     `json:"type"`
	Events []osvEvent `json:"events"`
}

// osvEvent has one of its fields set; older records set several.
type osvEvent struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// edge is a version at which a range's verdict may change.
type edge struct {
	kind edgeKind
	at   string
}

type edgeKind uint8

// This is the order of edges at the same version: an interval that begins and
// ends with the same last affected version is not empty.
const (
	introduced edgeKind = iota
	fixed
	lastAffected
)

// bounds returns the distinct intervals of all ranges, then the listed
// versions that are in none of them. An error describes what could not be
// used; the bounds returned with it are still valid.
func (p *parser) bounds(at *osvPlace, a *osvAffected) ([]clair.Bounds, error) {
	var out []clair.Bounds
	var wrong error
	for _, r := range a.Ranges {
		if r.Type == "GIT" {
			continue // commits, which no inventory has
		}
		intervals := p.intervals(at.scheme, r)
		if len(intervals) == 0 && !r.opens() {
			wrong = fmt.Errorf("%w: a range that is introduced nowhere", clair.ErrInvalid)
		}
		for _, b := range intervals {
			if !slices.ContainsFunc(out, func(o clair.Bounds) bool { return sameInterval(o, b) }) {
				out = append(out, b)
			}
		}
	}
	if at.dist != nil {
		// A distribution's records list versions in addition to ranges that
		// cover them, if they have ranges.
		if len(out) == 0 && len(a.Versions) > 0 {
			return p.single(at.scheme, nil, a.Versions), nil
		}
		return out, wrong
	}
	if len(a.Ranges) == 0 && len(a.Versions) == 0 {
		return nil, fmt.Errorf("%w: neither ranges nor versions", clair.ErrInvalid)
	}
	return append(out, p.single(at.scheme, out, a.Versions)...), wrong
}

func sameInterval(a, b clair.Bounds) bool {
	return a.Introduced == b.Introduced && a.Fixed == b.Fixed && a.LastAffected == b.LastAffected && a.Limit == b.Limit
}

func (r osvRange) opens() bool {
	return slices.ContainsFunc(r.Events, func(e osvEvent) bool { return e.Introduced != "" })
}

// intervals evaluates a range's events in the order of their versions, as
// https://ossf.github.io/osv-schema/#evaluation says. If a version cannot be
// parsed, the order of the file is used, which is right in practice; for the
// usual single interval it does not matter.
func (p *parser) intervals(s version.Scheme, r osvRange) []clair.Bounds {
	edges, limits := r.edges()
	if len(edges) > 1 {
		p.cover.sort(s, edges)
	}
	limit, limited := p.cover.greatest(s, limits)
	var out []clair.Bounds
	open, begin, reopened := false, "", false
	end := func(b clair.Bounds) {
		b.Introduced = begin
		if b, ok := p.cover.cutAt(s, b, limit, limited); ok {
			out = append(out, b)
		}
		open = false
	}
	for i, e := range edges {
		switch {
		case e.kind == introduced && open && fixedHere(edges[i+1:], e.at):
			// One interval ends where the next begins, in whatever order the
			// record names them.
			end(clair.Bounds{Fixed: e.at})
			open, begin, reopened = true, e.at, true
		case e.kind == introduced && !open:
			open, begin, reopened = true, e.at, false
		case e.kind == fixed && open && e.at == begin:
			open = reopened // otherwise there is nothing in between
		case e.kind == fixed && open:
			end(clair.Bounds{Fixed: e.at})
		case e.kind == lastAffected && open:
			end(clair.Bounds{LastAffected: e.at})
		}
	}
	if open {
		end(clair.Bounds{})
	}
	return out
}

// fixedHere reports whether a fix of the same version is next.
func fixedHere(edges []edge, at string) bool {
	for _, e := range edges {
		if e.at != at {
			return false
		}
		if e.kind == fixed {
			return true
		}
	}
	return false
}

// edges returns the edges of the events. The very first version is "".
func (r osvRange) edges() (edges []edge, limits []string) {
	edges = make([]edge, 0, len(r.Events))
	for _, e := range r.Events {
		if e.Introduced == "0" {
			edges = append(edges, edge{kind: introduced})
		} else if e.Introduced != "" {
			edges = append(edges, edge{introduced, e.Introduced})
		}
		if e.Fixed != "" {
			edges = append(edges, edge{fixed, e.Fixed})
		}
		if e.LastAffected != "" {
			edges = append(edges, edge{lastAffected, e.LastAffected})
		}
		if e.Limit != "" {
			limits = append(limits, e.Limit)
		}
	}
	return edges, limits
}

// single returns the versions that are in none of the intervals, or that
// cannot be compared with them, as one row's bounds.
func (p *parser) single(s version.Scheme, intervals []clair.Bounds, versions []string) []clair.Bounds {
	var out []clair.Bounds
	var list []string
	for _, v := range versions {
		switch {
		case v == "" || p.cover.covers(s, intervals, v):
		case strings.Contains(v, ","):
			// The list is separated by commas; this means the same.
			out = append(out, clair.Bounds{Introduced: v, LastAffected: v})
		default:
			list = append(list, v)
		}
	}
	if len(list) > 0 {
		slices.Sort(list) // the hash of a row must not depend on the order
		out = append(out, clair.Bounds{Versions: slices.Compact(list)})
	}
	return out
}

// coverage compares versions, with a cache of parsed ones: advisories of one
// package name the same versions again and again.
type coverage struct {
	scheme version.Scheme
	parsed map[string]parsedVersion
}

type parsedVersion struct {
	v  version.Version
	ok bool
}

// maxParsed limits the cache of parsed versions, at about half a KiB each.
const maxParsed = 4096

func (c *coverage) parse(s version.Scheme, text string) (version.Version, bool) {
	if c.scheme != s || c.parsed == nil || len(c.parsed) >= maxParsed {
		c.scheme, c.parsed = s, make(map[string]parsedVersion)
	}
	if p, ok := c.parsed[text]; ok {
		return p.v, p.ok
	}
	v, err := version.Parse(s, text)
	c.parsed[strings.Clone(text)] = parsedVersion{v, err == nil}
	return v, err == nil
}

// compare orders two versions, "" being the very first; ok is false if they
// have no known order.
func (c *coverage) compare(s version.Scheme, a, b string) (order int, ok bool) {
	switch {
	case a == b:
		return 0, true
	case a == "":
		return -1, true
	case b == "":
		return 1, true
	}
	if order, ok := compareNumbers(a, b); ok {
		return order, true
	}
	x, ok1 := c.parse(s, a)
	y, ok2 := c.parse(s, b)
	if !ok1 || !ok2 {
		return 0, false
	}
	order, err := x.Compare(y)
	return order, err == nil
}

// compareNumbers decides the usual case without parsing: if both versions are
// plain numbers separated by dots, the first difference decides in every
// ecosystem. If one is the beginning of the other, or a number has a leading
// zero, ecosystems disagree, and ok is false.
func compareNumbers(a, b string) (order int, ok bool) {
	for i := 0; ; {
		x, n, ok1 := number(a[i:])
		y, m, ok2 := number(b[i:])
		if !ok1 || !ok2 {
			return 0, false
		}
		if x != y {
			if !plain(a[i:]) || !plain(b[i:]) {
				return 0, false
			}
			if x < y {
				return -1, true
			}
			return 1, true
		}
		if i += n; n != m || i == len(a) || i == len(b) || a[i] != '.' || b[i] != '.' {
			return 0, false
		}
		i++
	}
}

// number returns the digits that s begins with.
func number(s string) (value uint64, length int, ok bool) {
	for length < len(s) && length < 18 && '0' <= s[length] && s[length] <= '9' {
		value = value*10 + uint64(s[length]-'0')
		length++
	}
	return value, length, length > 0 && (s[0] != '0' || length == 1)
}

// plain reports whether s consists of numbers separated by dots.
func plain(s string) bool {
	for {
		_, n, ok := number(s)
		if !ok {
			return false
		}
		if n == len(s) {
			return true
		}
		if s[n] != '.' {
			return false
		}
		s = s[n+1:]
	}
}

// sort orders edges unless some two of them have no order.
func (c *coverage) sort(s version.Scheme, edges []edge) {
	sorted := slices.Clone(edges)
	all := true
	slices.SortStableFunc(sorted, func(a, b edge) int {
		order, ok := c.compare(s, a.at, b.at)
		all = all && ok
		if order == 0 && (a.kind == introduced && b.kind == lastAffected || a.kind == lastAffected && b.kind == introduced) {
			return int(a.kind) - int(b.kind)
		}
		return order
	})
	if all {
		copy(edges, sorted)
	}
}

// greatest returns the limit that counts: a version is within bounds if it is
// before any of them. "*" means no limit.
func (c *coverage) greatest(s version.Scheme, limits []string) (limit string, ok bool) {
	for _, l := range limits {
		if l == "*" {
			return "", false
		}
		if order, known := c.compare(s, limit, l); !known || order < 0 {
			limit = l
		}
	}
	return limit, limit != ""
}

// cutAt ends an interval at the limit if that comes first; ok is false if
// nothing remains.
func (c *coverage) cutAt(s version.Scheme, b clair.Bounds, limit string, limited bool) (clair.Bounds, bool) {
	if !limited {
		return b, true
	}
	if order, ok := c.compare(s, b.Introduced, limit); ok && order >= 0 {
		return b, false
	}
	switch {
	case b.Fixed != "":
		if order, ok := c.compare(s, limit, b.Fixed); ok && order < 0 {
			b.Fixed, b.Limit = "", limit
		}
	case b.LastAffected != "":
		if order, ok := c.compare(s, limit, b.LastAffected); ok && order <= 0 {
			b.LastAffected, b.Limit = "", limit
		}
	default:
		b.Limit = limit
	}
	return b, true
}

// covers reports whether a version is in any of the intervals; one that cannot
// be compared is in none.
func (c *coverage) covers(s version.Scheme, intervals []clair.Bounds, v string) bool {
	return slices.ContainsFunc(intervals, func(b clair.Bounds) bool {
		if order, ok := c.compare(s, v, b.Introduced); !ok || order < 0 {
			return false
		}
		switch {
		case b.Fixed != "":
			order, ok := c.compare(s, v, b.Fixed)
			return ok && order < 0
		case b.LastAffected != "":
			order, ok := c.compare(s, v, b.LastAffected)
			return ok && order <= 0
		case b.Limit != "":
			order, ok := c.compare(s, v, b.Limit)
			return ok && order < 0
		}
		return true
	})
}
