package render

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
	"oriel/internal/severity"
)

// Input is the source of a Report.
type Input struct {
	// Name is the user's name for the input, such as a file or an image.
	Name string
	// Tool is the version of Oriel, for the formats that name their tool.
	Tool string
	// Report has the packages and findings. It is not changed.
	Report *clair.VulnerabilityReport
	// Why explains findings, by package id and vulnerability id.
	Why map[string]map[string]Why
	// Priority is by vulnerability id. A vulnerability that it does not have
	// is judged by its severity alone.
	Priority map[string]severity.Priority
	// Coverage are the places of the packages; nil if it is not known.
	Coverage *clair.Coverage
	// Unmatched are the components that could not be matched.
	Unmatched []clair.Unmatched
	// Incomparable are the packages whose versions could not be compared with
	// those of some advisories.
	Incomparable []Incomparable
	// Partial has the names of the feeds and enrichers that failed or never
	// ran.
	Partial []string
	// NeverFetched has the names of the enrichers ("cvss", "epss", "kev") whose
	// data were never fetched.
	NeverFetched []string
	// Gates are evaluated by New.
	Gates Gates
	// DataTime is the oldest last success of the feeds, the zero time if it is
	// unknown. Now is when the report is made, and MaxAge the age from which
	// data are called old (0 means never).
	DataTime, Now time.Time
	MaxAge        time.Duration
}

// Why explains a finding.
type Why struct {
	// Rule is the name of the rule that decided.
	Rule string
	// Matched is the name of the package in the advisory, with its kind: a
	// package may be found through the source it was built from.
	Matched, Kind string
	// Affected are the affected versions in the words of the feed.
	Affected string
}

// String returns a text such as "dpkg: source openssl, affected before 3.0.2".
func (w Why) String() string {
	s := strings.TrimSpace(w.Kind + " " + w.Matched)
	if w.Affected != "" {
		s += ", affected " + w.Affected
	}
	if w.Rule != "" {
		s = w.Rule + ": " + s
	}
	return s
}

// Incomparable is a package whose version could not be compared with those of
// some advisories.
type Incomparable struct {
	Package    string   `json:"package"`
	Version    string   `json:"version"`
	Advisories []string `json:"advisories"`
	Reason     string   `json:"reason"`
}

// String returns the package, the advisories and the reason.
func (i Incomparable) String() string {
	return strings.TrimSpace(i.Package+" "+i.Version) + ": " + strings.Join(i.Advisories, ", ") + " (" + i.Reason + ")"
}

// Filter selects the findings of a Report.
type Filter struct {
	MinSeverity clair.Severity
	// OnlyFixed omits findings without a fix.
	OnlyFixed bool
}

// Report is the one model of all formats. Nothing changes it after New.
type Report struct {
	Name, Tool string
	Manifest   clair.Digest
	Made       time.Time
	// Data is the report in Clair's form, with the findings below and no
	// others.
	Data *clair.VulnerabilityReport
	// Findings are sorted by urgency, most urgent first.
	Findings []Finding
	// Packages are all packages, sorted by name.
	Packages []*Package
	// Counts has the number of findings of each severity.
	Counts [clair.Critical + 1]int
	// Exploited counts the findings that are known to be exploited, Fixable
	// those with a fix.
	Exploited, Fixable int
	// Hidden counts the findings that the filter omitted.
	Hidden int
	// Places are the places of the packages, and NotCovered those that no feed
	// covers, with Uncovered packages.
	Places, NotCovered []clair.Place
	Uncovered          int
	Unmatched          []clair.Unmatched
	// Incomparable are packages, and Pairs counts their pairs of versions.
	Incomparable []Incomparable
	Pairs        int
	Partial      []string
	NeverFetched []string
	DataTime     time.Time
	// Old reports whether the data are older than MaxAge.
	Old bool
	// Failed are the gates that the report fails.
	Failed []GateFailure

	// unjudged is the first finding without a severity, filtered out or not.
	unjudged *Finding
}

// Finding is one vulnerability of one package, however many advisories it has.
type Finding struct {
	Package       *Package
	Vulnerability *Vulnerability
	// Sources are the advisories, the most severe first.
	Sources []Source
}

// Source is one advisory of a finding and why it affects the package.
type Source struct {
	Advisory, Feed string
	Why            Why
}

// Why returns why the first advisory affects the package.
func (f Finding) Why() Why { return f.Sources[0].Why }

// Package is a package of the manifest; its findings share it.
type Package struct {
	ID, Name, Version, Kind, Arch, CPE string
	// PURL is "" if none can be made.
	PURL   string
	Places []Place
}

