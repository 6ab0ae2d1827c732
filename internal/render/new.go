package render

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/finding"
	"oriel/internal/sanitize"
	"oriel/internal/severity"
	"oriel/internal/version"
)

// New makes the model of a report, without the findings that the filter omits.
func New(in Input, f Filter) *Report {
	b := builder{in: in, filter: f, vulns: map[string]*Vulnerability{}}
	b.out = &Report{
		Name: sanitize.Line(in.Name), Tool: in.Tool, Manifest: in.Report.Hash, Made: in.Now.UTC(),
		Partial: sanitize.Lines(in.Partial), NeverFetched: in.NeverFetched,
		DataTime: in.DataTime.UTC(), Old: in.MaxAge > 0 && !in.DataTime.IsZero() && in.Now.Sub(in.DataTime) > in.MaxAge,
	}
	b.coverage()
	b.unmatched()
	pairs := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(in.Report.Packages)) {
		if in.Report.Packages[id] != nil {
			b.findings(pairs, b.pkg(id))
		}
	}
	slices.SortStableFunc(b.out.Packages, comparePackages)
	slices.SortStableFunc(b.out.Findings, compareFindings)
	b.out.Data = b.data(pairs)
	b.out.Failed = in.Gates.Eval(b.out)
	return b.out
}

type builder struct {
	in     Input
	filter Filter
	vulns  map[string]*Vulnerability
	out    *Report
}

// unmatched adds the packages that could not be matched or compared.
func (b *builder) unmatched() {
	for _, u := range b.in.Unmatched {
		b.out.Unmatched = append(b.out.Unmatched, clair.Unmatched{
			Package: sanitize.Line(u.Package),
			Version: sanitize.Line(u.Version),
			Reason:  sanitize.Line(u.Reason),
		})
	}
	for _, i := range b.in.Incomparable {
		b.out.Incomparable = append(b.out.Incomparable, Incomparable{
			Package:    sanitize.Line(i.Package),
			Version:    sanitize.Line(i.Version),
			Advisories: sanitize.Lines(i.Advisories),
			Reason:     sanitize.Line(i.Reason),
		})
		b.out.Pairs += len(i.Advisories)
	}
}

// findings adds the findings of one package, and the ids of their advisories to
// pairs.
func (b *builder) findings(pairs map[string][]string, p *Package) {
	b.out.Packages = append(b.out.Packages, p)
	var known []*clair.Vulnerability
	for _, id := range b.in.Report.PackageVulnerabilities[p.ID] {
		if v := b.in.Report.Vulnerabilities[id]; v != nil {
			known = append(known, v)
		}
	}
	for _, rows := range finding.Group(known) {
		v := b.vulnerability(rows)
		if v.Severity == clair.Unknown && b.out.unjudged == nil {
			b.out.unjudged = &Finding{Package: p, Vulnerability: v}
		}
		if v.Severity < b.filter.MinSeverity || b.filter.OnlyFixed && v.Fixed == "" {
			b.out.Hidden++
			continue
		}
		f := Finding{Package: p, Vulnerability: v}
		for _, row := range rows {
			w := b.in.Why[p.ID][row.ID]
			pairs[p.ID] = append(pairs[p.ID], row.ID)
			f.Sources = append(f.Sources, Source{
				Advisory: sanitize.Line(row.Name),
				Feed:     sanitize.Line(row.Updater),
				Why: Why{
					Rule:     sanitize.Line(w.Rule),
					Matched:  sanitize.Line(w.Matched),
					Kind:     sanitize.Line(w.Kind),
					Affected: sanitize.Line(w.Affected),
				},
			})
		}
		b.add(f)
	}
}

func (b *builder) add(f Finding) {
	b.out.Findings = append(b.out.Findings, f)
	b.out.Counts[f.Vulnerability.Severity]++
	if f.Vulnerability.Priority.KEV {
		b.out.Exploited++
	}
	if f.Vulnerability.Fixed != "" {
		b.out.Fixable++
	}
}

func (b *builder) pkg(id string) *Package {
	src := b.in.Report.Packages[id]
	p := &Package{
		ID: id, Name: sanitize.Line(src.Name), Version: sanitize.Line(version.Shown(src.Version)), Kind: sanitize.Line(cmp.Or(src.Kind, clair.Binary)),
		Arch: sanitize.Line(src.Arch), CPE: sanitize.Line(src.CPE),
	}
	for _, env := range b.in.Report.Environments[id] {
		dist := b.in.Report.Distributions[env.DistributionID]
		place := Place{PackageDB: sanitize.Line(env.PackageDB), Layer: env.IntroducedIn}
		if dist != nil {
			place.Distribution = sanitize.Line(cmp.Or(dist.PrettyName, strings.TrimSpace(dist.Name+" "+dist.VersionID), dist.DID))
		}
		var repos []string
		for _, key := range env.RepositoryIDs {
			if repo := b.in.Report.Repositories[key]; repo != nil {
				repos = append(repos, sanitize.Line(repo.Name))
				p.PURL = cmp.Or(p.PURL, languagePURL(src, repo))
			}
		}
		place.Repository = strings.Join(repos, ", ")
		p.PURL = cmp.Or(p.PURL, systemPURL(src, dist))
		p.Places = append(p.Places, place)
	}
	return p
}

