package render

import (
	"fmt"
	"strings"

	"oriel/clair"
	"oriel/internal/sanitize"
)

// coverage adds the places of the packages to the report.
func (b *builder) coverage() {
	if b.in.Coverage == nil {
		return
	}
	for _, p := range b.in.Coverage.Places {
		p.Name, p.Hint, p.MatchedAs = sanitize.Line(p.Name), sanitize.Line(p.Hint), sanitize.Line(p.MatchedAs)
		b.out.Places = append(b.out.Places, p)
		if !p.Covered {
			b.out.NotCovered = append(b.out.NotCovered, p)
			b.out.Uncovered += p.Packages
		}
	}
}

// ended returns the covered places whose vendors no longer publish advisories.
func (r *Report) ended() []clair.Place {
	var out []clair.Place
	for _, p := range r.Places {
		if p.Covered && p.Ended != "" {
			out = append(out, p)
		}
	}
	return out
}

// endedText is the reason that a report gives for a place of ended.
func endedText(p clair.Place) string { return "no advisories after " + string(p.Ended) }

// Notes returns, in one line each, facts about the places that do not make the
// report incomplete.
func (r *Report) Notes() []string {
	var out []string
	for _, p := range r.Places {
		if p.Covered && p.MatchedAs != "" {
			out = append(out, fmt.Sprintf("%s is matched as %s.", p.Name, p.MatchedAs))
		}
	}
	return out
}

// NotCoveredLines returns the line of each place that is not covered, as every
// text for people shows it.
func (r *Report) NotCoveredLines() []string {
	var out []string
	for i := range r.NotCovered {
		out = append(out, "Not covered: "+r.NotCovered[i].String())
	}
	return out
}

// unmatchedText returns a component that could not be matched, and the reason.
func unmatchedText(u clair.Unmatched) string {
	return strings.TrimSpace(u.Package+" "+u.Version) + ": " + u.Reason
}