// Place is one place of the input that has a package.
type Place struct {
	PackageDB                string
	Layer                    clair.Digest
	Distribution, Repository string
}

// Vulnerability is one or several advisories of one vulnerability, with the data
// of the enrichers; its findings share it.
type Vulnerability struct {
	// ID, Name, Feed and Description are those of the most severe advisory.
	ID, Name, Feed, Description string
	// Names are the names of all advisories, and Aliases all other ids.
	Names, Aliases []string
	Links          []string
	Issued         time.Time
	// Severity is that of the most severe advisory, or, if no advisory has one,
	// that of the CVSS score.
	Severity clair.Severity
	// Scored reports whether Severity is that of the CVSS score.
	Scored bool
	// Fixed is the first version that is fixed by all advisories, "" if there
	// is none.
	Fixed    string
	Priority severity.Priority
}

// Place returns the first place of the package.
func (p *Package) Place() Place {
	if len(p.Places) == 0 {
		return Place{}
	}
	return p.Places[0]
}

// Link returns the first link, "" if there is none.
func (v *Vulnerability) Link() string {
	if len(v.Links) == 0 {
		return ""
	}
	return v.Links[0]
}

// Warnings returns, in one sentence each, the reasons why there may be more
// vulnerabilities than the findings, apart from packages that are not covered,
// matched or compared. CSV and Clair's JSON have no place for them, so that
// callers should show them elsewhere.
func (r *Report) Warnings() []string {
	var out []string
	if len(r.Packages) == 0 {
		out = append(out, "No packages were found, so nothing was looked up.")
	}
	for _, p := range r.ended() {
		out = append(out, fmt.Sprintf("%s (%s) has ended: %s.", p.Name, plural(p.Packages, "package"), endedText(p)))
	}
	if len(r.Partial) > 0 {
		out = append(out, "The data are incomplete, something may be missing: "+strings.Join(r.Partial, ", ")+".")
	}
	if r.Old {
		out = append(out, "The data are old: the feed furthest behind last succeeded "+quantity.Length(r.Made.Sub(r.DataTime))+" ago.")
	}
	return out
}

// otherIDs returns all names but the first, and the aliases.
func (v *Vulnerability) otherIDs() []string { return append(slices.Clone(v.Names[1:]), v.Aliases...) }

// Summary returns the counts in one sentence.
func (r *Report) Summary() string {
	var b strings.Builder
	b.WriteString(plural(len(r.Findings), "finding"))
	sep := ": "
	for _, s := range severity.All() {
		if r.Counts[s] > 0 {
			fmt.Fprintf(&b, "%s%d %s", sep, r.Counts[s], strings.ToLower(s.String()))
			sep = ", "
		}
	}
	if len(r.Findings) > 0 {
		fmt.Fprintf(&b, "; %d with a fix, %d known to be exploited", r.Fixable, r.Exploited)
	}
	fmt.Fprintf(&b, "; %s", plural(len(r.Packages), "package"))
	if r.Uncovered > 0 {
		fmt.Fprintf(&b, ", %d not covered", r.Uncovered)
	}
	if len(r.Unmatched) > 0 {
		fmt.Fprintf(&b, ", %d not matched", len(r.Unmatched))
	}
	if len(r.Incomparable) > 0 {
		fmt.Fprintf(&b, ", %d not compared", len(r.Incomparable))
	}
	if r.Hidden > 0 {
		fmt.Fprintf(&b, "; %d filtered out", r.Hidden)
	}
	return b.String()
}

// Verdict returns the number of findings, and of packages that are not covered.
func (r *Report) Verdict() string {
	s := plural(len(r.Findings), "finding")
	if r.Uncovered > 0 {
		s += ", " + plural(r.Uncovered, "package") + " not covered"
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Format is a format in which a Report can be written.
type Format struct {
	Name, MediaType string
	Write           func(w io.Writer, r *Report) error
}

// Formats returns the formats. Its table is the plain one; see Table.
func Formats() []Format {
	return []Format{
		{"table", "text/plain; charset=utf-8", Table(TableOptions{})},
		{"json", "application/json", JSON},
		{"sarif", "application/sarif+json", SARIF},
		{"cyclonedx", "application/vnd.cyclonedx+json; version=1.6", CycloneDX},
		{"csv", "text/csv; charset=utf-8", CSV},
		{"html", "text/html; charset=utf-8", HTML},
	}
}

// FormatByName returns a format. The error is an ErrInvalid that lists all.
func FormatByName(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Format{}, clair.Invalid("format", "%.40q is not one of %s", name, strings.Join(names, ", "))
}
