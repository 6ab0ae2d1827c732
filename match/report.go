package match

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/severity"
	"oriel/internal/version"
)

// Source looks vulnerabilities up; the store implements it.
type Source interface {
	// Candidates streams the current vulnerabilities that the lookups ask
	// for. It calls keep with each before its advisory is read; the kept ones
	// are yielded whole, later and in the same order, and must not be modified.
	Candidates(ctx context.Context, lookups []clair.Lookup, keep func(clair.Candidate) bool) iter.Seq2[clair.Candidate, error]
}

// Result is a vulnerability report with the facts behind it.
type Result struct {
	Report *clair.VulnerabilityReport
	// Why explains each finding, by package id and vulnerability id.
	Why map[string]map[string]Why
	// Incomparable are the packages whose versions could not be compared with
	// those of some advisories, sorted by name and version.
	Incomparable []Incomparable
	// Priority says how urgent each vulnerability is, by its id, and Failures
	// which enrichers the report is without. Only a Matcher fills them in.
	Priority map[string]severity.Priority
	Failures []Failure
}

// Why explains a finding.
type Why struct {
	// Advisory is the vulnerability's name, and Updater the feed it is from.
	Advisory string `json:"advisory"`
	Updater  string `json:"updater"`
	// Rule names the rule that decided.
	Rule string `json:"rule"`
	// Matched is "binary" or "source", whichever of the package's names the
	// advisory is about; Package is that name and Version its version.
	Matched string `json:"matched"`
	Package string `json:"package"`
	Version string `json:"version"`
	// Affected are the affected versions according to the feed.
	Affected string `json:"affected"`
}

// sampleSize is the number of affected versions of a list that are named.
const sampleSize = 5

// Report finds the vulnerabilities that affect the packages of an index report.
// Its enrichments are empty. It fails only if the source does: without a whole
// lookup there is no report.
func Report(ctx context.Context, src Source, index *clair.IndexReport) (*Result, error) {
	m := newMatching(index)
	i := 0
	for c, err := range src.Candidates(ctx, m.lookups, m.keep) {
		if err != nil {
			return nil, fmt.Errorf("match %s: %w", index.Hash, err)
		}
		m.take(c.Vulnerability, m.kept[i])
		m.kept[i] = verdict{}
		i++
	}
	m.sort()
	return m.result, nil
}

// matching is one report being made.
type matching struct {
	groups  []*group
	lookups []clair.Lookup
	// kept has the verdict on each kept candidate, in the order in which they
	// were kept.
	kept         []verdict
	incomparable incomparables
	result       *Result
}

// group are the targets that are looked up together, by the name under which
// advisories are about them.
type group struct {
	ecosystem clair.Ecosystem
	targets   map[string][]owned
}

func newMatching(index *clair.IndexReport) *matching {
	m := &matching{incomparable: incomparables{}, result: &Result{Why: map[string]map[string]Why{}, Report: &clair.VulnerabilityReport{
		Hash: index.Hash, Packages: index.Packages, Distributions: index.Distributions,
		Repositories: index.Repositories, Environments: index.Environments,
		Vulnerabilities: map[string]*clair.Vulnerability{}, PackageVulnerabilities: map[string][]string{},
		Enrichments: clair.Enrichments{},
	}}}
	byWhere, places := map[string]int{}, newPlacer()
	for id, r := range index.Records() {
		for _, t := range places.targets(r) {
			m.add(byWhere, owned{id, t})
		}
	}
	return m
}

// add puts a target into the group of those with its rule and constraints.
func (m *matching) add(byWhere map[string]int, t owned) {
	var b strings.Builder
	b.WriteString(t.rule.name)
	for _, c := range t.where {
		b.WriteByte(0)
		b.WriteString(c.Value)
	}
	at, ok := byWhere[b.String()]
	if !ok {
		at = len(m.groups)
		byWhere[b.String()] = at
		m.groups = append(m.groups, &group{ecosystem: t.ecosystem, targets: map[string][]owned{}})
		m.lookups = append(m.lookups, clair.Lookup{Where: t.where})
	}
	g := m.groups[at]
	named := g.targets[t.key.Name]
	if !slices.ContainsFunc(named, func(o owned) bool { return o.key == t.key }) {
		m.lookups[at].Packages = append(m.lookups[at].Packages, t.key)
	}
	g.targets[t.key.Name] = append(named, t)
}

// keep decides whether a candidate is a finding before its text is read. One
// that could not be compared is kept too, for its name.
func (m *matching) keep(c clair.Candidate) bool {
	g := m.groups[c.Lookup]
	var v verdict
	v.judge(c.Vulnerability, g.targets[nameOf(c.Vulnerability, g.ecosystem)])
	if v.empty() {
		return false
	}
	m.kept = append(m.kept, v)
	return true
}

// take adds the findings of a vulnerability to the report.
func (m *matching) take(v *clair.Vulnerability, of verdict) {
	r := m.result
	for _, t := range of.unknown {
		if !slices.ContainsFunc(of.hits, func(hit owned) bool { return hit.id == t.id }) {
			m.incomparable.add(r.Report.Packages[t.id], t, v)
		}
	}
	if of.hits == nil {
		return
	}
	r.Report.Vulnerabilities[v.ID] = v.Outward()
	for _, t := range of.hits {
		if r.Why[t.id] == nil {
			r.Why[t.id] = map[string]Why{}
		}
		if _, twice := r.Why[t.id][v.ID]; twice {
			continue // the same package in two places
		}
		r.Why[t.id][v.ID] = Why{
			Advisory: v.Name, Updater: v.Updater, Rule: t.rule.name, Matched: t.Package.Kind,
			Package: t.Package.Name, Version: t.Package.Version, Affected: describe(v),
		}
		r.Report.PackageVulnerabilities[t.id] = append(r.Report.PackageVulnerabilities[t.id], v.ID)
	}
}

// sort puts the most severe vulnerabilities of each package first, and lists
// the packages that could not be compared.
func (m *matching) sort() {
	m.result.Incomparable = m.incomparable.list()
	vulns := m.result.Report.Vulnerabilities
	for _, ids := range m.result.Report.PackageVulnerabilities {
		slices.SortFunc(ids, func(a, b string) int {
			return cmp.Or(
				cmp.Compare(vulns[b].NormalizedSeverity, vulns[a].NormalizedSeverity),
				strings.Compare(vulns[a].Name, vulns[b].Name),
				strings.Compare(a, b),
			)
		})
	}
}

// describe returns the affected versions of a vulnerability in words.
func describe(v *clair.Vulnerability) string {
	if v.Range != nil {
		return "from " + v.Range.Lower + " before " + v.Range.Upper
	}
	b, err := clair.ParseBounds(v.FixedInVersion)
	switch {
	case err != nil:
		return v.FixedInVersion
	case len(b.Versions) > 0:
		return "one of " + strings.Join(b.Versions[:min(len(b.Versions), sampleSize)], ", ")
	}
	var parts []string
	if b.Introduced != "" && b.Introduced != "0" {
		parts = append(parts, "from "+b.Introduced)
	}
	switch {
	case b.Fixed != "" && b.Fixed != "0":
		parts = append(parts, "before "+version.Shown(b.Fixed))
	case b.LastAffected != "":
		parts = append(parts, "up to "+b.LastAffected)
	case v.Package.Version != "":
		parts = append(parts, "up to "+version.Shown(v.Package.Version))
	case b.Limit != "":
		parts = append(parts, "before "+b.Limit+", without a fix")
	default:
		parts = append(parts, "all, without a fix")
	}
	return strings.Join(parts, " ")
}