// vulnerability returns the vulnerability that some rows, the most severe first,
// are advisories of.
func (b *builder) vulnerability(rows []*clair.Vulnerability) *Vulnerability {
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	key := strings.Join(ids, "\x00")
	if v := b.vulns[key]; v != nil {
		return v
	}
	first := rows[0]
	v := &Vulnerability{
		ID:          first.ID,
		Name:        sanitize.Line(first.Name),
		Feed:        sanitize.Line(first.Updater),
		Description: sanitize.Text(first.Description),
		Fixed:       sanitize.Line(version.Shown(finding.Fix(rows))),
	}
	for _, row := range rows {
		v.Names = appendNew(v.Names, sanitize.Line(row.Name))
		v.Links = appendNew(v.Links, webLinks(row.Links)...)
		if v.Issued.IsZero() || !row.Issued.IsZero() && row.Issued.Before(v.Issued) {
			v.Issued = row.Issued
		}
	}
	for _, row := range rows {
		for _, alias := range sanitize.Lines(row.Aliases) {
			if !slices.Contains(v.Names, alias) {
				v.Aliases = appendNew(v.Aliases, alias)
			}
		}
	}
	v.Priority = b.priority(rows, v.Fixed != "")
	v.Severity = min(v.Priority.Severity, clair.Critical)
	v.Scored = first.NormalizedSeverity == clair.Unknown && v.Severity != clair.Unknown
	b.vulns[key] = v
	return v
}

// appendNew appends the strings that the list does not have.
func appendNew(list []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// priority returns the caller's judgement, or, if it is of several advisories or
// there is none, the one that follows from all of them.
func (b *builder) priority(rows []*clair.Vulnerability, fixable bool) severity.Priority {
	p, known := b.in.Priority[rows[0].ID]
	if !known || len(rows) > 1 {
		var evidence severity.Evidence
		for _, row := range rows {
			evidence = evidence.Merge(b.in.Priority[row.ID].Evidence)
		}
		p = severity.Judge(rows[0].NormalizedSeverity, fixable, evidence)
	}
	p.Vector = sanitize.Line(p.Vector)
	return p
}

// data returns the report in Clair's form with the pairs and no others.
func (b *builder) data(pairs map[string][]string) *clair.VulnerabilityReport {
	if b.out.Hidden == 0 {
		return b.in.Report
	}
	d := *b.in.Report
	d.PackageVulnerabilities = pairs
	d.Vulnerabilities = map[string]*clair.Vulnerability{}
	for _, ids := range pairs {
		for _, id := range ids {
			d.Vulnerabilities[id] = b.in.Report.Vulnerabilities[id]
		}
	}
	d.Enrichments = nil
	for _, e := range b.in.Report.Enrichments {
		kept := clair.Enrichment{Type: e.Type}
		for _, m := range e.Messages {
			kept.Messages = append(kept.Messages, only(m, d.Vulnerabilities))
		}
		d.Enrichments = append(d.Enrichments, kept)
	}
	return &d
}

// only returns the message with the keys that are ids of vulnerabilities of the
// report. A message of another shape is returned unchanged.
func only(m json.RawMessage, ids map[string]*clair.Vulnerability) json.RawMessage {
	var byID map[string]json.RawMessage
	if json.Unmarshal(m, &byID) != nil || byID == nil {
		return m
	}
	maps.DeleteFunc(byID, func(id string, _ json.RawMessage) bool { return ids[id] == nil })
	kept, err := json.Marshal(byID)
	if err != nil {
		return m
	}
	return kept
}

// webLinks returns the links that a browser may follow.
func webLinks(list string) []string {
	var out []string
	for _, s := range strings.Fields(list) {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			continue
		}
		if s = u.String(); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func comparePackages(a, b *Package) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.ID, b.ID))
}

// compareFindings orders findings, more urgent before less.
func compareFindings(a, b Finding) int {
	return cmp.Or(
		b.Vulnerability.Priority.Compare(a.Vulnerability.Priority),
		comparePackages(a.Package, b.Package),
		strings.Compare(a.Vulnerability.Name, b.Vulnerability.Name),
		strings.Compare(a.Vulnerability.ID, b.Vulnerability.ID),
	)
}
