package render

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"oriel/clair"
	"oriel/internal/sanitize"
	"oriel/internal/severity"
)

// New makes the model of a report, without the findings that the filter omits.
func New(in Input, f Filter) *Report {
	b := builder{in: in, filter: f, vulns: map[string]*Vulnerability{}}
	b.out = &Report{
		Name: sanitize.Line(in.Name), Tool: in.Tool, Manifest: in.Report.Hash, Made: in.Now.UTC(),
		Skipped: in.Skipped, SkippedSample: sanitize.Lines(in.SkippedSample), Partial: sanitize.Lines(in.Partial),
		DataTime: in.DataTime.UTC(), Old: in.MaxAge > 0 && !in.DataTime.IsZero() && in.Now.Sub(in.DataTime) > in.MaxAge,
	}
	for _, u := range in.Unmatched {
		b.out.Unmatched = append(b.out.Unmatched, Unmatched{sanitize.Line(u.Name), sanitize.Line(u.Version), sanitize.Line(u.Reason)})
	}
	pairs := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(in.Report.Packages)) {
		if in.Report.Packages[id] != nil {
			b.findings(pairs, b.pkg(id))
		}
	}
	slices.SortStableFunc(b.out.Packages, comparePackages)
	slices.SortStableFunc(b.out.Findings, compareFindings)
	b.out.Data = b.data(pairs)
	return b.out
}

type builder struct {
	in     Input
	filter Filter
	vulns  map[string]*Vulnerability
	out    *Report
}

// findings adds the findings of one package, and their ids to pairs.
func (b *builder) findings(pairs map[string][]string, p *Package) {
	b.out.Packages = append(b.out.Packages, p)
	for _, id := range b.in.Report.PackageVulnerabilities[p.ID] {
		v := b.vulnerability(id)
		if v == nil {
			continue // the report refers to a vulnerability that it does not have
		}
		if v.Severity < b.filter.MinSeverity || b.filter.OnlyFixed && v.Fixed == "" {
			b.out.Hidden++
			continue
		}
		pairs[p.ID] = append(pairs[p.ID], id)
		w := b.in.Why[p.ID][id]
		b.out.Findings = append(b.out.Findings, Finding{p, v, Why{sanitize.Line(w.Rule), sanitize.Line(w.Matched), sanitize.Line(w.Kind), sanitize.Line(w.Affected)}})
		b.out.Counts[v.Severity]++
		if v.Priority.KEV {
			b.out.Exploited++
		}
		if v.Fixed != "" {
			b.out.Fixable++
		}
	}
}

func (b *builder) pkg(id string) *Package {
	src := b.in.Report.Packages[id]
	p := &Package{
		ID: id, Name: sanitize.Line(src.Name), Version: sanitize.Line(src.Version), Kind: sanitize.Line(cmp.Or(src.Kind, clair.Binary)),
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

func (b *builder) vulnerability(id string) *Vulnerability {
	if v := b.vulns[id]; v != nil {
		return v
	}
	src := b.in.Report.Vulnerabilities[id]
	if src == nil {
		return nil
	}
	v := &Vulnerability{
		ID: id, Name: sanitize.Line(src.Name), Feed: sanitize.Line(src.Updater), Description: sanitize.Text(src.Description),
		Aliases: sanitize.Lines(src.Aliases), Links: webLinks(src.Links), Issued: src.Issued,
		Severity: min(src.NormalizedSeverity, clair.Critical), Fixed: sanitize.Line(src.Fix()), Priority: b.priority(id, src),
	}
	b.vulns[id] = v
	return v
}

// priority returns the caller's judgement, or, if there is none, that of the
// vulnerability without enrichments.
func (b *builder) priority(id string, v *clair.Vulnerability) severity.Priority {
	p, ok := b.in.Priority[id]
	if !ok {
		p = severity.Judge(v.NormalizedSeverity, v.Fix() != "", severity.Evidence{})
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
