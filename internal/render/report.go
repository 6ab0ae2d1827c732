package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
	"oriel/internal/severity"
)

// Input is what a Report is made from.
type Input struct {
	// Name is what the person called the input, such as a file or an image.
	Name string
	// Tool is the version of Oriel, for the formats that name their maker.
	Tool string
	// Report is what was found. It is not changed.
	Report *clair.VulnerabilityReport
	// Why explains findings, by package id and vulnerability id.
	Why map[string]map[string]Why
	// Priority is by vulnerability id. A vulnerability that it does not have
	// is judged by its severity alone.
	Priority map[string]severity.Priority
	// Unmatched are the packages that nothing could be said of.
	Unmatched []Unmatched
	// Skipped counts the pairs of versions that could not be compared, and
	// SkippedSample names a few of them.
	Skipped       int
	SkippedSample []string
	// Partial names the feeds and enrichers that failed or never ran.
	Partial []string
	// DataTime is when the feed that is furthest behind last succeeded; the
	// zero time is unknown. Now is when the report is made, and MaxAge is the
	// age from which data are called old (0 is never).
	DataTime, Now time.Time
	MaxAge        time.Duration
}

// Why explains a finding.
type Why struct {
	// Rule names the rule that decided.
	Rule string
	// Matched is the package's name that the advisory speaks of, with its
	// kind: a package may be found through the source it was built from.
	Matched, Kind string
	// Affected are the affected versions as the feed gives them.
	Affected string
}

// String says it in words, such as
// "dpkg: source openssl, affected before 3.0.2".
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

// Unmatched is a package of the input that no feed could be asked about.
type Unmatched struct {
	Name, Version string
	Reason        string
}

// Filter says which findings to leave out.
type Filter struct {
	MinSeverity clair.Severity
	// OnlyFixed leaves out what has no fix yet.
	OnlyFixed bool
}

// Report is the one model of all formats. Nothing changes it after New.
type Report struct {
	Name, Tool string
	Manifest   clair.Digest
	Made       time.Time
	// Data is the report in Clair's words, with the findings below and no
	// others.
	Data *clair.VulnerabilityReport
	// Findings are in the order in which to deal with them.
	Findings []Finding
	// Packages are all the packages, by name.
	Packages []*Package
	// Counts are the findings of each severity.
	Counts [clair.Critical + 1]int
	// Exploited counts the findings that are known to be exploited, and
	// Fixable those with a fix.
	Exploited, Fixable int
	// Hidden counts what the filter left out.
	Hidden        int
	Unmatched     []Unmatched
	Skipped       int
	SkippedSample []string
	Partial       []string
	DataTime      time.Time
	// Old says that the data are older than they may be.
	Old bool
}

// Finding is one vulnerability of one package.
type Finding struct {
	Package       *Package
	Vulnerability *Vulnerability
	Why           Why
}

// Package is a package of the manifest; its findings share it.
type Package struct {
	ID, Name, Version, Kind, Arch, CPE string
	// PURL is "" where none can be made.
	PURL   string
	Places []Place
}

// Place is where a package was found.
type Place struct {
	PackageDB                string
	Layer                    clair.Digest
	Distribution, Repository string
}

// Vulnerability is what a feed and the enrichers say; its findings share it.
type Vulnerability struct {
	ID, Name, Feed, Description string
	Aliases, Links              []string
	Issued                      time.Time
	Severity                    clair.Severity
	// Fixed is the first fixed version, "" where there is none.
	Fixed    string
	Priority severity.Priority
}

// Place is the first place where the package was found.
func (p *Package) Place() Place {
	if len(p.Places) == 0 {
		return Place{}
	}
	return p.Places[0]
}

// Link is the first link, "" where there is none.
func (v *Vulnerability) Link() string {
	if len(v.Links) == 0 {
		return ""
	}
	return v.Links[0]
}

// Warnings says, one sentence each, what a reader must know before trusting
// that nothing else was found. CSV and Clair's JSON have no place for it, so
// whoever writes those should show it elsewhere.
func (r *Report) Warnings() []string {
	var out []string
	if len(r.Packages) == 0 {
		out = append(out, "No packages were found, so nothing was looked up.")
	}
	if len(r.Partial) > 0 {
		out = append(out, "The data are incomplete, something may be missing: "+strings.Join(r.Partial, ", ")+".")
	}
	if r.Old {
		out = append(out, "The data are old: the feed furthest behind last succeeded "+quantity.Length(r.Made.Sub(r.DataTime))+" ago.")
	}
	if len(r.Unmatched) > 0 {
		out = append(out, "Nothing is known of "+plural(len(r.Unmatched), "package")+" that could not be matched.")
	}
	if r.Skipped > 0 {
		out = append(out, plural(r.Skipped, "pair")+" of versions could not be compared: "+strings.Join(r.SkippedSample, "; ")+".")
	}
	return out
}

// Summary is the counts in one sentence.
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
	if r.Hidden > 0 {
		fmt.Fprintf(&b, "; %d filtered out", r.Hidden)
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Format is one way of writing a Report.
type Format struct {
	Name, MediaType string
	Write           func(w io.Writer, r *Report) error
}

// Formats lists the formats. The table is the plain one: see Table.
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

// FormatByName finds a format. The error is an ErrInvalid that names them all.
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
